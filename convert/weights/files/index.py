"""The index of a checkpoint file: which tensors it holds, and at which bytes.

It is all that comes back from the process that looked into the file (`scan.py`), so it is JSON and small. This file and
those that fill it import no numpy: that process has to start fast.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace

_MOST_SIDES, _MOST_VALUES = 32, 1 << 40
_MOST_TENSORS = 50_000  # of one file: the largest models have some thousands, and their optimizers three times that
_LONGEST_NAME = 1024
_MOST_WORDS = 50  # of what is only said


class NotReadError(Exception):
    """The file is not what it claims to be; a clause says why."""


@dataclass(frozen=True)
class Span:
    """Bytes of the file that hold values. codec: how they become values.

    raw: as they are. utf-8: text in UTF-8 whose characters are the bytes, as pickles of protocols 2 and below have it.
    escaped, python2: the same in protocol 0, of Python 3 and 2. deflated: compressed, as in a zip.
    skip: what stands before the values, after decoding. crc: CRC-32 of all that is decoded, where the file says it.
    """

    start: int
    length: int
    codec: str = "raw"
    skip: int = 0
    crc: int | None = None


@dataclass(frozen=True)
class TensorIndex:
    """A tensor in the file. dtype: as numpy spells it (`<f4`), `bfloat16`, or a name that nothing here reads.

    spans: their values, one after the other. offset, strides: in values, of a view into them; None where it is whole.
    """

    dtype: str
    shape: tuple[int, ...]
    spans: tuple[Span, ...]
    offset: int = 0
    strides: tuple[int, ...] | None = None
    fortran: bool = False


@dataclass(frozen=True)
class DictIndex:
    """A dictionary with tensors in it. key: where it is in the file, `model.ema`; empty for the file itself.

    others: entries that are no tensors, and what they are in a word.
    """

    key: str
    tensors: dict[str, TensorIndex]
    others: dict[str, str]


@dataclass(frozen=True)
class FileIndex:
    """kind: pickle, torch, safetensors or npz, whatever its name. entries: of the file's own dictionary, where that
    holds more than tensors. unread: classes of what was read past."""

    kind: str
    dicts: tuple[DictIndex, ...]
    entries: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def checked_shape(sides: object) -> tuple[int, ...]:
    """A shape out of a file. NotReadError when it is none that a tensor in a file can have."""
    if not isinstance(sides, (tuple, list)) or any(type(side) is not int or side < 0 for side in sides):
        raise NotReadError("a shape that is no list of whole numbers")
    if len(sides) > _MOST_SIDES or math.prod(min(max(side, 1), _MOST_VALUES) for side in sides) > _MOST_VALUES:
        raise NotReadError("a shape beyond any tensor")
    return tuple(sides)


def itemsize(dtype: str) -> int | None:
    """Bytes of a value; None for what nothing here reads."""
    if dtype == "bfloat16":
        return 2
    return int(dtype[2:]) if len(dtype) == 3 and dtype[0] in "<>|=" and dtype[1:] in _NUMBERS else None


_NUMBERS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")


def bounded(index: FileIndex) -> FileIndex:
    """An index fit to be sent. NotReadError when it holds more than a checkpoint does."""
    if sum(len(one.tensors) for one in index.dicts) > _MOST_TENSORS:
        raise NotReadError(f"more than {_MOST_TENSORS} tensors")
    if any(len(name) > _LONGEST_NAME for one in index.dicts for name in one.tensors):
        raise NotReadError(f"a tensor whose name has more than {_LONGEST_NAME} characters")
    dicts = tuple(replace(one, others=dict(list(one.others.items())[:_MOST_WORDS])) for one in index.dicts)
    return replace(index, dicts=dicts, entries=index.entries[:_MOST_WORDS], unread=index.unread[:_MOST_WORDS])


def little(data: bytes, form: str) -> int:
    """A little-endian number of struct's form. NotReadError when the file ends within it."""
    if len(data) != struct.calcsize(f"<{form}"):
        raise NotReadError("it ends too early")
    return int(struct.unpack(f"<{form}", data)[0])
