"""Lists: what is read from one, and what is said when it is wrong."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common.errors import InputError
from convert.datasets import LabelledSet, load
from convert.datasets.image_lists import LabelledList, is_number, parse, parse_lines, shortened, unquoted
from convert.images.preprocess import UnreadableImage

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 123\n"


def write(folder: Path, text: str, *images: str, name: str = "val_list.txt") -> Path:
    for image in images:
        (folder / image).parent.mkdir(parents=True, exist_ok=True)
        (folder / image).write_text(f"bytes of {image}")
    file = folder / name
    file.write_bytes(text.encode())
    return file


def content(dataset: LabelledSet) -> list[tuple[str, int, bytes]]:
    return [
        (name, label, dataset.read(index))
        for index, (name, label) in enumerate(zip(dataset.names, dataset.labels, strict=True))
    ]


def test_list_and_folder_give_the_same(tmp_path: Path) -> None:
    file = write(tmp_path, "val/a.png 3\nval/b.png\t0\n", "val/a.png", "val/b.png")
    dataset = load(file, 4)
    assert dataset == load(tmp_path, 4)
    assert content(dataset) == [("val/a.png", 3, b"bytes of val/a.png"), ("val/b.png", 0, b"bytes of val/b.png")]
    assert dataset.name == f"{tmp_path.name}/val_list.txt"
    assert dataset.description == f"{tmp_path.name}/val_list.txt, 2 images"
    assert dataset.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert dataset.format == "list"
    assert dataset.complete


def test_the_name_is_never_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.png 0\n", "a.png", name="own.txt")
    monkeypatch.chdir(tmp_path)
    for path in (Path("own.txt"), Path("./own.txt"), tmp_path / "own.txt"):
        assert load(path, 1).name == f"{tmp_path.name}/own.txt"


@pytest.mark.parametrize("line", ["my photos/a b.png 2", "my photos/a b.png   2  ", "my photos/a b.png \t2\r"])
def test_paths_may_hold_spaces(tmp_path: Path, line: str) -> None:
    file = write(tmp_path, f"\ufeff{line}\n\n", "my photos/a b.png")
    assert content(load(file, 3)) == [("my photos/a b.png", 2, b"bytes of my photos/a b.png")]


def test_absolute_paths_are_taken(tmp_path: Path) -> None:
    file = write(tmp_path, f"{tmp_path / 'elsewhere' / 'a.png'} 0\n", "elsewhere/a.png")
    assert load(file, 1).read(0) == b"bytes of elsewhere/a.png"


def test_root_is_what_paths_are_relative_to(tmp_path: Path) -> None:
    write(tmp_path / "images", "", "val/a.png")
    (tmp_path / "lists").mkdir()
    file = write(tmp_path / "lists", "val/a.png 0\n")
    dataset = load(file, 1, root=tmp_path / "images")
    assert content(dataset) == [("val/a.png", 0, b"bytes of val/a.png")]
    assert load(file, 1).notes == (f"its images are in {tmp_path / 'images'}, not beside the list",)
    with pytest.raises(InputError, match=r"1 of 1 images are missing.*relative to --root"):
        load(file, 1, root=tmp_path)
    with pytest.raises(InputError, match=r"--root .*absent: no such folder"):
        load(file, 1, root=tmp_path / "absent")


def test_only_the_images_of_a_limit_must_be_there(tmp_path: Path) -> None:
    file = write(tmp_path, "a.png 0\nb.png 1\nabsent.png 2\n", "a.png", "b.png")
    dataset = load(file, 3, limit=2)
    assert dataset.labels == (0, 1)
    assert dataset.description == f"{tmp_path.name}/val_list.txt, 2 of 3 images, evenly over its classes"
    with pytest.raises(InputError, match="missing"):
        load(file, 3)


def test_an_image_that_goes_away_is_unreadable(tmp_path: Path) -> None:
    dataset = load(write(tmp_path, "a.png 0\n", "a.png"), 1)
    (tmp_path / "a.png").unlink()
    with pytest.raises(UnreadableImage, match=r"a\.png cannot be read \(No such file"):
        dataset.read(0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.png 0\na.png\n", "line 2: 'a.png' is not `path label`"),
        ("a.png 0\n\na.png one\n", "line 3: 'a.png one' is not"),
        ("a.png 1.0\n", "line 1: "),
        ("a.png ٣\n", "line 1: "),  # a digit, but none of a list's
        ("a.png " + "9" * 5000 + "\n", "line 1: "),
        (" 5\n", "line 1: '5' is not"),
        ("490\n361\n", "goes to --ground-truth"),
        ("a.png 0\nb.png 10\n", "line 2: label 10 is out of range: labels are 0-based, 0 to 9"),
        ("a.png 1\nb.png 10\n", "subtract 1 from each"),
        ("a.png -1\n", "line 1: label -1 is out of range"),
        ("a.png 0\nb.png 1\n./a.png 0\n", "line 3: 'a.png' is in line 1 already"),
        ("", "the list is empty"),
        ("\n  \n", "the list is empty"),
        (POINTER, "a Git LFS pointer instead of the file itself: run `git lfs pull`"),
    ],
)
def test_bad_lists(tmp_path: Path, text: str, message: str) -> None:
    file = write(tmp_path, text, "a.png", "b.png")
    with pytest.raises(InputError) as caught:
        load(file, 10)
    assert message in caught.value.message
    assert str(file) in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400


def test_missing_files_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    file = write(tmp_path, "a.png 0\nb.png 0\nc\0.png 0\n" + "d" * 5000 + " 0\n", "a.png")
    with pytest.raises(
        InputError, match=r"line 2: 3 of 4 images are missing, the first is .*b\.png; paths are relative"
    ):
        load(file, 1)


def test_images_that_git_lfs_has_not_fetched(tmp_path: Path) -> None:
    file = write(tmp_path, "a.png 0\nb.png 0\nc.png 0\n", "a.png")
    for name in ("b.png", "c.png"):
        (tmp_path / name).write_text(POINTER)
    with pytest.raises(InputError, match=r"line 2: 2 of 3 images are Git LFS pointers, the first is .*b\.png"):
        load(file, 1)


def test_a_folder_where_an_image_should_be(tmp_path: Path) -> None:
    (tmp_path / "set" / "b.png").mkdir(parents=True)
    file = write(tmp_path / "set", "a.png 0\nb.png 0\n", "a.png")
    with pytest.raises(InputError, match=r"line 2: .*b\.png is a folder"):
        load(file, 1)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(b"\x89PNG\r\n\x1a\n\xff")
    with pytest.raises(InputError, match="no UTF-8 text"):
        load(file, 1)


@pytest.mark.parametrize(
    ("line", "name", "word"),
    [
        ("a b.png 3", "a b.png", "3"),
        ("a.png,3", "a.png", "3"),
        ("a.png ,n01440764 ", "a.png", "n01440764"),
        ("a.png\tpolar bear \t", "a.png", "polar bear"),
        ("a.png, polar bear", "a.png", "polar bear"),
        ("'a.png', dog", "'a.png'", "dog"),
        ("a, dog", "a, dog", None),  # no image by its name
        ("a.png dog", "a.png dog", None),
        ("a.png\tx\ty", "a.png\tx\ty", None),
        ("  a.png  ", "a.png", None),
        ("7", "7", None),
        ("a.png 1234567890123456789", "a.png 1234567890123456789", None),
        ("a.png 123456789012345678", "a.png", "123456789012345678"),
        ("a.png n014407641", "a.png n014407641", None),
        ("a.png -1", "a.png", "-1"),
    ],
)
def test_where_a_path_ends(line: str, name: str, word: str | None) -> None:
    found = parse_lines(f"{line}\r\n", "list")
    assert (found.names, found.words, found.lines) == ([name], [word], [1])
    assert found.numbered is (word is not None and word.lstrip("-").isdigit())


def test_comments_are_those_at_the_begin() -> None:
    found = parse_lines("\n# path label\n#\n#1.png 0\n# no comment 1\n \nb.png 2\n\x1a", "list")
    assert found.names == ["#1.png", "# no comment", "b.png"]
    assert found.lines == [4, 5, 7]
    assert found.labels == [0, 1, 2]
    assert not parse_lines("# a\n# b\n", "list").names


def test_lines_end_at_line_feeds_alone() -> None:
    assert parse_lines("a\u2028b.png 1\n", "list").names == ["a\u2028b.png"]


@pytest.mark.parametrize(
    ("name", "plain"), [('"a"', "a"), ("'a b'", "a b"), ("''", "''"), ("'a\"", "'a\""), ("xax", "xax"), ("'", "'")]
)
def test_quotes(name: str, plain: str) -> None:
    assert unquoted(name) == plain


@pytest.mark.parametrize(("text", "number"), [(" 5\r", True), ("-5", True), ("", False), ("5.0", False)])
def test_numbers(text: str, number: bool) -> None:
    assert is_number(text) is number


@pytest.mark.parametrize(("count", "shown"), [(80, "x" * 80), (81, "x" * 77 + "...")])
def test_long_lines_are_cut(count: int, shown: str) -> None:
    assert shortened("x" * count) == repr(shown)


def test_each_duplicate_is_named_with_the_first_of_its_kind() -> None:
    found = parse_lines("\na 1\nb 1\n\nc 1\nd 1\n", "list")
    found.refuse_duplicates(found.names)
    with pytest.raises(InputError, match="list, line 6: 'B' is in line 3 already"):
        found.refuse_duplicates(["A", "B", "C", "B"])


# Anything but a line end, and no blank at the end, which would belong to the gap before the label.
paths = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1).filter(
    lambda path: path.strip() and path[-1] not in " \t"
)


@given(st.lists(st.tuples(paths, st.integers(-9, 10**17), st.sampled_from([" ", "\t", "  \t"])), min_size=1))
def test_what_is_written_is_read_back(entries: list[tuple[str, int, str]]) -> None:
    text = "".join(f"{path}{gap}{label}\n" for path, label, gap in entries)
    found = parse(text, "list")
    assert list(zip(found.lines, found.names, found.labels, strict=True)) == [
        (number, path, label) for number, (path, label, _) in enumerate(entries, start=1)
    ]


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse(text, "list")
    except InputError as error:
        assert error.message.startswith("list")  # noqa: PT017 - what matters is that nothing else is raised
    else:
        assert all(found.names)


def test_an_image_whose_name_begins_as_a_comment_is_an_image() -> None:
    found = parse_lines("# of the second camera\n#5 0\n#6.png 1\n", "list")
    assert (found.lines, found.names, found.labels) == ([2, 3], ["#5", "#6.png"], [0, 1])


def test_labels_are_numbers_where_all_of_them_are() -> None:
    assert LabelledList("list", [1, 2], ["a", "b"], ["1", "-2"]).numbered
    wrong: list[list[str | None]] = [["1", "cat"], ["cat", "1"], ["1", None]]
    for words in wrong:
        assert not LabelledList("list", [1, 2], ["a", "b"], words).numbered
