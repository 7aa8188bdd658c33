"""Labelled sets in every format, and photos."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np

from convert.common.errors import InputError
from convert.datasets import unlabelled
from convert.datasets.load import load
from convert.families.spec import Preprocessing
from convert.images.preprocess import UnreadableImage, crop, decode, preprocess
from scripts.fuzz.target import Target

_CLASSES = 7
# Where in its folder each good set is.
_PLACES = {
    "list": "val_list.txt",
    "csv": "val.csv",
    "tree": "val",
    "flat": "ILSVRC2012_img_val",
    "tar": "ILSVRC2012_img_val.tar",
    "zip": "val.zip",
    "parquet": ".",
}


def _make(folder: Path) -> None:
    from tests.convert.datasets import written_sets as sets

    photos = sets.make_photos(14)
    for kind, written in {
        "list": "list",
        "tree": "image folder",
        "flat": "flat",
        "tar": "tar",
        "parquet": "parquet",
    }.items():
        sets.write_set(written, folder / kind, photos)
    rows = [f"val/{name},{label}\n" for name, label in zip(photos.names, photos.labels, strict=True)]
    sets.write_folder(folder / "csv" / "val", dict(zip(photos.names, photos.data, strict=True)))
    (folder / "csv" / "val.csv").write_text("".join(["image,label\n", *rows]))
    (folder / "zip").mkdir()
    with zipfile.ZipFile(folder / "zip" / "val.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, label, data in zip(photos.names, photos.labels, photos.data, strict=True):
            archive.writestr(f"{sets.SYNSETS[label]}/{name}", data)


def _look(folder: Path) -> None:
    path = folder / _PLACES[folder.name]
    found = load(path, _CLASSES)
    for number in range(len(found.labels)):
        try:
            crop(decode(found.read(number)), Preprocessing(8, 8))
        except UnreadableImage:
            continue
    assert all(0 <= label < _CLASSES for label in found.labels)
    unlabelled.load_images(path, "--inputs", lambda count, words: range(min(4, count)))


def _make_photos(folder: Path) -> None:
    rng = np.random.default_rng(0)
    kinds = {".jpg": (), ".progressive.jpg": (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), ".png": (), ".webp": (), ".bmp": ()}
    for suffix, options in kinds.items():
        (folder / suffix[1:]).mkdir()
        small = rng.integers(0, 255, (12, 16, 3), np.uint8)
        pixels = cv2.resize(small, (64, 48))
        (folder / suffix[1:] / "photo").write_bytes(
            cv2.imencode(f".{suffix.split('.')[-1]}", pixels, options)[1].tobytes()
        )


def _look_at_photo(folder: Path) -> None:
    try:
        assert preprocess((folder / "photo").read_bytes(), Preprocessing(36, 32)).shape == (3, 32, 32)
    except UnreadableImage as error:
        raise InputError(str(error)) from None


TARGETS = [Target("sets", _make, _look), Target("jpegs", _make_photos, _look_at_photo)]
