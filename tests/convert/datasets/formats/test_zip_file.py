"""Zips: damaged ones, and those that mean harm."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets import load
from convert.datasets.formats import zip_file
from convert.images.preprocess import UnreadableImage
from tests.convert.datasets.written_sets import write_zip


def test_paths_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"outside")
    path = write_zip(tmp_path / "a.zip", {"../secret.png": b"inside", "val_list.txt": b"../secret.png 0\n"})
    assert load(path, 1).read(0) == b"inside"
    path = write_zip(tmp_path / "b.zip", {"c.png": b"", "val_list.txt": b"../secret.png 0\n/etc/passwd 0\n"})
    with pytest.raises(InputError, match="2 of 2 images are not in the archive"):
        load(path, 1)


@pytest.mark.parametrize("cut", [10, 200])
def test_damage(tmp_path: Path, cut: int) -> None:
    path = write_zip(tmp_path / "a.zip", {"a/b.png": bytes(range(256)) * 4, "c/d.png": b"x"}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    path.write_bytes(data[:cut])
    with pytest.raises(InputError, match=r"a\.zip: the archive is damaged or cut off"):
        load(path, 2)
    data[100] ^= 1
    path.write_bytes(data)
    dataset = load(path, 2)
    with pytest.raises(UnreadableImage, match=r"b\.png cannot be read \(Bad CRC"):
        dataset.read(0)


def test_a_password(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a/b.png": b"x"})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="locked with a password"):
        load(path, 1)


def test_names_in_gbk(tmp_path: Path) -> None:
    name = "照片/狗.png"
    path = write_zip(tmp_path / "a.zip", {name: b"x"})
    plain = bytearray(path.read_bytes().replace(name.encode(), name.encode("gbk").ljust(len(name.encode()), b"_")))
    plain[7] &= ~8 & 0xFF
    plain[plain.index(b"PK\x01\x02") + 9] &= ~8 & 0xFF
    path.write_bytes(plain)
    assert next(iter(zip_file.open_zip(path).sizes)).startswith(name)


@pytest.mark.parametrize(("most", "refused"), [(1024, False), (1023, True)])
def test_the_largest_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, refused: bool) -> None:
    monkeypatch.setattr(zip_file, "MOST_BYTES", most)
    path = write_zip(tmp_path / "a.zip", {"b.bmp": bytes(1024)})
    if refused:
        with pytest.raises(InputError, match=r"b\.bmp announces 1024 bytes, packed into \d+: too much for an image"):
            zip_file.open_zip(path)
    else:
        assert zip_file.open_zip(path).image("b.bmp") == bytes(1024)


@pytest.mark.parametrize(
    ("ratio", "size", "refused"),
    [(199, 1 << 16, True), (200, 1 << 16, False), (199, 1 << 20, False), (199, (1 << 20) - 1, True)],
)
def test_a_bomb_is_large_and_packed_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ratio: int, size: int, refused: bool
) -> None:
    path = write_zip(tmp_path / "a.zip", {"b.bmp": bytes(1 << 20)})
    packed = zipfile.ZipFile(path).infolist()[0].compress_size
    monkeypatch.setattr(zip_file, "_BOMB_BYTES", size)
    monkeypatch.setattr(zip_file, "_BOMB_RATIO", (1 << 20) / packed * ratio / 200)
    if refused:
        with pytest.raises(InputError, match="too much for an image"):
            zip_file.open_zip(path)
    else:
        assert zip_file.open_zip(path).sizes == {"b.bmp": 1 << 20}


def test_bounds_that_photos_keep() -> None:
    assert 200 << 20 <= zip_file.MOST_BYTES < 512 << 20
    assert 16 << 20 <= zip_file._BOMB_BYTES < 64 << 20
    assert 100 <= zip_file._BOMB_RATIO < 1000


def test_an_empty_file_is_no_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_file, "_BOMB_BYTES", -1)
    assert zip_file.open_zip(write_zip(tmp_path / "a.zip", {"b.bmp": b""}, zipfile.ZIP_STORED)).sizes == {"b.bmp": 0}


def test_paths_in_it_are_relative_however_they_are_written(tmp_path: Path) -> None:
    files = {"/a.png": b"abcdef", "./b/c.png": b"gh", "d/": b"", "e/.DS_Store": b"x", "a.txt": b"1"}
    tree = zip_file.open_zip(write_zip(tmp_path / "a.zip", files))
    assert tree.sizes == {"a.png": 6, "b/c.png": 2, "a.txt": 1}
    assert (tree.image("a.png"), tree.fetch("a.png", 4), tree.fetch("b/c.png", 4)) == (b"abcdef", b"abcd", b"gh")


@pytest.mark.parametrize(("name", "refused"), [("b.png", True), ("b.txt", False)])
def test_the_same_image_twice(tmp_path: Path, name: str, refused: bool) -> None:
    path = write_zip(tmp_path / "a.zip", {name: b"1", f"./{name}": b"22"})
    if refused:
        with pytest.raises(InputError, match=r"b\.png is in the archive twice"):
            zip_file.open_zip(path)
    else:
        assert zip_file.open_zip(path).sizes == {name: 2}


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "cp437"])
def test_names_whose_encoding_is_not_said(encoding: str) -> None:
    name = "é" if encoding == "cp437" else "狗.png"
    info = zipfile.ZipInfo(name.encode(encoding).decode("cp437"))
    assert zip_file._name(info) == name
    info.flag_bits = 0x800
    assert zip_file._name(info) == info.filename


def test_a_pointer_instead_of_the_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(InputError, match="Git LFS pointer"):
        zip_file.open_zip(tmp_path / "a.zip")
