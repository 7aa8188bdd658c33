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
from pathlib import Path
from typing import IO, Any

import numpy as np

from convert.artifact import Artifact
from convert.common.errors import InputError

_TYPES = ("0.t_f32", "0.t_f64")
_DTYPES = ("float32", "float64")
_DTYPE_ATTRIBUTE = "1.a_dtype"
_PARAMETER = "p"

_FP32, _FP64 = 5, 6  # VarType.Type in Paddle's framework.proto
# Of BOOL, INT16, INT32, INT64, FP16, FP32, FP64, UINT8, INT8 and BF16.
_ITEM_BYTES = {0: 1, 1: 2, 2: 4, 3: 8, 4: 2, 5: 4, 6: 8, 20: 1, 21: 1, 22: 2}
_DATA_TYPE, _SIZE = 0x08, 0x10  # the keys of the two fields of `TensorDesc`
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


def _describe(data: bytes) -> tuple[int, tuple[int, ...]]:
    """What a `TensorDesc` says of a tensor: Paddle's number of its data type, and its sizes.

    ValueError when it is none, or not written as Paddle writes it, the data type first.
    """
    numbers = _varints(data)
    fields = list(zip(numbers[::2], numbers[1::2], strict=True))
    if not fields or fields[0][0] != _DATA_TYPE or any(field != _SIZE for field, _ in fields[1:]):
        raise ValueError("a tensor's description has an unknown field")
    if fields[0][1] not in _ITEM_BYTES:
        raise ValueError(f"a tensor has the unknown data type {fields[0][1]}")
    return fields[0][1], tuple(size for _, size in fields[1:])


def _varints(data: bytes) -> list[int]:
    """All the bytes as numbers in groups of seven bits, least significant first (protobuf's "Encoding" page)."""
    found, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            found.append(value)
            value = shift = 0
    if shift:
        raise ValueError("a tensor's description is cut")
    return found


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
    description = _exactly(source, length)
    data_type, sizes = _describe(description)
    widened = data_type == _FP32
    if widened:
        description = description.replace(bytes([_DATA_TYPE, _FP32]), bytes([_DATA_TYPE, _FP64]), 1)
    target.write(preamble + description)
    item = _ITEM_BYTES[data_type]
    remaining = item * int(np.prod(sizes, dtype=np.int64))
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
