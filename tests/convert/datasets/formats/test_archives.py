"""Zips and tars of the forms that folders have, and WebDataset shards."""

from __future__ import annotations

import hashlib
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets import load
from convert.datasets.formats import archives
from convert.datasets.unlabelled import ImageSet, load_images
from tests.convert.datasets.written_sets import CLASSES, SYNSETS, Photos, write_list, write_tar, write_zip


def everything(path: Path) -> ImageSet:
    return load_images(path, "--calibration", lambda total, words: range(total))


def forms(photos: Photos) -> dict[str, dict[str, bytes]]:
    files = dict(zip(photos.names, photos.data, strict=True))
    lines = "".join(f"images/{name} {label}\n" for name, label in zip(photos.names, photos.labels, strict=True))
    tree = {f"{SYNSETS[label]}/{name}": files[name] for name, label in zip(files, photos.labels, strict=True)}
    listed = {f"images/{name}": data for name, data in files.items()}
    return {
        "list": {**listed, "val_list.txt": lines.encode()},
        "PaddleClas": {
            **{f"ILSVRC2012/val/{name}": files[name] for name in files},
            "ILSVRC2012/train/x.txt": b"",
            "ILSVRC2012/val_list.txt": lines.replace("images/", "val/").encode(),
        },
        "packed list": {
            "set/val.txt": lines.replace("images/", "").encode(),
            **{f"set/{n}": d for n, d in files.items()},
        },
        "notes beside": {"README.md": b"x", **{f"set/{name}": data for name, data in tree.items()}},
        "packed folder": {f"my set/{name}": data for name, data in {**listed, "val.txt": lines.encode()}.items()},
        "tree": tree,
        "splits": {f"set/val/{n}": d for n, d in tree.items()} | {f"set/train/{n}": b"x" for n in tree},
        "from a Mac": {
            **tree,
            **{f"__MACOSX/{n}": b"x" for n in tree},
            ".DS_Store": b"x",
            f"{SYNSETS[0]}/._a.png": b"x",
        },
    }


@pytest.mark.parametrize(
    "form", ["list", "packed folder", "packed list", "PaddleClas", "notes beside", "tree", "splits", "from a Mac"]
)
@pytest.mark.parametrize("packed", ["zip", "tar"])
def test_the_forms_of_folders(tmp_path: Path, photos: Photos, form: str, packed: str) -> None:
    files = forms(photos)[form]
    path = write_zip(tmp_path / "set.zip", files) if packed == "zip" else write_tar(tmp_path / "set.tar", files)
    dataset = load(path, CLASSES)
    found = {name.rsplit("/", 1)[-1]: (dataset.labels[i], dataset.read(i)) for i, name in enumerate(dataset.names)}
    assert found == photos.content()
    assert dataset.format == packed
    assert str(tmp_path) not in dataset.description
    images = everything(path)
    assert len(images.names) == len(photos.names) * (2 if form == "splits" else 1)


def test_images_in_a_zip_with_a_ground_truth_beside_it(tmp_path: Path, photos: Photos) -> None:
    path = write_zip(tmp_path / "val.zip", dict(zip(photos.names, photos.data, strict=True)), zipfile.ZIP_STORED)
    with pytest.raises(InputError, match="images without labels; give --ground-truth"):
        load(path, CLASSES)
    lines = "".join(f"{name},{label}\n" for name, label in zip(photos.names, photos.labels, strict=True))
    (tmp_path / "val_list.txt").write_text(lines)
    dataset = load(path, CLASSES)
    assert dataset.labels == tuple(photos.labels)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(dataset.read, [i % 24 for i in range(500)])) == [photos.data[i % 24] for i in range(500)]


def test_an_image_is_the_same_wherever_it_lies(tmp_path: Path, photos: Photos) -> None:
    """What int8 was calibrated on is known by the encoded bytes."""
    files = dict(zip(photos.names, photos.data, strict=True))
    expected = [hashlib.sha256(data).hexdigest() for data in photos.data]
    for path in (write_zip(tmp_path / "a.zip", files), write_tar(tmp_path / "a.tar", files)):
        found = everything(path)
        assert [hashlib.sha256(found.read(i)).hexdigest() for i in range(24)] == expected


def test_several_archives_that_are_no_shards(tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        write_tar(tmp_path / name, {"x.png": b"x"})
    with pytest.raises(InputError, match=r"2 archives \(a\.tar, b\.tar\), no WebDataset; give one of them"):
        load(tmp_path, 1)


@pytest.mark.parametrize(
    ("name", "start", "kind"),
    [
        ("a.ZIP", b"", "zip"),
        ("a", b"PK\x03\x04", "zip"),
        ("a", b"PK\x05\x06", "zip"),  # an empty one
        ("a", b"PK\x01\x02", None),
        ("a.tar", b"", "tar"),
        ("a.Tar.Gz", b"", "tar"),
        ("a", b"\0" * 257 + b"ustar\x0000", "tar"),
        ("a", b"\0" * 257 + b"ustar", "tar"),
        ("a", b"\0" * 256 + b"ustar\x0000", None),
        ("a", b"\0" * 258 + b"ustar\x0000", None),
        ("a.gz", b"\x1f\x8b", None),
    ],
)
def test_what_an_archive_is(name: str, start: bytes, kind: str | None) -> None:
    assert archives.kind_of(Path("x", name), start) == kind


def test_an_archive_without_images(tmp_path: Path) -> None:
    full = (write_zip(tmp_path / "a.zip", {"a/b.txt": b"x"}), write_tar(tmp_path / "a.tar", {"b.txt": b"x"}))
    for path in (*full, write_tar(tmp_path / "b.tar", {})):
        with pytest.raises(InputError, match=r"[ab]\.(zip|tar): no images in the archive"):
            everything(path)


def test_where_the_set_in_an_archive_begins(tmp_path: Path) -> None:
    def classes(files: list[str]) -> object:
        found = load(write_zip(tmp_path / "a.zip", dict.fromkeys(files, b"x")))
        return found.class_names

    assert classes(["val/a.png", "other/b.png"]) == {0: "other", 1: "val"}  # without train/ val is a class as others
    assert classes(["train/a/1.png", "train/b/1.png", "validation/b/1.png", "validation/c/1.png"]) == {0: "b", 1: "c"}
    assert classes(["x/y/z/a/1.png", "x/y/z/b/1.png"]) == {0: "a", 1: "b"}
    with pytest.raises(InputError, match="images without labels"):
        classes(["set/1.png", "set/2.png"])  # a folder that is alone is no class
    with pytest.raises(InputError, match="images without labels"):
        classes(["top.png", "set/a/1.png", "set/b/1.png"])
    assert classes(["top.png", "a/1.png", "b/2.png"]) == {0: "a", 1: "b"}


def test_shards_are_the_tars_by_name(tmp_path: Path) -> None:
    for name in ("b.tar", "a.tar", "c.zip", "d.tar.gz"):
        write_tar(tmp_path / name, {"x.png": b"x"})
    (tmp_path / "e.tar").mkdir()
    assert [path.name for path in archives.shards(tmp_path)] == ["a.tar", "b.tar"]
    tree = archives.open_shards(tmp_path, archives.shards(tmp_path))
    assert tree.sizes == {"a.tar/x.png": 1, "b.tar/x.png": 1}
    assert tree.source == str(tmp_path)


def test_a_ground_truth_that_is_given_goes_before_what_is_in_the_archive(tmp_path: Path, photos: Photos) -> None:
    path = write_zip(tmp_path / "a.zip", forms(photos)["tree"])
    file = write_list(tmp_path / "truth.txt", photos.names[:3], [6, 6, 6])
    assert load(path, CLASSES, ground_truth=file).labels == (6, 6, 6)


def webdataset(folder: Path, name: str, data: bytes) -> None:
    write_tar(folder / name, {"0001.jpg": data, "0001.cls": b"1"})


def test_shards_of_other_splits_are_left_out_and_said(tmp_path: Path) -> None:
    for name in ("val-0.tar", "val-1.tar", "train-0.tar"):
        webdataset(tmp_path, name, name.encode())
    found = load(tmp_path, 3)
    assert [found.read(i) for i in range(2)] == [b"val-0.tar", b"val-1.tar"]
    assert found.notes[0] == "left out: 1 archive of other splits: train-0.tar"
    tree = archives.open_shards(tmp_path, [tmp_path / "val-1.tar"])
    assert tree.fetch("val-1.tar/0001.jpg", 5) == b"val-1"


def test_shards_of_training_and_of_nobody_knows_what_are_refused(tmp_path: Path) -> None:
    for name in ("more-0.tar", "train-0.tar"):
        webdataset(tmp_path, name, b"x")
    with pytest.raises(InputError, match=r"shards of training and of others \(more-0\.tar, train-0\.tar\)"):
        load(tmp_path, 3)
