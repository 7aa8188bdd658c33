"""The images that int8 is calibrated on: the user's, or drawn ones for weights that are drawn too."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path

from convert.artifact import Artifact, root_option
from convert.common.errors import InputError
from convert.datasets.unlabelled import ImageSet, load_images
from convert.images.inputs import Inputs, of_images, seeded
from convert.images.preprocess import UnreadableImage

MOST = 128  # images of a calibration set
FEWEST = 8
_OPTION = "--calibration"


def choose(path: Path) -> ImageSet:
    """The images that a calibration set stands for: all, or MOST evenly spread over it.

    InputError: there are none, or too few.
    """

    def pick(total: int, _: Sequence[str] | None) -> Sequence[int]:
        if 0 < total < FEWEST:
            raise InputError(
                f"{path}: {total} image{'s' * (total > 1)} cannot show what activations reach: "
                f"give {FEWEST} or more, better {MOST}"
            )
        count = min(total, MOST)
        return [i * total // count for i in range(count)]  # spread, since folders go class by class

    found = load_images(path, _OPTION, pick)
    if len(found.names) < FEWEST:
        pick(len(found.names), None)
    return found


def hashes(chosen: ImageSet) -> tuple[str, ...]:
    """The sha256 of the encoded bytes of each image, as `calibration_overlap` compares them. InputError: unreadable."""
    try:
        return tuple(hashlib.sha256(chosen.read(index)).hexdigest() for index in range(len(chosen.names)))
    except UnreadableImage as error:
        raise InputError(f"{_OPTION}: {error}; replace it or leave it out") from None


def preprocessed(calibration: Path | None, base: Artifact, asked: str = "") -> tuple[Inputs, list[str]]:
    """The calibration images and the sha256 of their bytes (none for drawn ones).

    asked: options of int8 that were given, for the command that is advised. InputError: too few, unreadable, or none
    given for a model whose weights are trained.
    """
    if calibration is None:
        if not base.seeded:
            root = root_option(base.path.parents[1])
            place = f" --artifacts {shlex.quote(root)}" if root else ""
            raise InputError(
                f"int8 of {base.model} needs {FEWEST} or more images to calibrate on, none of which its accuracy is "
                f"measured on: `python -m convert {shlex.quote(base.model)}{place} --precision int8{asked}"
                f" {_OPTION} FOLDER`"
            )
        return seeded(base.preprocessing, FEWEST), []
    chosen = choose(calibration)
    source = f"{len(chosen.names)} images of {calibration.resolve().name}"
    return of_images(chosen, source, base.preprocessing, f"{_OPTION} {calibration}")
