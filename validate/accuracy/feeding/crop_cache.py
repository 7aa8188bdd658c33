"""Decoded images on disk, so that the next run on the same set need not decode them: `--cache-images`.

What is kept are the bytes of the resized and cropped image, before normalisation: a quarter of the size of the tensor,
and the same tensor to the last bit. An image is known again by a hash of its encoded bytes, so one that was replaced
is decoded anew, and a crop that was damaged or half written is found by its checksum.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path

import cv2
import numpy as np

from convert.common.errors import InputError
from convert.common.files import sha256_json, write_json
from convert.families.spec import Preprocessing

_ENTRY = np.dtype([("source", "V16"), ("checksum", "<u4"), ("there", "<u4")])


def digest(data: bytes) -> bytes:
    """What an image is known by: 16 bytes of BLAKE2b of its encoded bytes."""
    return hashlib.blake2b(data, digest_size=16).digest()


class CropCache:
    """Crops (3, crop, crop) uint8 of one set under one preprocessing, by their number in the set.

    Safe from any thread and from several processes: whoever decodes an image writes the same bytes, the entry that
    vouches for them last. images_key: says which images are meant by the numbers. InputError when the folder cannot be
    used.
    """

    def __init__(self, folder: Path, images_key: str, images: int, preprocessing: Preprocessing) -> None:
        side = preprocessing.crop
        what = {
            "images": images_key,
            "resize_short": preprocessing.resize_short,
            "crop": side,
            "interpolation": preprocessing.interpolation,
            "opencv": cv2.__version__,  # another version may decode a JPEG to other bytes
            "layout": "3 x crop x crop bytes an image, RGB",
        }
        self.folder = folder / f"{side}-{sha256_json(what)[:16]}"
        self._shape = (3, side, side)
        self._size = 3 * side * side
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / "about.json", what)
            self._crops = _open(self.folder / "crops.u8", images * self._size)
            self._entries = _open(self.folder / "entries", images * _ENTRY.itemsize)
        except OSError as error:
            raise InputError(f"--cache-images {folder}: cannot be used ({error.strerror})") from None

    def get(self, position: int, source: bytes) -> np.ndarray | None:
        """The crop of image `position` if it was made from these encoded bytes (`digest`) and is whole; else None."""
        raw = os.pread(self._entries, _ENTRY.itemsize, position * _ENTRY.itemsize)
        entry = np.frombuffer(raw, _ENTRY)[0] if len(raw) == _ENTRY.itemsize else None
        if entry is None or not entry["there"] or entry["source"].tobytes() != source:
            return None
        data = os.pread(self._crops, self._size, position * self._size)
        if len(data) != self._size or zlib.crc32(data) != entry["checksum"]:
            return None
        return np.frombuffer(data, np.uint8).reshape(self._shape)

    def put(self, position: int, source: bytes, planes: np.ndarray) -> None:
        """Keep a crop. InputError when the disk is full."""
        data = planes.tobytes()
        entry = np.zeros((), _ENTRY)
        entry["source"], entry["checksum"], entry["there"] = np.void(source), zlib.crc32(data), 1
        try:
            _write(self._crops, data, position * self._size)
            _write(self._entries, entry.tobytes(), position * _ENTRY.itemsize)
        except OSError as error:
            raise InputError(f"--cache-images: {self.folder} cannot be written ({error.strerror})") from None

    def close(self) -> None:
        os.close(self._crops)
        os.close(self._entries)


def _open(file: Path, size: int) -> int:
    """A descriptor of a file of at least that size; what was not written yet is a hole that takes no space."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    if os.fstat(descriptor).st_size < size:
        os.truncate(descriptor, size)
    return descriptor


def _write(descriptor: int, data: bytes, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written
