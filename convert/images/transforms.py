"""PaddleClas' transforms, as its YAML files list them, and the preprocessing that they come to.

The names, the keys and their defaults are those of `deploy/python/preprocess.py` (snapshot of 2024-10-18).
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

from convert.families.spec import PER_LEVEL, Preprocessing, is_number
from convert.images import stated

Table = Mapping[str, Any]
_NUMBER = r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*"
_RATIO = re.compile(f"{_NUMBER}(?:/{_NUMBER})?")  # 1.0/255.0, which PaddleClas evaluates

# What comes before what. A resize after the crop, or a crop of normalised values, is another preprocessing.
_ORDER = ("DecodeImage", "ResizeImage", "CropImage", "NormalizeImage", "ToCHWImage")


def preprocessing(transform_ops: list[Any]) -> Preprocessing:
    """The preprocessing that transforms come to. Whether channels come last is the model's input's affair.

    ValueError names the transform, the key or the value that is wrong, or that vitbench cannot do.
    """
    operators = [_single(one) for one in transform_ops]
    names = [name for name, _ in operators]
    if unknown := [name for name in names if name not in _ORDER]:
        raise ValueError(f"PreProcess has {unknown[0]}, which vitbench does not do (it does {', '.join(_ORDER)})")
    if len(set(names)) < len(names) or sorted(names, key=_ORDER.index) != names:
        raise ValueError(f"PreProcess has {', '.join(names)}: vitbench does them once each, as {', '.join(_ORDER)}")
    values = dict(operators)
    found: dict[str, Any] = {}
    for name, keys in _KEYS.items():
        if name in values:
            known_keys(values[name], tuple(keys), name)
            for key, value in values[name].items():
                keys[key](f"{name}: {key} = {short(value)}", value)
    if "ResizeImage" not in values:
        raise ValueError("PreProcess has no ResizeImage, and images have sizes of their own")
    resize, crop = values["ResizeImage"], values.get("CropImage")
    shortest = resize.get("resize_short")
    found["keep_ratio"] = bool(shortest and shortest > 0)
    if crop is None and found["keep_ratio"]:
        raise ValueError("PreProcess has ResizeImage with resize_short, and no CropImage that makes one size of it")
    resized = (shortest, shortest) if found["keep_ratio"] else _sides("ResizeImage: size", resize.get("size"))
    width, height = resized if crop is None else _sides("CropImage: size", crop.get("size"))
    if resized[0] != resized[1] and (width, height) != resized:
        raise ValueError(
            f"ResizeImage: size = {list(resized)}: vitbench cuts nothing out of images that are no squares"
        )
    found |= {"resize_short": resized[0], "crop": width, "height": height}
    found["interpolation"] = (resize.get("interpolation") or "bilinear").lower()
    found["backend"] = (resize.get("backend") or "cv2").lower()
    return stated.read({**found, **_normalisation(values.get("NormalizeImage"))})


def _normalisation(values: Table | None) -> dict[str, Any]:
    """mean, std and scale with PaddleClas' defaults; without NormalizeImage the model gets the pixels as they are."""
    if values is None:
        return {"mean": [0, 0, 0], "std": [1, 1, 1], "scale": 1.0}
    scale = values.get("scale")
    return {
        "mean": values["mean"] if values.get("mean") is not None else [0.485, 0.456, 0.406],
        "std": values["std"] if values.get("std") is not None else [0.229, 0.224, 0.225],
        "scale": PER_LEVEL if scale is None else _scale(scale),
    }


def _scale(value: Any) -> float:
    """A number, or the text of one or of a quotient: `1.0/255.0`. ValueError when it is neither."""
    if is_number(value):
        return float(value)
    match = _RATIO.fullmatch(value) if isinstance(value, str) else None
    try:
        assert match
        return float(match[1]) / float(match[2] or 1)
    except (AssertionError, ValueError, ZeroDivisionError):
        raise ValueError(f"NormalizeImage: scale = {short(value)} is no number and no quotient of two") from None


def _sides(what: str, value: Any) -> tuple[int, int]:
    """Width and height, in PaddleClas' order."""
    sides = value if isinstance(value, list) and len(value) == 2 else [value, value]
    if not all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides):
        raise ValueError(f"{what} = {short(value)} is no number of pixels")
    return int(sides[0]), int(sides[1])


def _only(*allowed: Any) -> Callable[[str, Any], None]:
    """A check of a value that vitbench has no choice about."""

    def check(what: str, value: Any) -> None:
        if not any(value is one or (value == one and type(value) is type(one)) for one in allowed):
            said = ", ".join("none" if one is None else str(one).lower() for one in allowed if one != "")
            raise ValueError(f"{what}: vitbench does {said} only")

    return check


def _of(kind: type | tuple[type, ...], noun: str) -> Callable[[str, Any], None]:
    def check(what: str, value: Any) -> None:
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise ValueError(f"{what} is no {noun}")

    return check


# The keys of each transform and what is asked of their values here. OpenCV decodes, to RGB, to three channels; mean and
# std are of a channel each, in whatever order of axes.
_KEYS: dict[str, dict[str, Callable[[str, Any], None]]] = {
    "DecodeImage": {
        "to_rgb": _only(True),
        "to_np": _only(True, False),
        "channel_first": _only(False),
        "backend": _only("cv2"),
    },
    "ResizeImage": {
        "size": _of((int, list), "number of pixels"),
        "resize_short": _of(int, "number of pixels"),
        "interpolation": _of(str, "name"),
        "backend": _of(str, "name"),
        "return_numpy": _only(True, False),
    },
    "CropImage": {"size": _of((int, list), "number of pixels")},
    "NormalizeImage": {
        "scale": _of((int, float, str), "number"),
        "mean": _of(list, "list"),
        "std": _of(list, "list"),
        "order": _only("", "hwc", "chw", None),
        "channel_num": _only(3),
        "output_fp16": _only(False),
    },
    "ToCHWImage": {},
}


def _single(operator: Any) -> tuple[str, Table]:
    """A transform's name and values: `{name: values}`, `{name: null}` or the name alone."""
    if isinstance(operator, str):
        return operator, {}
    if not isinstance(operator, Mapping) or len(operator) != 1:
        raise ValueError(f"PreProcess.transform_ops has {short(operator)}, which is no transform")
    ((name, values),) = operator.items()
    return str(name), table(values, str(name))


def table(value: Any, what: str) -> Table:
    """A table inside the document; an empty one where nothing stands. ValueError when it is something else."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} = {short(value)} is no table")
    return value


def known_keys(table: Table, keys: tuple[str, ...], what: str) -> None:
    """ValueError for a key that is none of these."""
    if unknown := [key for key in table if key not in keys]:
        raise ValueError(f"{what} has the key {short(unknown[0])}, which vitbench does not know ({', '.join(keys)})")


_shortener = reprlib.Repr()
_shortener.maxstring = 60


def short(value: Any) -> str:
    """A value in a message, whatever its size."""
    return _shortener.repr(value)
