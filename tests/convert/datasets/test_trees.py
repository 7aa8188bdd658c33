"""The same files on disk and in archives are the same tree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets.formats.tar import open_tar
from convert.datasets.formats.zip_file import open_zip
from convert.datasets.trees import (
    ArchiveTree,
    DiskTree,
    Entries,
    Tree,
    has_file,
    images_and_others,
    joined,
    normal,
    read_image,
    walk,
)
from convert.images.preprocess import UnreadableImage
from tests.convert.datasets.written_sets import write_folder, write_tar, write_zip

FILES = {
    "b.png": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "b/2.JPG": b"2",
    "b/d/e": b"\xff\xd8\xff\xe0",
    "b/d/f": b"text",
    "a/x.txt": b"words",
    "a/Thumbs.db": b"junk",
    "__MACOSX/a.png": b"junk",
    ".hidden": b"junk",
    "c10": b"GIF89a",
    "c9.csv": b"GIF89a",
}
Made = Callable[[dict[str, bytes]], Tree]


@pytest.fixture(params=["disk", "zip", "tar"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    def make(files: dict[str, bytes]) -> Tree:
        if request.param == "disk":
            return DiskTree(write_folder(tmp_path / "set", files))
        path = tmp_path / "set"
        return open_zip(write_zip(path, files)) if request.param == "zip" else open_tar(write_tar(path, files))

    return make


def test_what_is_in_it(made: Made) -> None:
    tree = made(FILES)
    assert tree.source.endswith("/set")
    assert tree.entries() == Entries(["a", "b"], ["b.png", "c10", "c9.csv"])
    assert tree.entries("b") == Entries(["d"], ["2.JPG"])
    assert tree.entries("b/d") == Entries([], ["e", "f"])
    assert list(walk(tree)) == ["a/x.txt", "b/2.JPG", "b/d/e", "b/d/f", "b.png", "c10", "c9.csv"]
    assert list(walk(tree, "b")) == ["b/2.JPG", "b/d/e", "b/d/f"]
    images, others = images_and_others(tree, "", list(walk(tree)))
    assert images == ["b/2.JPG", "b/d/e", "b.png", "c10"]
    assert others == ["a/x.txt", "b/d/f", "c9.csv"]
    assert images_and_others(tree, "b/d", ["e", "f"]) == (["b/d/e"], ["b/d/f"])
    assert [has_file(tree, name) for name in ("b.png", "b", "x.txt", "2.JPG")] == [True, False, False, False]


def test_its_files(made: Made) -> None:
    tree = made(FILES)
    assert tree.head("b.png") == FILES["b.png"][:32]
    assert tree.head("b/2.JPG") == b"2"
    assert tree.text("a/x.txt", "a list") == b"words"
    assert tree.image("b.png") == FILES["b.png"]


def test_folders_named_like_images(made: Made) -> None:
    tree = made({"a.png": b"", "b/c.png/d.txt": b""})
    with pytest.raises(InputError, match=r"set: b/c\.png is a folder, not an image; rename it"):
        list(walk(tree))


def test_part_of_an_archive(tmp_path: Path) -> None:
    tree = open_tar(write_tar(tmp_path / "set", FILES)).below("b")
    assert tree.source == f"{tmp_path}/set: b"
    assert tree.entries() == Entries(["d"], ["2.JPG"])
    assert tree.below("d").entries() == tree.entries("d") == Entries([], ["e", "f"])
    assert tree.below("absent").entries() == Entries([], [])
    assert list(walk(tree)) == ["2.JPG", "d/e", "d/f"]
    assert (tree.image("d/f"), tree.text("2.JPG", "x"), tree.head("d/f")) == (b"text", b"2", b"text")


def test_a_member_that_is_damaged(tmp_path: Path) -> None:
    def fetch(name: str, count: int | None) -> bytes:
        raise UnreadableImage(name, "is damaged")

    tree = ArchiveTree(tmp_path / "a.zip", {"x": 1}, fetch)
    assert tree.head("x") == b""
    with pytest.raises(InputError, match=r"a\.zip: a list cannot be read: is damaged"):
        tree.text("x", "a list")


def test_links_that_lead_round_in_circles(tmp_path: Path) -> None:
    write_folder(tmp_path / "set", {"a/x.png": b"", "y.png": b""})
    (tmp_path / "set" / "a" / "up").symlink_to(tmp_path / "set" / "a")
    found = list(walk(DiskTree(tmp_path / "set")))
    assert len(found) == 33
    assert (found[-1], found[-2], found[0].count("up")) == ("y.png", "a/x.png", 31)
    assert list(walk(DiskTree(tmp_path / "set"), "", 1)) == ["a/x.png", "y.png"]
    assert list(walk(DiskTree(tmp_path / "set"), "", 0)) == ["y.png"]


def test_files_of_a_disk_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    assert DiskTree(tmp_path).head("folder.png") == DiskTree(tmp_path).head("absent") == b""
    for name, reason in (("folder.png", "Is a directory"), ("absent", "No such file"), ("a\0b", "null")):
        with pytest.raises(UnreadableImage, match=f"cannot be read \\(.*{reason}"):
            read_image(tmp_path / name)


@pytest.mark.parametrize(("folder", "name", "path"), [("", "a", "a"), ("b", "", "b"), ("b", "a", "b/a"), ("", "", "")])
def test_joined(folder: str, name: str, path: str) -> None:
    assert joined(folder, name) == path


@pytest.mark.parametrize(("path", "found"), [("./a//b/../c", "a/c"), ("../a", "../a"), ("a/", "a")])
def test_normal(path: str, found: str) -> None:
    assert normal(path) == found
