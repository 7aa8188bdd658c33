"""Which preprocessing a model gets: its own, which its manifest must agree with, or another one on purpose."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from convert.artifact import Artifact
from convert.common import typed
from convert.common.errors import InputError
from convert.families.spec import Preprocessing
from convert.zoo import MODELS

# Sets of values by name. imagenet: what PaddleClas' deploy configs normalise with, and most models but ViTs do;
# inception: what its seven ViTs were trained and evaluated with.
NAMED: dict[str, dict[str, tuple[float, ...]]] = {
    "imagenet": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    "inception": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
}

HELP = (
    "For experiments: another preprocessing than the model's. imagenet (mean .485 .456 .406, std .229 .224 .225),"
    " inception (.5), or KEY=VALUE with mean, std, resize_short, crop, interpolation; repeat it or join by `;`."
)


@dataclass(frozen=True)
class Chosen:
    """used: what the images go through. own: the model's, None where nothing says what that is."""

    used: Preprocessing
    own: Preprocessing | None

    @property
    def is_models(self) -> bool | None:
        """Whether `used` is the model's own; None where that is not known."""
        return None if self.own is None else self.used == self.own

    def warning(self) -> str:
        """What the user must be told; empty where there is nothing to say."""
        if self.own is None or self.used == self.own:
            return ""
        return f"the preprocessing is not the model's: {differences(self.used, self.own)}"


def choose(artifact: Artifact, override: Sequence[str]) -> Chosen:
    """The model's preprocessing with what the `--preprocessing` arguments change in it.

    InputError when the manifest has another preprocessing than the model and nothing is said about it, or when an
    argument is wrong.
    """
    own, stated = own_preprocessing(artifact), artifact.preprocessing
    if not override:
        if own is not None and stated != own:
            raise InputError(
                f"{artifact.path}/manifest.json: its preprocessing is not that of {artifact.model}:"
                f" {differences(stated, own)}; convert the model again, or give --preprocessing to try another"
            )
        return Chosen(stated, own)
    used = changed(own or stated, override)
    if used.crop != artifact.image_size:
        raise InputError(f"--preprocessing crop={used.crop}: {artifact.model} takes {artifact.image_size} pixels")
    # Where nothing says what the model's is, the manifest's stands for it: that is what an override departs from.
    return Chosen(used, own or stated)


def own_preprocessing(artifact: Artifact) -> Preprocessing | None:
    """PaddleClas' for a model of the zoo, else that of the model's spec; None for an inference model.

    A spec that has the name of one of the seven and is another architecture is a model of its own.
    """
    spec = artifact.spec
    if spec is None:
        return None
    known = MODELS.get(artifact.model)
    if known and {**known.table(), "preprocessing": None} == {**spec.table(), "preprocessing": None}:
        return known.preprocessing
    return spec.preprocessing


def differences(one: Preprocessing, other: Preprocessing) -> str:
    """`mean [0.485, 0.456, 0.406] instead of [0.5, 0.5, 0.5], ...`."""
    theirs = typed.table(other)
    return ", ".join(
        f"{key} {value} instead of {theirs[key]}" for key, value in typed.table(one).items() if value != theirs[key]
    )


def changed(base: Preprocessing, override: Sequence[str]) -> Preprocessing:
    """A preprocessing with the changes that `--preprocessing` arguments ask for, the later ones last."""
    values: dict[str, Any] = {}
    for part in (part.strip() for argument in override for part in argument.split(";")):
        if part in NAMED:
            values |= NAMED[part]
            continue
        key, equals, text = (word.strip() for word in part.partition("="))
        if not equals or key not in _VALUES:
            raise InputError(
                f"--preprocessing {part!r}: {', '.join(NAMED)} or KEY=VALUE with {', '.join(_VALUES)} is needed,"
                " as in mean=0.485,0.456,0.406"
            )
        read, expected = _VALUES[key]
        try:
            values[key] = read(text)
        except ValueError:
            raise InputError(f"--preprocessing {part!r}: {expected}") from None
    try:
        return dataclasses.replace(base, **values)
    except ValueError as error:
        raise InputError(f"--preprocessing: {error}") from None


def _triple(text: str) -> tuple[float, ...]:
    return tuple(float(word) for word in text.split(","))


# How the value of a key is read, and what is said where it cannot be.
_VALUES: dict[str, tuple[Callable[[str], Any], str]] = {
    "mean": (_triple, "three numbers are needed, as in mean=0.5,0.5,0.5"),
    "std": (_triple, "three numbers are needed, as in std=0.5,0.5,0.5"),
    "resize_short": (int, "a whole number of pixels is needed"),
    "crop": (int, "a whole number of pixels is needed"),
    "interpolation": (str, ""),
}
