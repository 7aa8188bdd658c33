"""`--preprocessing`: names of known values, a TOML table, or single values, and what they make of a preprocessing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from convert.common import typed
from convert.common.errors import InputError
from convert.families.spec import PER_LEVEL, Preprocessing
from convert.images import stated

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OPTION = "--preprocessing"

# imagenet: what PaddleClas' deploy configs normalise with, and most models but ViTs do; inception: what its seven ViTs
# were trained and evaluated with.
NAMED: dict[str, dict[str, Any]] = {
    "imagenet": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "scale": PER_LEVEL},
    "inception": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "scale": PER_LEVEL},
}

HELP = (
    "Where the model does not say it, or another one to try: imagenet (mean .485 .456 .406, std .229 .224 .225),"
    " inception (.5), a TABLE.toml, or KEY=VALUE with mean, std, scale, resize_short, crop, height,"
    " interpolation, backend, keep_ratio; join by `;`.  [default: the model's own]"
)

_VALUES_OF = ("mean", "std", "scale")


def changes(text: str) -> dict[str, Any]:
    """What an option's text says, by the fields of `stated.read`, the later parts last. InputError when it is wrong."""
    values: dict[str, Any] = {}
    for part in (part.strip() for part in text.split(";")):
        said = _part(part)
        if "mean" in said and "scale" not in said:
            values.pop("scale", None)  # that of a name before it: these are other values
        values |= said
    return values


def changed(base: Preprocessing, text: str) -> Preprocessing:
    """A preprocessing with the changes that a `--preprocessing` asks for. InputError when it is wrong."""
    values = changes(text)
    kept = typed.table(base)
    if set(_VALUES_OF) & set(values):
        # The values of the base are of pixels from 0 to 1, and so is what is stated beside them, unless it cannot be.
        del kept["pixel_scale"]
    try:
        return stated.read({**kept, **values})
    except ValueError as error:
        raise InputError(f"{OPTION} {text}: {error}") from None


def _part(part: str) -> Mapping[str, Any]:
    if part in NAMED:
        return NAMED[part]
    if part.endswith(".toml"):
        return _table(Path(part))
    key, equals, value = (word.strip() for word in part.partition("="))
    if not equals or key not in _VALUES:
        raise InputError(
            f"{OPTION} {part!r}: {', '.join(NAMED)}, a TABLE.toml or KEY=VALUE with {', '.join(_VALUES)} is needed,"
            " as in mean=0.485,0.456,0.406"
        )
    read, expected = _VALUES[key]
    try:
        return {key: read(value)}
    except ValueError:
        raise InputError(f"{OPTION} {part!r}: {expected}") from None


def _table(path: Path) -> Mapping[str, Any]:
    """The fields of a TOML file, at its top or in a table [preprocessing], as a model spec has one."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{OPTION} {path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{OPTION} {path}: cannot be read as TOML ({error})") from None
    inside = table.get("preprocessing", table)
    if not isinstance(inside, dict) or not inside:
        raise InputError(f"{OPTION} {path}: a table with {', '.join(_VALUES)} is needed")
    return inside


def _triple(text: str) -> tuple[float, ...]:
    return tuple(float(word) for word in text.split(","))


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError
    return text == "true"


# How the value of a key is read, and what is said where it cannot be.
_VALUES: dict[str, tuple[Callable[[str], Any], str]] = {
    "mean": (_triple, "three numbers are needed, as in mean=0.5,0.5,0.5"),
    "std": (_triple, "three numbers are needed, as in std=0.5,0.5,0.5"),
    "scale": (float, "a number is needed, as in scale=1.0 where mean and std are of pixels from 0 to 255"),
    "resize_short": (int, "a whole number of pixels is needed"),
    "crop": (int, "a whole number of pixels is needed"),
    "height": (int, "a whole number of pixels is needed"),
    "interpolation": (str, ""),
    "backend": (str, ""),
    "keep_ratio": (_truth, "true or false is needed"),
}
