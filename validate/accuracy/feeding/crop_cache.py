"""Decoded images on disk, so that the next run on the same images need not decode them: `--cache-images`.

What is kept are the bytes of the resized and cropped image, before normalisation: a quarter of the size of the tensor,
and the same tensor to the last bit. An image is known again by a hash of its encoded bytes, so one that was replaced
is decoded anew, and a crop that was damaged is found by its checksum.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import zlib
from pathlib import Path

import cv2
import numpy as np

from convert.common.disk.files import sha256_json, write_bytes, write_json
from convert.common.errors import InputError
from convert.families.spec import Preprocessing

_CHECKSUM_BYTES = 4


def digest(data: bytes) -> str:
    """What an image is known by: 16 bytes of BLAKE2b of its encoded bytes, in hexadecimal."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


class CropCache:
    """Crops (3, height, width) uint8 under one preprocessing, a file for each.

    Safe from any thread and from several processes. InputError when the folder cannot be used.
    """

    def __init__(self, folder: Path, preprocessing: Preprocessing) -> None:
        height, width = shape = preprocessing.shape
        what = {
            "resize_short": preprocessing.resize_short,
            "crop": width,
            "interpolation": preprocessing.interpolation,
            **({} if height == width else {"height": height}),
            # Named where they are not what the folders that are there were made with.
            **({} if preprocessing.keep_ratio else {"keep_ratio": False}),
            **({"pillow": importlib.metadata.version("pillow")} if preprocessing.backend == "pil" else {}),
            "opencv": cv2.__version__,  # another version may decode a JPEG to other bytes
            "layout": "3 x crop x crop bytes, RGB; then their CRC-32",
        }
        self.folder = folder / f"{width}-{sha256_json(what)[:16]}"
        self._shape = (3, *shape)
        try:
            write_json(self.folder / "about.json", what)
        except OSError as error:
            raise InputError(f"--cache-images {folder}: {error}") from None

    def get(self, source: str) -> np.ndarray | None:
        """The crop of the image with these encoded bytes (`digest`); None where there is none that is whole."""
        try:
            data = self._file(source).read_bytes()
        except OSError:
            return None
        crop, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
        if len(crop) != np.prod(self._shape) or _checksum(crop) != checksum:
            return None
        return np.frombuffer(crop, np.uint8).reshape(self._shape)

    def put(self, source: str, planes: np.ndarray) -> None:
        """Keep a crop. InputError when the disk is full."""
        data = planes.tobytes()
        try:
            write_bytes(self._file(source), data + _checksum(data))
        except OSError as error:
            raise InputError(f"--cache-images: {error}") from None

    def _file(self, source: str) -> Path:
        return self.folder / source[:2] / f"{source}.u8"


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_CHECKSUM_BYTES, "little")
