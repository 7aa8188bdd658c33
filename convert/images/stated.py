"""A preprocessing as a user writes it down, in a spec, a table or `inference.yml`: mean and std may be of 0 to 255.

A model is trained on pixels of about -3 to 3. So mean and std tell by what they make of pixels which scale they are of;
where they do not, or where they fit none, the user has to say it: `scale`, the factor of PaddleClas' NormalizeImage.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from convert.families.spec import PER_LEVEL, Preprocessing, from_table, positive_number

_USUAL = 20.0  # no model is known to see values beyond
_LARGEST = 256.0  # of raw pixels; beyond, whatever is meant is written wrong
_LEAST_SPREAD = 0.1  # between black and white; below, all images look alike
_SCALES = f"scale = 1.0 where they are of pixels from 0 to 255, scale = {PER_LEVEL:.8f} where of 0 to 1"


def read(table: Mapping[str, Any], prefix: str = "") -> Preprocessing:
    """The preprocessing that a table holds: the fields of Preprocessing, and `scale`.

    mean and std without `scale` are taken as they are where they can be of pixels from 0 to 1, and divided by 255 where
    they can only be of 0 to 255 (`remarks` says so). ValueError where they can be neither, or a field is wrong.
    prefix: what stands before the fields' names in messages.
    """
    given = dict(table)
    scale = given.pop("scale", None)
    plain = from_table(Preprocessing, given, prefix)
    if "pixel_scale" in given:  # as a manifest has it
        return plain
    if scale is not None:
        positive_number(f"{prefix}scale", scale)
        _check(plain, scale)
    elif _of_one(plain):
        return plain
    elif _of_levels(plain):
        scale = 1.0
    else:
        raise ValueError(
            f"{_values(plain)}: they fit neither pixels from 0 to 1 (which would become {_ends(plain, PER_LEVEL)}) nor"
            f" from 0 to 255 ({_ends(plain, 1.0)}); correct them, or say which: {_SCALES}"
        )
    factor = 255 * scale
    mean, std = (tuple(value / factor for value in values) for values in (plain.mean, plain.std))
    return dataclasses.replace(plain, mean=mean, std=std, pixel_scale=float(scale))


def remarks(preprocessing: Preprocessing) -> list[str]:
    """What a user should know of how a preprocessing was read."""
    said = []
    if preprocessing.pixel_scale > 0.5:
        factor = 255 * preprocessing.pixel_scale
        mean, std = ([float(f"{v * factor:.6g}") for v in values] for values in (preprocessing.mean, preprocessing.std))
        of_one = [[float(f"{v:.4g}") for v in values] for values in (preprocessing.mean, preprocessing.std)]
        said.append(
            f"the preprocessing's mean {mean} and std {std} are of pixels from 0 to 255: of 0 to 1 they are"
            f" {of_one[0]} and {of_one[1]}"
        )
    low, high = _range(preprocessing, PER_LEVEL)
    if max(-low, high) > _USUAL:
        said.append(
            f"the preprocessing turns pixels into {low:.4g} to {high:.4g}, where -3 to 3 is usual: look at mean,"
            " std and scale"
        )
    return said


def _of_one(plain: Preprocessing) -> bool:
    """Whether mean and std can be of pixels from 0 to 1."""
    low, high = _range(plain, PER_LEVEL)
    return all(0 <= mean <= 1 for mean in plain.mean) and max(plain.std) <= 2 and max(-low, high) <= _USUAL


def _of_levels(plain: Preprocessing) -> bool:
    """Whether mean and std can be of pixels from 0 to 255, and of nothing else."""
    low, high = _range(plain, 1.0)
    means = all(mean == 0 or 1 < mean <= 255 for mean in plain.mean)
    return means and min(plain.std) > 2 and max(-low, high) <= _USUAL and 255 / max(plain.std) >= _LEAST_SPREAD


def _check(plain: Preprocessing, scale: float) -> None:
    """ValueError where a scale that is stated makes nonsense of pixels."""
    low, high = _range(plain, scale)
    if 255 * scale / max(plain.std) < _LEAST_SPREAD or max(-low, high) > _LARGEST:
        raise ValueError(
            f"{_values(plain)} with scale {scale:g}: pixels become {low:.4g} to {high:.4g}, which no model is trained"
            f" on; the scale is another one: {_SCALES}"
        )


def _range(plain: Preprocessing, scale: float) -> tuple[float, float]:
    """What pixels become at least and at most."""
    pairs = list(zip(plain.mean, plain.std, strict=True))
    return min(-mean / std for mean, std in pairs), max((255 * scale - mean) / std for mean, std in pairs)


def _ends(plain: Preprocessing, scale: float) -> str:
    return "{:.4g} to {:.4g}".format(*_range(plain, scale))


def _values(plain: Preprocessing) -> str:
    return f"mean {list(plain.mean)} and std {list(plain.std)}"
