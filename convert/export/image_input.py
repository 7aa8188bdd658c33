"""A Paddle program's input, made what every artifact has: float32 (batch, 3, height, width), in Paddle's PIR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convert.common.errors import InputError
from convert.families.spec import sides

_NAME = "image"  # of an input that takes the place of the exported one
_TO_NHWC = [0, 2, 3, 1]


@dataclass(frozen=True)
class ImageInput:
    """value: the input as the artifact has it. batch: the only one that it takes; None for any. size: what
    the sides that were open were fixed to; None where none was. notes: in words."""

    value: Any
    batch: int | None
    size: int | None
    notes: tuple[str, ...]


def fix(program: Any, feed: Any, size: int | None, place: str) -> ImageInput:
    """Take an input for images, or put one before it.

    size: pixels of each side that the program leaves open (`--image-size`). place: begins the messages.
    InputError says what the input is instead of one for colour images.
    """
    shape = [int(dim) for dim in feed.shape]
    words = _words(shape)
    if len(shape) != 4:
        raise InputError(f"{place}: its input is {words}; images (batch, 3, height, width) are needed")
    if str(feed.dtype) != "paddle.float32":
        raise InputError(
            f"{place}: its input is {str(feed.dtype).removeprefix('paddle.')}: export it with a float32 input"
        )
    last = shape[3] == 3 and shape[1] != 3
    batch, channels, height, width = [shape[i] for i in ([0, 3, 1, 2] if last else range(4))]
    if channels not in (3, -1):
        raise InputError(f"{place}: its input {words} has {channels} channels; images have 3, red, green and blue")
    sides = _sides(height, width, size, place)
    notes = []
    if last:
        notes.append(f"its input is NHWC, {words}: a Transpose stands before it, so that it takes NCHW as others do")
    if batch > 0:
        notes.append(f"exported with a fixed batch of {batch}: it works at that batch alone")
    value = feed if shape == [batch, 3, *sides] else _replace(program, feed, [batch, 3, *sides], last)
    open_sides = -1 in (height, width)
    return ImageInput(value, batch if batch > 0 else None, size if open_sides else None, tuple(notes))


def _sides(height: int, width: int, size: int | None, place: str) -> tuple[int, int]:
    if -1 in (height, width):
        if size is None:
            words = " x ".join("any" if side < 0 else str(side) for side in (height, width))
            raise InputError(
                f"{place}: the image is {words}; a fixed size is needed: give the pixels of what is open, as in"
                " --image-size 224"
            )
        return (size if height < 0 else height), (size if width < 0 else width)
    if size is not None and (height, width) != (size, size):
        made = sides((height, width))
        raise InputError(f"{place}: --image-size {size}: it was exported for {made} pixels, leave the option out")
    return height, width


def _replace(program: Any, feed: Any, shape: list[int], transpose: bool) -> Any:
    import paddle

    first = feed.get_defining_op()
    with paddle.static.program_guard(program):
        value = paddle.static.data(_NAME, shape, "float32")
        paddle.pir.set_insertion_point_after(value.get_defining_op())
        feed.replace_all_uses_with(paddle.transpose(value, _TO_NHWC) if transpose else value)
    program.global_block().remove_op(first)
    return value


def _words(shape: list[int]) -> str:
    names = ["batch"] + ["any"] * len(shape)
    return f"({', '.join(names[i] if dim < 0 else str(dim) for i, dim in enumerate(shape))})"
