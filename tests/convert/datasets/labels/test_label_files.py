"""Files that say which class a label means, in every form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets.labels import label_files
from convert.datasets.labels.label_files import find_names, find_order, read_label_file
from convert.datasets.trees import DiskTree
from tests.convert.datasets.written_sets import write_meta

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


@pytest.mark.parametrize(
    "text",
    [
        "2 wolf\n3 fox\n4 ant\n",  # numbers that begin at neither 0 nor 1
        "0 wolf\n2 fox\n3 ant\n",
        "0 wolf\nfox\n1 ant\n",  # one line without
        "0 wolf\n1 fox\n1 ant\n",
        "\u0660 wolf\n\u0661 fox\n\u0662 ant\n",  # digits of another script
    ],
)
def test_other_numbers_are_parts_of_names(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.txt").write_text(text)
    assert read_label_file(tmp_path / "labels.txt").names == text.strip().split("\n")


def test_ids_with_and_without_words(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("n00000002 b, c\n\nn00000001\n  n00000003  d\te\nn00000004 f\n")
    found = read_label_file(tmp_path / "a.txt")
    assert found.classes == [("n00000002", "b, c"), ("n00000001",), ("n00000003", "d e"), ("n00000004", "f")]
    assert (found.name, found.source) == ("a.txt", str(tmp_path / "a.txt"))
    (tmp_path / "a.txt").write_text("n00000002 b\ntench\n")
    assert read_label_file(tmp_path / "a.txt").classes == [("n00000002 b",), ("tench",)]


def test_the_devkits_file_is_in_the_order_of_the_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_meta(tmp_path / "x.MAT", {1: "n00000009", 2: "n00000004", 3: "n00000007"})
    assert read_label_file(file).classes == [("n00000004",), ("n00000007",), ("n00000009",)]
    size = file.stat().st_size
    monkeypatch.setattr(label_files, "META_BYTES", size)
    assert read_label_file(file).names
    monkeypatch.setattr(label_files, "META_BYTES", size - 1)
    with pytest.raises(InputError, match=f"too large for the devkit's meta.mat: {size} bytes"):
        read_label_file(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" \n\n", "the synset list is empty"),
        ("n00000002 b\nn00000002 c\n", "n00000002 is there twice"),
        ("b\nc\nb\n", "b is there twice"),
        ("[]", "the synset list is empty"),
        ("{}", "the synset list is empty"),
        ('["a", ["b", 3]]', "not a class index"),
        ('["a", []]', "not a class index"),
        ('{"a": true, "b": false}', "not a class index"),
        ('{"0": "a", "x": "b"}', "not a class index"),
        ('{"a": 0, "b": "1"}', "not a class index"),
    ],
)
def test_what_is_no_list_of_classes(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_label_file(tmp_path / "a.json")


def test_json_is_told_by_its_begin(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text(' \n["b", "a"]')
    assert read_label_file(tmp_path / "labels.txt").names == ["b", "a"]
    (tmp_path / "labels.txt").write_text("b [x]\na\n")
    assert read_label_file(tmp_path / "labels.txt").names == ["b [x]", "a"]


def test_the_file_of_ids_is_the_first_of_those_that_are_known(tmp_path: Path) -> None:
    trees = [DiskTree(tmp_path / "a"), DiskTree(tmp_path / "b")]
    for name in "ab":
        (tmp_path / name).mkdir()
    assert find_order(trees) is None
    for place, name, text in (
        ("b", "LOC_synset_mapping.txt", "n00000005 x\n"),
        ("a", "imagenet_class_index.json", '{"0": ["n00000004", "y"]}'),
        ("a", "synset_words.txt", "n00000003 z\n"),
    ):
        (tmp_path / place / name).write_text(text)
        found = find_order(trees)
        assert found is not None
        assert found.source == f"{tmp_path}/{place}/{name}"


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
