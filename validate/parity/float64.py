"""An artifact's Paddle program in float64: the same operators and the same numbers, with 29 more bits to compute in.

Weights and constants (attention scale, epsilon) stay the float32 values that they are in the program and in the ONNX
file alike: what is left of a difference is what computing in FP32 does.

Program: Paddle's PIR JSON, in which a tensor's element type is `{"#": "0.t_f32"}` and an operator's data type
`{"#": "1.a_dtype", "D": "float32"}` (Paddle, `paddle/fluid/pir/serialize_deserialize/include/schema.h`). The format of
the parameters is described in convert/export/pdiparams_file.py. What is not float32 (shapes, indices) stays as it is.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from convert.artifact import Artifact
from convert.common.errors import InputError
from convert.export.protobuf import VARINT, key, varint

_TYPES = ("0.t_f32", "0.t_f64")
_DTYPES = ("float32", "float64")
_DTYPE_ATTRIBUTE = "1.a_dtype"
_PARAMETER = "p"

_FP32, _FP64 = 5, 6  # VarType.Type in Paddle's framework.proto
_ITEM_BYTES = {
    0: 1,
    1: 2,
    2: 4,
    3: 8,
    4: 2,
    5: 4,
    6: 8,
    20: 1,
    21: 1,
    22: 2,
}  # BOOL, INT16..64, FP16..64, UINT8, INT8, BF16
_PREAMBLE = struct.Struct("<IQIi")  # version, LoD levels, tensor version, bytes of the description
_CHUNK = 1 << 20  # values that are in memory at once


def write(artifact: Artifact, folder: Path) -> tuple[Path, Path]:
    """Write the artifact's Paddle program and parameters in float64 into an existing folder.

    Returns the paths of the program (`inference.json`) and of its parameters (`inference.pdiparams`): twice the bytes
    of the artifact's own. The program takes and gives float64. InputError when the artifact's files are damaged.
    """
    program, params = folder / artifact.paddle_program.name, folder / artifact.paddle_params.name
    try:
        parsed = json.loads(artifact.paddle_program.read_text(encoding="utf-8"))
        expected = sum(1 for _ in _parameters(parsed))
        program.write_text(json.dumps(widen(parsed)), encoding="utf-8")
        with artifact.paddle_params.open("rb") as source, params.open("wb") as target:
            count = 0
            while _copy_tensor(source, target):
                count += 1
        if count != expected:
            raise ValueError(f"{count} parameters where its program has {expected}")
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{artifact.path}: its Paddle program is damaged ({error}); convert the model again") from None
    return program, params


def widen(node: Any) -> Any:
    """A PIR program (its JSON, parsed) with float64 wherever it had float32."""
    if isinstance(node, list):
        return [widen(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("#") == _TYPES[0]:
        return {**node, "#": _TYPES[1]}
    if node.get("#") == _DTYPE_ATTRIBUTE and node.get("D") == _DTYPES[0]:
        return {**node, "D": _DTYPES[1]}
    return {name: widen(item) for name, item in node.items()}


def _parameters(node: Any) -> Iterator[Any]:
    """The operators that stand for a parameter each, anywhere in a program."""
    if isinstance(node, list):
        for item in node:
            yield from _parameters(item)
    elif isinstance(node, dict):
        if node.get("#") == _PARAMETER:
            yield node
        else:
            yield from _parameters(list(node.values()))


@dataclass(frozen=True)
class _Description:
    """What `TensorDesc` says of a tensor: Paddle's number of its data type, and its sizes."""

    data_type: int
    sizes: tuple[int, ...]

    @classmethod
    def parse(cls, data: bytes) -> _Description:
        """ValueError when it is none."""
        data_type, sizes, position = None, [], 0
        while position < len(data):
            field, position = _varint(data, position)
            value, position = _varint(data, position)
            if field == key(1, VARINT)[0]:
                data_type = value
            elif field == key(2, VARINT)[0]:
                sizes.append(value)
            else:
                raise ValueError(f"a tensor's description has an unknown field {field >> 3}")
        if data_type not in _ITEM_BYTES:
            raise ValueError(f"a tensor has the unknown data type {data_type}")
        return cls(data_type, tuple(sizes))

    def to_bytes(self) -> bytes:
        return key(1, VARINT) + varint(self.data_type) + b"".join(key(2, VARINT) + varint(size) for size in self.sizes)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """The number that starts there, and where the next one starts."""
    value = shift = 0
    while position < len(data):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if not byte & 0x80:
            return value, position
    raise ValueError("a tensor's description is cut")


def _copy_tensor(source: IO[bytes], target: IO[bytes]) -> bool:
    """Copy the next tensor, float32 as float64. False at the end of the file."""
    preamble = source.read(_PREAMBLE.size)
    if not preamble:
        return False
    if len(preamble) < _PREAMBLE.size:
        raise EOFError("the parameter file is cut")
    version, levels, tensor_version, length = _PREAMBLE.unpack(preamble)
    if version or levels or tensor_version or length < 0:
        raise ValueError("the parameter file is not of the known version")
    description = _Description.parse(_exactly(source, length))
    widened = description.data_type == _FP32
    written = _Description(_FP64, description.sizes) if widened else description
    encoded = written.to_bytes()
    target.write(_PREAMBLE.pack(0, 0, 0, len(encoded)) + encoded)
    item = _ITEM_BYTES[description.data_type]
    remaining = item * int(np.prod(description.sizes, dtype=np.int64))
    while remaining:
        piece = _exactly(source, min(remaining, item * _CHUNK))
        target.write(np.frombuffer(piece, "<f4").astype("<f8").data if widened else piece)
        remaining -= len(piece)
    return True


def _exactly(source: IO[bytes], count: int) -> bytes:
    data = source.read(count)
    if len(data) < count:
        raise EOFError("the parameter file is cut")
    return data
