"""Tensors of an index, read from the file one at a time."""

from __future__ import annotations

import codecs
import math
import zlib
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes  # noqa: F401 - gives numpy bfloat16
import numpy as np

from convert.weights.files.index import NotReadError, Span, TensorIndex, itemsize
from convert.weights.tensors import Array, Stored

# A byte of values takes at most so many bytes in the file, and a few around all of them.
_LARGEST = {"raw": 1, "utf-8": 2, "escaped": 6, "python2": 4, "deflated": 2}


def stored(path: Path, tensor: TensorIndex) -> Stored:
    """A tensor that is read when it is loaded; `load` raises NotReadError, and OSError as the file has it."""
    readable = itemsize(tensor.dtype) is not None
    return Stored(tensor.shape, np.dtype(tensor.dtype).name if readable else tensor.dtype, partial(_load, path, tensor))


def _load(path: Path, tensor: TensorIndex) -> Array:
    size = itemsize(tensor.dtype)
    if size is None:
        raise NotReadError(f"of {tensor.dtype}, which is not read")
    count = math.prod(tensor.shape)
    # Of several spans none knows how long it is but by what is in it; they are those of one tensor.
    most = count * size if len(tensor.spans) == 1 and tensor.strides is None else None
    with path.open("rb") as stream:
        dtype: np.dtype[Any] = np.dtype(tensor.dtype)
        parts = [np.frombuffer(_content(stream, span, most), dtype) for span in tensor.spans]
    values = parts[0] if len(parts) == 1 else np.concatenate(parts)
    if tensor.strides is not None:
        return _view(values, tensor, tensor.strides)
    if values.size != count:
        raise NotReadError(f"its bytes do not fill a tensor of shape {tensor.shape} and dtype {dtype}")
    return values.reshape(tensor.shape, order="F" if tensor.fortran else "C")


def _view(values: Array, tensor: TensorIndex, strides: tuple[int, ...]) -> Array:
    last = tensor.offset + sum((side - 1) * step for side, step in zip(tensor.shape, strides, strict=True))
    if math.prod(tensor.shape) and last >= values.size:
        raise NotReadError("it reaches beyond its storage")
    steps = tuple(step * values.itemsize for step in strides)
    return np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, steps, writeable=False)


def _content(stream: BinaryIO, span: Span, most: int | None) -> bytes:
    """The bytes of a span's values. most: how many there are, where it is known."""
    if most is not None and span.length > _LARGEST[span.codec] * (span.skip + most) + 64:
        raise NotReadError("its bytes are more than its shape says")
    stream.seek(span.start)
    data = stream.read(span.length)
    if len(data) != span.length:
        raise NotReadError("the file ends within it")
    if span.codec == "utf-8":
        data = data.decode("utf-8", "surrogatepass").encode("latin1")
    elif span.codec == "escaped":
        data = data.decode("raw-unicode-escape").encode("latin1")
    elif span.codec == "python2":
        data = codecs.escape_decode(data[1:-1])[0]
    elif span.codec == "deflated":
        assert most is not None  # torch compresses none
        data = zlib.decompressobj(-15).decompress(data, span.skip + most + 1)
    if span.crc is not None and zlib.crc32(data) != span.crc:
        raise NotReadError("it is damaged: its checksum is another")
    return data[span.skip :] if span.skip else data
