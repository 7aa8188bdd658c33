"""Images of whatever a user points at, without their labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets.unlabelled import ImageSet, load_images
from tests.convert.datasets.written_sets import Photos, write_folder, write_list, write_set, write_tar


def everything(path: Path) -> ImageSet:
    return load_images(path, "--inputs", lambda total, words: range(total))


@pytest.mark.parametrize("kind", ["list", "image folder", "flat", "tar", "parquet"])
def test_every_format_that_accuracy_takes(tmp_path: Path, photos: Photos, kind: str) -> None:
    found = everything(write_set(kind, tmp_path, photos))
    data = {name.rsplit("/", 1)[-1]: found.read(i) for i, name in enumerate(found.names)}
    assert data == dict(zip(photos.names, photos.data, strict=True))


def test_a_folder_is_read_by_name_all_the_way_down(tmp_path: Path) -> None:
    names = ["b/2.JPG", "b.png", "a.png", "notes.md", "b/.x.png", "c/d/e.gif"]
    write_folder(tmp_path, dict.fromkeys(names, b""))
    found = everything(tmp_path)
    assert found.names == ("a.png", "b/2.JPG", "b.png", "c/d/e.gif")
    assert found.notes == ("left out: 1 file that is no image: notes.md",)


def test_a_folder_without_images_is_the_list_or_archive_in_it(tmp_path: Path, photos: Photos) -> None:
    write_folder(tmp_path / "images", {"a.png": b"1", "b.png": b"2"})
    (tmp_path / "lists").mkdir()
    write_list(tmp_path / "lists" / "val.txt", ["../images/b.png"], [0])
    assert everything(tmp_path / "lists").read(0) == b"2"
    with pytest.raises(InputError, match=r"--inputs .*: no images in it"):
        everything(write_folder(tmp_path / "empty", {"x.md": b""}))


def test_shards_and_tables_whose_labels_cannot_be_told(tmp_path: Path) -> None:
    for name in ("b.tar", "a.tar"):
        write_tar(tmp_path / "shards" / name, {"x.jpg": name.encode(), "x.cls": b"0"})
    found = everything(tmp_path / "shards")
    assert found.names == ("a.tar/x.jpg", "b.tar/x.jpg")
    assert [found.read(i) for i in range(2)] == [b"a.tar", b"b.tar"]
    assert found.notes == ("left out: 2 files that are no images: a.tar/x.cls, b.tar/x.cls",)
    write_folder(tmp_path / "t", {"i/1.png": b"1", "t.csv": b"path,label,target\ni/1.png,2,3\n"})
    assert everything(tmp_path / "t" / "t.csv").read(0) == b"1"


def test_which_are_picked(tmp_path: Path, photos: Photos) -> None:
    """Also of a list, whose labels are told where every line has one."""
    path = write_set("parquet", tmp_path / "p", photos)
    asked: list[object] = []

    def last(total: int, words: object) -> list[int]:
        asked.append((total, words))
        return [total - 1, 0]

    found = load_images(path, "--inputs", last)
    assert found.names == (photos.names[-1], photos.names[0])
    assert [found.read(i) for i in range(2)] == [photos.data[-1], photos.data[0]]
    write_folder(tmp_path / "l", {"a.png": b"1", "b.png": b"2", "c.png": b"3"})
    (tmp_path / "l" / "val.txt").write_text("c.png 2\na.png\nb.png 4\n")
    for place in ("l", "l/val.txt"):
        found = load_images(tmp_path / place, "--inputs", last)
        assert found.names == (("b.png", "c.png") if place != "l" else ("c.png", "a.png"))
        assert [found.read(i) for i in range(2)] == ([b"2", b"3"] if place != "l" else [b"3", b"1"])
    assert asked == [(24, None), (3, None), (3, None)]


def test_a_list_alone_in_a_folder_and_one_without_images(tmp_path: Path) -> None:
    write_folder(tmp_path, {"x/1.png": b"1", "lists/val.txt": b"../x/1.png 0\n", "lists/notes.md": b""})
    assert everything(tmp_path / "lists").names == ("../x/1.png",)
    write_folder(tmp_path / "none", {"val.txt": b"# nothing\n"})
    with pytest.raises(InputError, match=r"^--inputs .*none/val\.txt: no images in it$"):
        everything(tmp_path / "none")
    with pytest.raises(InputError, match=r"^--inputs .*none/val\.txt: no images in it$"):
        load_images(tmp_path / "none" / "val.txt", "--inputs", lambda total, words: [])


def test_images_of_a_folder_that_git_lfs_has_not_fetched(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.png": b"version https://git-lfs.github.com/spec/v1\noid", "b.png": b"1"})
    with pytest.raises(InputError, match="1 of 2 images are Git LFS pointers"):
        everything(tmp_path)
    assert load_images(tmp_path, "--inputs", lambda total, words: [1]).names == ("b.png",)
    with pytest.raises(InputError, match=r"^--inputs .*: no images in it$"):
        load_images(tmp_path, "--inputs", lambda total, words: [])


def test_one_image_is_itself_by_its_name_or_its_bytes(tmp_path: Path, photos: Photos) -> None:
    write_folder(tmp_path, {"one.webp": b"", "photo": photos.data[0]})
    assert everything(tmp_path / "one.webp").names == ("one.webp",)
    assert everything(tmp_path / "photo").read(0) == photos.data[0]


def test_only_those_that_are_picked_must_be_there(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.png": b"1", "l.txt": b"gone.png\na.png 3\nb c.png\n"})
    found = load_images(tmp_path / "l.txt", "--inputs", lambda total, words: [1] if words is None else [])
    assert (found.names, found.read(0)) == (("a.png",), b"1")


@pytest.mark.parametrize("label", ["1", "cat", "n01440764"])
def test_labels_are_told_as_they_are_written(tmp_path: Path, label: str) -> None:
    write_folder(tmp_path, {"a.png": b"", "l.txt": f"a.png\t{label}\n".encode()})
    seen: list[object] = []
    load_images(tmp_path / "l.txt", "--inputs", lambda total, words: seen.append(words) or range(total))  # type: ignore[func-returns-value]
    assert seen == [[label]]


def test_a_folder_that_is_called_like_an_image(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.png": b"", "sub/b.jpeg/c.png": b""})
    with pytest.raises(InputError, match=r"--inputs .*: sub/b\.jpeg is a folder, not an image"):
        everything(tmp_path)
    with pytest.raises(InputError, match=r"--inputs .*there is no such file or folder"):
        everything(tmp_path / "missing")
