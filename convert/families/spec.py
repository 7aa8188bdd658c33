"""What every model spec is made of: the preprocessing of its images, and the checks of its fields."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeGuard, TypeVar

from convert.common.errors import listing
from convert.common.typed import about

# What resizes, and how: the names of PaddleClas' UnifiedResize. `cv2` does not antialias, `pil` does.
INTERPOLATIONS = {
    "cv2": ("nearest", "bilinear", "bicubic", "area", "lanczos"),
    "pil": ("nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"),
}
PER_LEVEL = 1 / 255  # the scale that makes pixels of 0 to 255 values of 0 to 1

MOST = 1_000_000  # of what is counted in a model: larger numbers are slips

T = TypeVar("T")


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the model's input. ValueError says which field is wrong."""

    resize_short: Annotated[int, about("pixels of the short side after resizing")]
    crop: Annotated[int, about("pixels of the centre crop's sides; of its width where `height` is another")]
    interpolation: Annotated[str, about(f"of the resizing: {', '.join(INTERPOLATIONS['cv2'])}")] = "bilinear"
    mean: Annotated[tuple[float, float, float], about("of each channel in RGB order, of values in [0, 1]")] = (
        0.5,
        0.5,
        0.5,
    )
    std: Annotated[tuple[float, float, float], about("likewise")] = (0.5, 0.5, 0.5)
    keep_ratio: Annotated[
        bool, about("false: the sides become resize_short (crop x height), whatever the image's shape")
    ] = True
    backend: Annotated[str, about("what resizes: cv2, or pil, which has box and hamming and no area")] = "cv2"
    pixel_scale: Annotated[
        float,
        about(
            "what pixels of 0 to 255 are multiplied with before mean and std, times 255 as much, are applied; only the "
            "last bits depend on it"
        ),
    ] = PER_LEVEL
    height: Annotated[int | None, about("pixels of the crop's height, where it is no square; null where it is")] = None

    def __post_init__(self) -> None:
        for name in ("resize_short", "crop"):
            positive_int(name, getattr(self, name))
        if self.height is not None:
            self._check_height(self.height)
        if self.crop > self.resize_short:
            raise ValueError(f"crop = {self.crop} does not fit into resize_short = {self.resize_short}")
        if not isinstance(self.backend, str) or self.backend not in INTERPOLATIONS:
            raise ValueError(f"backend = {self.backend!r} is none of {', '.join(INTERPOLATIONS)}")
        if self.interpolation not in INTERPOLATIONS[self.backend]:
            known = ", ".join(INTERPOLATIONS[self.backend])
            raise ValueError(f"interpolation = {self.interpolation!r} is none of {known} (backend {self.backend})")
        if not isinstance(self.keep_ratio, bool):
            raise ValueError(f"keep_ratio must be true or false, not {self.keep_ratio!r}")
        positive_number("pixel_scale", self.pixel_scale)
        for name in ("mean", "std"):
            values = getattr(self, name)
            if not isinstance(values, (tuple, list)) or len(values) != 3 or not all(map(is_number, values)):
                raise ValueError(f"{name} must be three numbers, not {values!r}")
            object.__setattr__(self, name, tuple(float(value) for value in values))
        if any(value <= 0 for value in self.std):
            raise ValueError(f"std must be above zero, not {list(self.std)}")

    def _check_height(self, height: int) -> None:
        positive_int("height", height)
        if height == self.crop:
            object.__setattr__(self, "height", None)  # a square, said in another way
        elif self.keep_ratio and height > self.resize_short:
            raise ValueError(f"height = {height} does not fit into resize_short = {self.resize_short}")
        elif not self.keep_ratio and self.resize_short != self.crop:
            raise ValueError(
                f"resize_short = {self.resize_short}: with keep_ratio = false and a height, images are resized to crop"
                f" x height = {self.crop} x {height}, and resize_short is crop"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the model's image in pixels."""
        return self.height or self.crop, self.crop

    def agrees(self, other: Preprocessing) -> bool:
        """Whether both make the same of an image but for rounding."""
        alike = dataclasses.replace(self, mean=other.mean, std=other.std, pixel_scale=other.pixel_scale) == other
        values = zip((*self.mean, *self.std), (*other.mean, *other.std), strict=True)
        return alike and all(math.isclose(mine, theirs, rel_tol=1e-5, abs_tol=1e-7) for mine, theirs in values)


def sides(shape: tuple[int, int]) -> str:
    """`224` of a square image, else `48 x 320`, height first."""
    height, width = shape
    return str(height) if height == width else f"{height} x {width}"


def from_table(kind: type[T], table: Mapping[str, Any], prefix: str = "") -> T:
    """The dataclass that a table of a user's TOML holds. ValueError for a field that is unknown, missing or wrong.

    prefix: what stands before the fields' names in messages. The values are checked by the dataclass itself.
    """
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(table) - set(fields))
    if unknown:
        raise ValueError(f"unknown field {listing(prefix + name for name in unknown)}; known: {', '.join(fields)}")
    # A field is required where it has neither default: both are MISSING then.
    missing = [name for name, f in fields.items() if f.default is f.default_factory and name not in table]
    if missing:
        raise ValueError(f"missing field {listing(prefix + name for name in missing)}")
    return kind(**table)


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number, and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def positive_int(name: str, value: object, most: int = MOST) -> None:
    """ValueError, naming the field, unless its value is a whole number above zero, and not above `most`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number above zero, not {value!r}")
    if value > most:
        raise ValueError(f"{name} must be {most} at most, not {value!r}")


def positive_number(name: str, value: object) -> None:
    """ValueError, naming the field, unless its value is a number above zero."""
    if not is_number(value) or value <= 0:
        raise ValueError(f"{name} must be a number above zero, not {value!r}")
