"""The images that int8 is calibrated on: the user's, or drawn ones for weights that are drawn too."""

from __future__ import annotations

from pathlib import Path

from convert.artifact import Artifact
from convert.common.errors import InputError
from convert.common.files import sha256_files
from convert.images import sources
from convert.images.inputs import Inputs, of_files, seeded
from convert.images.sources import ImageFile

MOST = 128  # images of a calibration set
FEWEST = 8
_OPTION = "--calibration"


def files(path: Path) -> list[ImageFile]:
    """The images that a calibration set stands for: all, or MOST evenly spread over it.

    InputError: there are none, or too few.
    """
    found = sources.read(path, _OPTION)
    if len(found) < FEWEST:
        raise InputError(
            f"{_OPTION} {path}: {len(found)} image{'s' * (len(found) > 1)} cannot show what activations reach: "
            f"give {FEWEST} or more, better {MOST}"
        )
    # Spread, since folders go class by class.
    return [found[i * len(found) // MOST] for i in range(MOST)] if len(found) > MOST else found


def preprocessed(calibration: Path | None, base: Artifact) -> tuple[Inputs, list[str]]:
    """The calibration images and the sha256 of their files (none for drawn ones).

    InputError: too few, unreadable, or none given for a model whose weights are trained.
    """
    if calibration is None:
        if not base.seeded:
            raise InputError(
                f"int8 of {base.model} needs {FEWEST} or more images to calibrate on, none of which its accuracy is "
                f"measured on: `python -m convert {base.model} --precision int8 {_OPTION} FOLDER`"
            )
        return seeded(base.preprocessing, FEWEST), []
    chosen = files(calibration)
    source = f"{len(chosen)} images of {calibration.resolve().name}"
    inputs = of_files(chosen, source, base.preprocessing, f"{_OPTION} {calibration}")
    return inputs, sha256_files([image.path for image in chosen])
