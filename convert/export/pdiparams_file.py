"""Paddle's combined parameter file (`.pdiparams`), written one tensor at a time.

Format (Paddle, `paddle/phi/core/framework/dense_tensor_serialize.cc` and `SaveCombine`): the tensors in the order of
their sorted names, each as uint32 version 0, uint64 LoD levels 0, uint32 tensor version 0, int32 length and bytes of a
`TensorDesc` message (data type, dims), raw data in row-major order; all little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.export.protobuf import VARINT, key, varint

_FP32 = 5  # VarType.Type.FP32 in framework.proto


def tensor_header(array: np.ndarray) -> bytes:
    """What stands before the raw data of a float32 array."""
    desc = key(1, VARINT) + varint(_FP32) + b"".join(key(2, VARINT) + varint(size) for size in array.shape)
    return struct.pack("<IQIi", 0, 0, 0, len(desc)) + desc


@dataclass(frozen=True)
class Parameters:
    """A written parameter file: offsets and shapes by name, for reading the tensors back without copying."""

    path: Path
    offsets: dict[str, int]
    shapes: dict[str, tuple[int, ...]]

    def read(self, name: str) -> np.ndarray:
        """One tensor, mapped from the file: float32, read-only."""
        return np.memmap(self.path, "<f4", "r", self.offsets[name], self.shapes[name])


def write(path: Path, shapes: dict[str, tuple[int, ...]], read: Callable[[str], np.ndarray]) -> Parameters:
    """Write float32 tensors in the order of `shapes`, which must be sorted by name; `read(name)` gives each in turn."""
    offsets = {}
    with path.open("wb") as stream:
        for name, shape in shapes.items():
            array = read(name)
            if array.shape != shape or array.dtype != np.float32:
                raise ValueError(f"{name} is {array.dtype}{array.shape}, not float32{shape}")
            stream.write(tensor_header(array))
            offsets[name] = stream.tell()
            stream.write(np.ascontiguousarray(array, dtype="<f4").data)
    return Parameters(path, offsets, shapes)
