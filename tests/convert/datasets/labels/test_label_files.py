"""Files that say which class a label means, in every form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets.labels.label_files import find_names, read_label_file
from convert.datasets.trees import DiskTree

CLASSES = [("wolf",), ("red fox",), ("ant",)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("label_list.txt", "0 wolf\n1 red fox\n2 ant\n"),
        ("shuffled.txt", "2 ant\r\n0 wolf\r\n1 red fox\r\n"),
        ("from_one.txt", "1 wolf\n2 red fox\n3 ant\n"),
        ("behind.txt", "wolf 0\nred fox 1\nant 2\n"),
        ("label.txt", "wolf\n\nred fox\nant"),
        ("class_to_idx.json", '{"red fox": 1, "wolf": 0, "ant": 2}'),
        ("id2label.json", '{"0": "wolf", "1": "red fox", "2": "ant"}'),
        ("config.json", '{"hidden_size": 3, "id2label": {"0": "wolf", "1": "red fox", "2": "ant"}}'),
        ("label2id.json", '{"label2id": {"wolf": 0, "red fox": 1, "ant": 2}}'),
        ("list.json", '["wolf", "red fox", "ant"]'),
    ],
)
def test_every_form(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, newline="")
    assert read_label_file(tmp_path / name).classes == CLASSES


def test_numbers_may_be_the_names_themselves(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("0 0\n1 90\n2 180\n")
    assert read_label_file(tmp_path / "labels.txt").classes == [("0",), ("90",), ("180",)]
    (tmp_path / "labels.txt").write_text("90\n0\n180\n")
    assert read_label_file(tmp_path / "labels.txt").classes == [("90",), ("0",), ("180",)]


def test_numbered_lists_may_have_a_name_twice(tmp_path: Path) -> None:
    """PaddleClas' list of ImageNet's names has two cranes, and so has the hub's."""
    (tmp_path / "a.txt").write_text("0 crane\n1 crane\n")
    (tmp_path / "a.json").write_text('{"0": "crane", "1": "crane"}')
    for name in ("a.txt", "a.json"):
        assert read_label_file(tmp_path / name).classes == [("crane",), ("crane",)]


@pytest.mark.parametrize("table", [{"a": 0, "b": 2}, {"0": "a", "2": "b"}, {"a": 0, "b": 0}])
def test_labels_with_holes(tmp_path: Path, table: dict[str, object]) -> None:
    (tmp_path / "a.json").write_text(json.dumps(table))
    with pytest.raises(InputError, match="the labels of its classes are not 0 to 1"):
        read_label_file(tmp_path / "a.json")


def test_a_file_is_found_in_the_folder(tmp_path: Path) -> None:
    def found() -> str | None:
        file = find_names(DiskTree(tmp_path))
        return None if file is None else file.name

    assert found() is None
    (tmp_path / "class_names.txt").write_text("b\na\n")
    assert found() == "class_names.txt"
    (tmp_path / "labels.txt").write_text("0 b\n1 a\n")
    assert found() == "labels.txt"  # both say the same
    (tmp_path / "labels.txt").write_text("a\nb\n")
    with pytest.raises(InputError, match=r"labels\.txt and class_names\.txt have other classes: give the right one"):
        found()
