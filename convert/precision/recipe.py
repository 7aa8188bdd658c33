"""What a lower precision is to be made with: the options of a user, and the images to calibrate on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from convert.artifact import Artifact
from convert.common.errors import InputError
from convert.common.files import sha256_files
from convert.images import sources
from convert.images.inputs import Inputs, of_files, seeded
from convert.images.sources import ImageFile

HALF, INT8 = ("fp16", "bf16"), "int8"
PRECISIONS = (*HALF, INT8)
IMAGES = 128  # of a calibration set, at most
FEWEST = 8
_OPTION = "--calibration"


@dataclass(frozen=True)
class Recipe:
    """How a variant is made. calibration: a folder, list or image file (int8).

    keep: names of operators that stay FP32 (`blocks.7.mlp.fc2`); None leaves the choice to what int8 costs each.
    """

    precision: str
    calibration: Path | None = None
    keep: tuple[str, ...] | None = None

    def words(self) -> list[str]:
        """The options of `python -m convert` that say it."""
        words = ["--calibration", str(self.calibration)] if self.calibration else []
        return words + (["--keep-fp32", ",".join(self.keep) or "none"] if self.keep is not None else [])


def calibration_files(path: Path) -> list[ImageFile]:
    """The images that a calibration set stands for: all, or IMAGES evenly spread over it.

    InputError: there are none, or too few.
    """
    found = sources.read(path, _OPTION)
    if len(found) < FEWEST:
        raise InputError(
            f"{_OPTION} {path}: {len(found)} image{'s' * (len(found) > 1)} cannot show what activations reach: "
            f"give {FEWEST} or more, better {IMAGES}"
        )
    # Spread, since folders go class by class.
    return [found[i * len(found) // IMAGES] for i in range(IMAGES)] if len(found) > IMAGES else found


def images_of(recipe: Recipe, base: Artifact) -> tuple[Inputs, list[str]]:
    """The calibration images and the sha256 of their files (none for drawn ones).

    InputError: too few, unreadable, or none given for a model whose weights are trained.
    """
    if recipe.calibration is None:
        if not base.seeded:
            raise InputError(
                f"int8 of {base.model} needs {FEWEST} or more images to calibrate on, none of which its accuracy is "
                f"measured on: `python -m convert {base.model} --precision int8 {_OPTION} FOLDER`"
            )
        return seeded(base.preprocessing, FEWEST), []
    chosen = calibration_files(recipe.calibration)
    source = f"{len(chosen)} images of {recipe.calibration.resolve().name}"
    inputs = of_files(chosen, source, base.preprocessing, f"{_OPTION} {recipe.calibration}")
    return inputs, sha256_files([image.path for image in chosen])
