"""The images that parity is checked on: the user's photos, or seeded ones like them; and edge cases, as no photo is."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.common.errors import InputError
from convert.datasets.labelled_set import choose
from convert.datasets.unlabelled import ImageSet, load_images
from convert.families.spec import Preprocessing
from convert.images.preprocess import UnreadableImage, preprocess

COUNT = 8
_MOST_BYTES = 4 << 30  # of preprocessed images, which are in memory together


@dataclass(frozen=True)
class Inputs:
    """images: (count, 3, height, width) float32, preprocessed. source: what they are, in words. names: one for each."""

    images: np.ndarray
    source: str
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.images):
            raise ValueError(f"{len(self.names)} names for {len(self.images)} images")

    @property
    def sha256(self) -> str:
        return hashlib.sha256(np.ascontiguousarray(self.images, dtype="<f4").tobytes()).hexdigest()

    def __add__(self, other: Inputs) -> Inputs:
        """These and then the others. ValueError when the images have other sizes."""
        images = np.concatenate([self.images, other.images])
        return Inputs(images, f"{self.source} and {other.source}", self.names + other.names)


def seeded(preprocessing: Preprocessing, count: int = COUNT, seed: int = 0) -> Inputs:
    """Images with the 1/f amplitude spectrum (Field 1987) and the correlated channels of natural ones.

    White noise would not do: it has next to nothing in the low frequencies that a patch embedding looks for.
    """
    rng = np.random.default_rng(seed)
    height, width = preprocessing.shape
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = 1 / max(height, width)
    layers = rng.standard_normal((count, 4, height, width))
    layers = np.fft.irfft2(np.fft.rfft2(layers) / frequency, s=(height, width))
    layers /= layers.std(axis=(2, 3), keepdims=True)
    luminance, chroma = layers[:, :1], layers[:, 1:]
    rgb = np.clip(0.45 + 0.22 * luminance + 0.08 * chroma, 0, 1)
    return Inputs(_normalised(rgb, preprocessing), f"{count} seeded images", tuple(f"seeded {i}" for i in range(count)))


def edge_cases(preprocessing: Preprocessing) -> Inputs:
    """Images at the ends of what pixels can be, where overflow and vanishing variance show first.

    Nothing but the lowest and the highest value of each channel occurs in them. The hot pixel is white on black, off
    the centre, so that no symmetry hides it; the checkerboard changes with every pixel; random extremes are drawn for
    each value apart.
    """
    height, width = shape = preprocessing.shape
    hot = np.zeros((3, *shape))
    hot[:, height // 3, width // 2] = 1
    rows, columns = np.indices(shape)
    cases = {
        "all black": np.zeros((3, *shape)),
        "all white": np.ones((3, *shape)),
        "one hot pixel": hot,
        "checkerboard": np.broadcast_to((rows + columns) % 2, (3, *shape)),
        "random extremes": np.random.default_rng(0).integers(0, 2, (3, *shape)),
    }
    images = _normalised(np.stack(list(cases.values())).astype(np.float64), preprocessing)
    return Inputs(images, f"{len(cases)} edge cases", tuple(cases))


def photos(
    path: Path,
    preprocessing: Preprocessing,
    count: int,
    option: str = "--inputs",
    say: Callable[[str], object] = lambda _: None,
) -> Inputs:
    """`count` images of any set of images (0: all): the first ones, or evenly over the classes where a list has labels.

    option: what the user called them. say: told what a user should know of them. InputError: there are none, they are
    more than memory should hold, or one of them cannot be read.
    """
    totals: list[int] = []

    def pick(total: int, words: Sequence[str] | None) -> Sequence[int]:
        totals.append(total)
        wanted = min(count or total, total)
        if (size := 12 * wanted * math.prod(preprocessing.shape)) > _MOST_BYTES:
            raise InputError(f"{path}: {wanted} images take {size / 2**30:.0f} GiB of memory: give --limit")
        return range(wanted) if words is None else choose(words, wanted)

    chosen = load_images(path, option, pick)
    for note in chosen.notes:
        say(f"{option} {path}: {note}")
    used, total = len(chosen.names), max([*totals, len(chosen.names)])
    if used < total:
        say(f"{option} {path}: {used} of its {total} images are looked at; --limit 0 takes all")
    counted = f"{used} of {total} photos" if used < total else f"{used} photo{'s' * (used != 1)}"
    source = f"{counted} of {path.resolve().name}"
    return of_images(chosen, source, preprocessing, f"{option} {path}")[0]


def of_images(chosen: ImageSet, source: str, preprocessing: Preprocessing, place: str) -> tuple[Inputs, list[str]]:
    """Images, preprocessed, and the sha256 of each one's encoded bytes. source: what they are, in words.

    InputError, beginning with `place`, when one of them cannot be read.
    """
    images, digests = [], []
    for index, name in enumerate(chosen.names):
        try:
            data = chosen.read(index)
            images.append(preprocess(data, preprocessing))
        except UnreadableImage as error:
            raise InputError(f"{place}: image {name} {error.reason}; replace it or leave it out") from None
        digests.append(hashlib.sha256(data).hexdigest())
    return Inputs(np.stack(images), source, chosen.names), digests


def _normalised(rgb: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Pixels (count, 3, height, width) from 0 to 1 as the model's input."""
    mean, std = (np.array(v, np.float64).reshape(3, 1, 1) for v in (preprocessing.mean, preprocessing.std))
    return np.ascontiguousarray((rgb - mean) / std, dtype=np.float32)
