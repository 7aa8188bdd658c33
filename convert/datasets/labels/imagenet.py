"""What is known of ImageNet's 1000 classes and of some of its validation images: facts that labels are held against."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

CLASSES = 1000

# Validation images and their labels in synset order. Source: the val_list.txt that PaddleClas' documentation links to;
# the first ten stand in the devkit's ground truth as 490, 361, 171, 822, 297, 482, 13, 704, 599, 164.
VALIDATION = {
    **dict(enumerate((65, 970, 230, 809, 516, 57, 334, 415, 674, 332), start=1)),
    **dict(enumerate((109, 286, 370, 757, 595, 147, 108, 23, 478, 517), start=11)),
    **{50: 394, 100: 349, 150: 975, 200: 993, 250: 493, 300: 176, 350: 195},
    **{9550: 906, 9600: 401, 9650: 601, 9700: 583, 9750: 915, 9800: 948, 9850: 413, 9900: 735},
    **{49660: 867, 49700: 751, 49750: 671, 49800: 154, 49850: 798, 49900: 988, 49950: 741, 50000: 355},
}

_NUMBER = re.compile(r"ILSVRC2012_val_([0-9]{8})[._].*", re.ASCII | re.DOTALL)
# n01440764 as a folder, n01440764_10026.JPEG as the training set names its files, x_n01440764.JPEG as the hub does.
_IN_NAME = re.compile(r"(?:.*_)?(n[0-9]{8})(?:_[^/]*)?(?:\.[^/.]*)?", re.ASCII)


@dataclass(frozen=True)
class ImageNetClass:
    """A class of ImageNet. number: ILSVRC2012_ID. names: `tench, Tinca tinca`, as they are joined in every list."""

    wordnet_id: str
    number: int
    names: str

    @property
    def aliases(self) -> tuple[str, ...]:
        """What it is called: its id, its names in one, and what else there is."""
        return self.wordnet_id, self.names, *_ALSO.get(self.wordnet_id, ())


# Two classes are called crane, and two maillot: what others call them to tell them apart.
_ALSO = {"n02012849": ("crane bird",), "n03126707": ("crane machine",), "n03710721": ("maillot tank suit",)}


@lru_cache(maxsize=1)
def classes() -> tuple[ImageNetClass, ...]:
    table = json.loads(Path(__file__).with_name("imagenet.json").read_text(encoding="utf-8"))
    return tuple(ImageNetClass(*row) for row in table["classes"])


@lru_cache(maxsize=1)
def by_wordnet_id() -> dict[str, int]:
    """The label of each WordNet id."""
    return {one.wordnet_id: label for label, one in enumerate(classes())}


@lru_cache(maxsize=1)
def by_number() -> dict[int, int]:
    """The label of each ILSVRC2012_ID."""
    return {one.number: label for label, one in enumerate(classes())}


def image_number(name: str) -> int | None:
    """17 for `any/ILSVRC2012_val_00000017.JPEG`, None for names of another form."""
    match = _NUMBER.fullmatch(_path(name).name)
    return int(match[1]) if match else None


def known_label(name: str) -> int | None:
    """The label of an image whose path tells its class: a known image of the validation set, or a WordNet id in it."""
    number = image_number(name)
    if number in VALIDATION:
        return VALIDATION[number]
    path = _path(name)
    for part in (path.name, path.parent.name):
        match = _IN_NAME.fullmatch(part)
        if match and match[1] in by_wordnet_id():
            return by_wordnet_id()[match[1]]
    return None


def _path(name: str) -> PurePosixPath:
    """Lists that were written on Windows have backslashes."""
    return PurePosixPath(name.replace("\\", "/"))
