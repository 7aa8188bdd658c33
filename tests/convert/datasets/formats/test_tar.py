"""Archives that stay packed."""

from __future__ import annotations

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common.errors import InputError
from convert.datasets import load
from convert.datasets.formats.tar import index, open_tar
from convert.datasets.unlabelled import load_images
from convert.images.preprocess import UnreadableImage
from tests.convert.datasets.written_sets import CLASSES, Photos, make_photos, write_list, write_tar


@pytest.fixture
def archive(tmp_path: Path, photos: Photos) -> Path:
    write_list(tmp_path / "val_list.txt", photos.names, photos.labels)
    return write_tar(tmp_path / "val.tar", dict(zip(photos.names, photos.data, strict=True)))


def test_images_are_read_where_they_lie(archive: Path, photos: Photos) -> None:
    dataset = load(archive, CLASSES)
    assert dataset.format == "tar"
    assert dataset.description == f"{archive.parent.name}/val.tar with val_list.txt, 24 images"
    assert [dataset.read(i) for i in range(24)] == photos.data
    assert sorted(path.name for path in archive.parent.iterdir()) == ["val.tar", "val_list.txt"]


def test_threads_do_not_disturb_each_other(archive: Path, photos: Photos) -> None:
    dataset = load(archive, CLASSES)
    order = [i * 7 % 24 for i in range(2000)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(dataset.read, order)) == [photos.data[i] for i in order]


def test_a_folder_with_the_original_archive(tmp_path: Path, photos: Photos) -> None:
    write_tar(
        tmp_path / "ILSVRC2012_img_val.tar", {f"./{n}": d for n, d in zip(photos.names, photos.data, strict=True)}
    )
    list_file = write_list(tmp_path / "labels" / "list.txt", photos.names, photos.labels)
    assert load(tmp_path, CLASSES, ground_truth=list_file).names == tuple(photos.names)


def test_other_entries_are_no_images(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar", {"README.txt": b"x", "val/._a.JPEG": b"x", "val/a.JPEG": b"abc"})
    with tarfile.open(archive, "a") as packed:
        packed.addfile(tarfile.TarInfo("folder.jpeg.d"))
    assert list(index(archive)) == ["README.txt", "val/a.JPEG", "folder.jpeg.d"]
    assert load_images(archive, "--inputs", lambda total, words: range(total)).names == ("val/a.JPEG",)


def test_paths_in_it_are_relative_however_they_are_written(tmp_path: Path) -> None:
    tree = open_tar(write_tar(tmp_path / "a.tar", {"/a.JPEG": b"abcdef", "./b/c.JPEG": b"gh", "d/./e/": b""}))
    assert sorted(tree.sizes) == ["a.JPEG", "b/c.JPEG", "d/./e"]
    assert (tree.image("a.JPEG"), tree.image("b/c.JPEG")) == (b"abcdef", b"gh")
    assert (tree.fetch("a.JPEG", 4), tree.fetch("b/c.JPEG", 4), tree.fetch("a.JPEG", 6)) == (b"abcd", b"gh", b"abcdef")


@pytest.mark.parametrize(
    "header",
    [
        {"GNU.sparse.map": "a,b", "GNU.sparse.size": "1"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
        {"size": "99999999999999999999"},
        {"size": "-5"},
    ],
)
def test_headers_whose_numbers_are_none(tmp_path: Path, header: dict[str, str]) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as packed:
        entry = tarfile.TarInfo("a.JPEG")
        entry.size, entry.pax_headers = 3, header
        packed.addfile(entry, io.BytesIO(b"abc"))
    with pytest.raises(InputError, match=r"a\.tar: the archive (cannot be read|is damaged)"):
        index(archive)


def test_a_list_twice_and_a_link_to_one_are_not_minded(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar", {"l.txt": b"1", "./l.txt": b"22"})
    with tarfile.open(archive, "a") as packed:
        entry = tarfile.TarInfo("m.txt")
        entry.type, entry.linkname = tarfile.SYMTYPE, "l.txt"
        packed.addfile(entry)
        packed.addfile(tarfile.TarInfo("a.JPEG"))
    assert [(name, member.size) for name, member in index(archive).items()] == [("l.txt", 2), ("a.JPEG", 0)]


def test_a_link_where_an_image_should_be(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as packed:
        entry = tarfile.TarInfo("a.JPEG")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(entry)
    with pytest.raises(InputError, match=r"a\.JPEG is no plain file in the archive"):
        index(archive)


def test_the_same_image_twice(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar", {"a.JPEG": b"abc", "./a.JPEG": b"abd"})
    with pytest.raises(InputError, match=r"a\.JPEG is in the archive twice"):
        index(archive)


@pytest.mark.parametrize(("mode", "kind"), [("w:gz", "gzip"), ("w:bz2", "bzip2"), ("w:xz", "xz")])
def test_a_compressed_archive(tmp_path: Path, mode: str, kind: str) -> None:
    for name in ("val.tar", "val.tar.gz"):
        archive = write_tar(tmp_path / name, {"a.JPEG": b"abc"}, mode)
        with pytest.raises(InputError, match=f"compressed with {kind}.*decompress it first"):
            load(archive, CLASSES)


def test_a_pointer_instead_of_the_archive(tmp_path: Path) -> None:
    (tmp_path / "val.tar").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 6744924160\n")
    with pytest.raises(InputError, match="Git LFS pointer"):
        load(tmp_path / "val.tar", CLASSES)


@pytest.mark.parametrize("content", [b"", b"no archive", b"x" * 2048])
def test_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "val.tar").write_bytes(content)
    with pytest.raises(InputError, match=r"val\.tar: the archive is damaged or cut off"):
        load(tmp_path / "val.tar", CLASSES)


FILES = dict(zip(make_photos(3).names, make_photos(3).data, strict=True))


@given(cut=st.integers(0, 10_239))
def test_an_archive_cut_off_anywhere(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """Also between two entries, where tarfile takes the end of the file for the end of the archive."""
    archive = write_tar(tmp_path_factory.mktemp("tar") / "a.tar", FILES)
    data = archive.read_bytes()
    whole = index(archive)
    archive.write_bytes(data[:cut])
    last = max(place.offset + place.size for place in whole.values())
    mark = -(-last // 512) * 512
    if cut >= mark + 512:
        assert index(archive) == whole
    else:
        with pytest.raises(InputError, match=r"a\.tar: the archive is damaged or cut off"):
            index(archive)


@pytest.mark.parametrize(("more", "whole"), [(0, False), (1, False), (511, False), (512, True), (513, True)])
def test_one_block_of_zeros_is_the_end(tmp_path: Path, more: int, whole: bool) -> None:
    archive = write_tar(tmp_path / "a.tar", {"a.JPEG": b"x" * 512})
    archive.write_bytes(archive.read_bytes()[: 1024 + more])
    if whole:
        assert list(index(archive)) == ["a.JPEG"]
    else:
        with pytest.raises(InputError, match=r"damaged or cut off: after 1 files, at byte 1024 of"):
            index(archive)


def test_a_damaged_entry_is_not_the_end(tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "a.tar", FILES)
    data = bytearray(archive.read_bytes())
    header = index(archive)["ILSVRC2012_val_00000002.JPEG"].offset - 512
    data[header + 10] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(InputError, match="damaged or cut off: after 1 files"):
        index(archive)


def test_an_archive_that_shrinks_or_goes_away(archive: Path) -> None:
    dataset = load(archive, CLASSES)
    archive.write_bytes(archive.read_bytes()[:600])
    with pytest.raises(UnreadableImage, match=r"ILSVRC2012_val_00000001\.JPEG cannot be read \(88 of \d+ bytes"):
        dataset.read(0)
    archive.unlink()
    with pytest.raises(UnreadableImage, match="No such file"):
        dataset.read(3)
