"""Files as they are found: what they are, what encoding they have, and whether they are there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets import files
from convert.datasets.files import check_images, decoded, head, is_file, is_folder, read_bytes, scan, short_name

POINTER = b"version https://git-lfs.github.com/spec/v1\n"


def test_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe")
    assert (is_file(tmp_path / "file"), is_folder(tmp_path / "file")) == (True, False)
    assert (is_file(tmp_path), is_folder(tmp_path)) == (False, True)
    for name in ("absent", "a\0b", "x" * 300, "pipe"):
        assert not is_file(tmp_path / name)
        assert not is_folder(tmp_path / name)


def test_a_folder_by_name_without_what_is_hidden(tmp_path: Path) -> None:
    for name in ("10", "9", "b", "A", ".hidden", "a."):
        (tmp_path / name).touch()
    assert [entry.name for entry in scan(tmp_path)] == ["10", "9", "A", "a.", "b"]
    with pytest.raises(InputError, match=r"absent: the folder cannot be read \(No such file"):
        scan(tmp_path / "absent")


def test_short_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "f.txt").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    monkeypatch.chdir(tmp_path / "a")
    assert short_name(Path("b")) == short_name(tmp_path / "link") == "a/b"
    assert short_name(Path("b/../f.txt")) == short_name(Path("f.txt")) == "a/f.txt"
    assert short_name(Path("/x")) == "x"


def test_the_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(range(256)) * 4)
    assert head(tmp_path / "f", 5) == bytes(range(5))
    assert len(head(tmp_path / "f")) == 512
    with pytest.raises(InputError, match=r"absent: the file cannot be read \(No such file"):
        head(tmp_path / "absent")


def test_small_files_are_read_whole(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert read_bytes(tmp_path / "f", "a list", 3) == b"abc"
    with pytest.raises(InputError, match=r"f: too large for a list: 3 bytes"):
        read_bytes(tmp_path / "f", "a list", 2)
    with pytest.raises(InputError, match="a folder where a list should be"):
        read_bytes(tmp_path, "a list")
    for name in ("absent", "a\0b"):
        with pytest.raises(InputError, match="a list cannot be read"):
            read_bytes(tmp_path / name, "a list")
    (tmp_path / "f").write_bytes(POINTER)
    with pytest.raises(InputError, match="run `git lfs pull`"):
        read_bytes(tmp_path / "f", "a list")


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8"),
        ("utf-16-le", "UTF-16-LE"),
        ("utf-16-be", "UTF-16-BE"),
        ("utf-16", "UTF-16"),
        ("utf-32", "UTF-32"),
        ("gb18030", "GB18030"),
    ],
)
@pytest.mark.parametrize(
    "text", ["狗的照片/a.png 1\r\n", "long/" * 900 + "狗的照片.png\t12\n\x1a", "one.png 3, 照片\x0c\n"]
)
def test_encodings_are_told(encoding: str, name: str, text: str) -> None:
    assert decoded(text.encode(encoding), "s", "a list") == (text, name)


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff"])
def test_utf_16_by_its_mark_alone(mark: bytes) -> None:
    text = "狗的照片".encode("utf-16-le" if mark == b"\xff\xfe" else "utf-16-be")
    assert decoded(mark + text, "s", "a list") == ("狗的照片", "UTF-16")


@pytest.mark.parametrize(
    "data", [b"\x89PNG\r\n\x1a\n\xff", b"\xff" * 9, b"a\0b\0\xff", "a\u8f38".encode("utf-16") + b"x"]
)
def test_what_is_no_text(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^s: not a list: it is no UTF-8 text, nor one in UTF-16 or GBK"):
        decoded(data, "s", "a list")


@pytest.mark.parametrize("control", ["\x00", "\x08", "\x0e", "\x1b", "\x1f"])
def test_what_has_other_signs_than_text_is_no_gbk(control: str) -> None:
    assert decoded("照片".encode("gbk") + b"\t\r\n", "s", "a list")[1] == "GB18030"
    with pytest.raises(InputError):
        decoded("狗的照片".encode("gbk") + control.encode(), "s", "a list")
    assert decoded(b"abcdefghijk" + control.encode(), "s", "a list")[1] == "UTF-8"


def test_images_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c", "d", "e")]
    for path in paths:
        path.write_bytes(b"x")

    def check() -> None:
        check_images(paths, lambda index: f"line {index}", "a hint")

    check()
    paths[4].write_bytes(POINTER)
    with pytest.raises(InputError, match=r"^line 4: 1 of 5 images are Git LFS pointers, the first is .*/e; run `git"):
        check()
    paths[2].write_bytes(POINTER)
    with pytest.raises(InputError, match=r"^line 2: 2 of 5 images are Git LFS pointers, the first is .*/c; run `git"):
        check()
    paths[3].unlink()
    with pytest.raises(InputError, match=r"^line 3: 1 of 5 images are missing, the first is .*/d; a hint$"):
        check()
    paths[3].mkdir()
    with pytest.raises(InputError, match=r"^line 3: .*/d is a folder, not an image"):
        check()


@pytest.mark.parametrize(("size", "refused"), [(1023, True), (1024, False)])
def test_a_pointer_is_small(tmp_path: Path, size: int, refused: bool) -> None:
    (tmp_path / "a").write_bytes(POINTER.ljust(size))
    (tmp_path / "empty").write_bytes(b"")
    images = [tmp_path / "empty", tmp_path / "a"]
    if refused:
        with pytest.raises(InputError, match="1 of 2 images are Git LFS"):
            check_images(images, str, "")
    else:
        check_images(images, str, "")


def test_an_image_that_cannot_be_read_is_left_to_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")  # a size of 0: it is not opened, which would wait for ever
    check_images([tmp_path / "pipe"], str, "")
    (tmp_path / "a").write_bytes(b"x")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    check_images([tmp_path / "a"], str, "")
    with pytest.raises(InputError, match="Permission denied"):
        files.head(tmp_path / "a")
