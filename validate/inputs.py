"""The images that parity is checked on: the user's photos, or seeded ones with the statistics of photos."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.errors import InputError
from convert.spec import Preprocessing
from validate.preprocess import UnreadableImage, preprocess

IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".webp")
COUNT = 8


@dataclass(frozen=True)
class Inputs:
    """images: (count, 3, size, size) float32, preprocessed. source: what they are, in words for a record."""

    images: np.ndarray
    source: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(np.ascontiguousarray(self.images, dtype="<f4").tobytes()).hexdigest()


def seeded(preprocessing: Preprocessing, count: int = COUNT, seed: int = 0) -> Inputs:
    """Images with the 1/f amplitude spectrum (Field 1987) and the correlated channels of natural ones.

    White noise would not do: it has next to nothing in the low frequencies that a patch embedding looks for.
    """
    rng = np.random.default_rng(seed)
    size = preprocessing.crop
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = 1 / size
    layers = rng.standard_normal((count, 4, size, size))
    layers = np.fft.irfft2(np.fft.rfft2(layers) / frequency, s=(size, size))
    layers /= layers.std(axis=(2, 3), keepdims=True)
    luminance, chroma = layers[:, :1], layers[:, 1:]
    rgb = np.clip(0.45 + 0.22 * luminance + 0.08 * chroma, 0, 1)
    mean, std = (np.array(v, np.float64).reshape(3, 1, 1) for v in (preprocessing.mean, preprocessing.std))
    return Inputs(np.ascontiguousarray((rgb - mean) / std, dtype=np.float32), f"{count} seeded images")


def photos(path: Path, preprocessing: Preprocessing, count: int) -> Inputs:
    """The first `count` images of a folder (by name), of a list file (`path` or `path label` lines), or one image file.

    InputError: there are none, or one of them cannot be read.
    """
    files = _files(path)[:count]
    try:
        images = np.stack([preprocess(file, preprocessing) for file in files])
    except UnreadableImage as error:
        raise InputError(f"--inputs {path}: {error}; replace it or leave it out") from None
    return Inputs(images, f"{len(files)} photos of {path.name}")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    elif path.suffix.lower() == ".txt" and path.is_file():
        lines = [line.strip() for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        files = [path.parent / _without_label(line) for line in lines]
    elif path.is_file():
        files = [path]
    else:
        raise InputError(f"--inputs {path}: there is no such file or folder")
    if not files:
        raise InputError(f"--inputs {path}: no images in it ({', '.join(IMAGE_SUFFIXES)})")
    return files


def _without_label(line: str) -> str:
    name, _, label = line.rpartition(" ")
    return name if name and label.isdigit() else line
