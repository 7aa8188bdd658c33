"""Labelled sets: what is read from a list, and what is said when it is wrong."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.errors import InputError
from validate.imagenet import LabelledSet, load_labelled, parse_list


def write(folder: Path, text: str, *images: str, name: str = "val_list.txt") -> Path:
    for image in images:
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        (folder / image).touch()
    file = folder / name
    file.write_bytes(text.encode())
    return file


def test_list_and_folder_give_the_same(tmp_path: Path) -> None:
    file = write(tmp_path, "val/a.png 3\nval/b.png\t0\n", "val/a.png", "val/b.png")
    dataset = load_labelled(file, 4)
    assert dataset == load_labelled(tmp_path, 4)
    assert dataset.entries == ((tmp_path / "val/a.png", 3), (tmp_path / "val/b.png", 0))
    assert dataset.name == f"{tmp_path.name}/val_list.txt"
    assert dataset.description == f"{tmp_path.name}/val_list.txt, 2 images"
    assert dataset.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert not dataset.complete


def test_the_name_is_never_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.png 0\n", "a.png", name="own.txt")
    monkeypatch.chdir(tmp_path)
    for path in (Path("own.txt"), Path("./own.txt"), tmp_path / "own.txt"):
        assert load_labelled(path, 1).name == f"{tmp_path.name}/own.txt"


@pytest.mark.parametrize("line", ["my photos/a b.png 2", "my photos/a b.png   2  ", "my photos/a b.png \t2\r"])
def test_paths_may_hold_spaces(tmp_path: Path, line: str) -> None:
    file = write(tmp_path, f"\ufeff{line}\n\n", "my photos/a b.png")
    assert load_labelled(file, 3).entries == ((tmp_path / "my photos/a b.png", 2),)


def test_absolute_paths_are_taken(tmp_path: Path) -> None:
    image = tmp_path / "elsewhere" / "a.png"
    file = write(tmp_path, f"{image} 0\n", "elsewhere/a.png")
    assert load_labelled(file, 1).entries == ((image, 0),)


def test_limit_takes_the_first(tmp_path: Path) -> None:
    file = write(tmp_path, "a.png 0\nb.png 1\nabsent.png 2\n", "a.png", "b.png")
    dataset = load_labelled(file, 3, limit=2)
    assert [label for _, label in dataset.entries] == [0, 1]
    assert dataset.description == f"{tmp_path.name}/val_list.txt, first 2 of 3 images"
    with pytest.raises(InputError, match="missing"):
        load_labelled(file, 3)


@pytest.mark.parametrize(("count", "complete"), [(49_999, False), (50_000, True), (50_001, False)])
def test_complete_is_exactly_fifty_thousand(count: int, complete: bool) -> None:
    assert LabelledSet("x", ((Path("a"), 0),) * count, count, "").complete is complete


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png 0\na.png\n", "line 2: 'a.png' is not `path label`"),
        ("a.png 0\n\na.png one\n", "line 3: 'a.png one' is not"),
        ("a.png 1.0\n", "line 1: "),
        ("a.png ٣\n", "line 1: "),  # a digit, but none of a list's
        ("a.png " + "9" * 5000 + "\n", "line 1: "),
        (" 5\n", "line 1: ' 5' is not"),
        ("a.png 0\na.png 10\n", "line 2: label 10 is out of range: labels are 0-based, 0 to 9"),
        ("a.png -1\n", "line 1: label -1 is out of range"),
        ("", "the list is empty"),
        ("\n  \n", "the list is empty"),
    ],
)
def test_bad_lists(tmp_path: Path, text: str, message: str) -> None:
    file = write(tmp_path, text, "a.png")
    with pytest.raises(InputError) as caught:
        load_labelled(file, 10)
    assert message in caught.value.message
    assert str(file) in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400


def test_missing_files_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    file = write(tmp_path, "a.png 0\nb.png 0\nc\0.png 0\n" + "d" * 5000 + " 0\n", "a.png")
    with pytest.raises(
        InputError, match=r"line 2: 3 of 4 images are missing, the first is .*b\.png; paths are relative"
    ):
        load_labelled(file, 1)


def test_a_folder_where_an_image_should_be(tmp_path: Path) -> None:
    (tmp_path / "b.png").mkdir()
    file = write(tmp_path, "a.png 0\nb.png 0\n", "a.png")
    with pytest.raises(InputError, match=r"line 2: .*b\.png is a folder"):
        load_labelled(file, 1)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        load_labelled(tmp_path / "absent", 1)


def test_a_folder_without_list(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no val_list\.txt; give a list"):
        load_labelled(tmp_path, 1)
    (tmp_path / "val_list.txt").mkdir()
    with pytest.raises(InputError, match=r"holds no val_list\.txt"):
        load_labelled(tmp_path, 1)


def test_an_image_instead_of_a_list(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    with pytest.raises(InputError, match="no UTF-8 text"):
        load_labelled(file, 1)


def test_labels_of_any_size_without_classes(tmp_path: Path) -> None:
    file = write(tmp_path, "a.png 123456\n", "a.png")
    assert load_labelled(file).entries[0][1] == 123456


# Anything but a line end, and no blank at the end, which would belong to the gap before the label.
paths = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), min_size=1).filter(
    lambda path: path.strip() and path[-1] not in " \t"
)


@given(st.lists(st.tuples(paths, st.integers(0, 999), st.sampled_from([" ", "\t", "  \t"])), min_size=1))
def test_what_is_written_is_read_back(entries: list[tuple[str, int, str]]) -> None:
    text = "".join(f"{path}{gap}{label}\n" for path, label, gap in entries)
    assert parse_list(text, "list", 1000) == [
        (number, path, label) for number, (path, label, _) in enumerate(entries, start=1)
    ]


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        entries = parse_list(text, "list", 1000)
    except InputError as error:
        assert error.message.startswith("list")  # noqa: PT017 - what matters is that nothing else is raised
    else:
        assert all(0 <= label < 1000 and path for _, path, label in entries)
