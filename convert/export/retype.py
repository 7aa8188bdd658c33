"""A Paddle program in other number types: its JSON rewritten, its parameters converted as they are copied.

Program: Paddle's PIR JSON, in which a tensor's element type is `{"#": "0.t_f32"}` and an operator's data type
`{"#": "1.a_dtype", "D": "float32"}` (Paddle, `paddle/fluid/pir/serialize_deserialize/include/schema.h`). The format of
the parameters is described in pdiparams_file.py.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np


@dataclass(frozen=True)
class NumberType:
    """code: VarType.Type in Paddle's framework.proto. pir, name: of a tensor and of an attribute in PIR's JSON."""

    code: int
    pir: str
    name: str

    def read(self, data: bytes) -> np.ndarray:
        """The numbers that stand in a parameter file, as numpy knows them: bfloat16 widened to float32."""
        if self is BF16:
            return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
        return np.frombuffer(data, np.dtype(self.name).newbyteorder("<"))


UINT8 = NumberType(20, "0.t_ui8", "uint8")
FP16 = NumberType(4, "0.t_f16", "float16")
BF16 = NumberType(22, "0.t_bf16", "bfloat16")
FP32 = NumberType(5, "0.t_f32", "float32")
FP64 = NumberType(6, "0.t_f64", "float64")

Types = Mapping[NumberType, NumberType]

_DTYPE_ATTRIBUTE = "1.a_dtype"
_PARAMETER = "p"
# By code: BOOL, INT16, INT32, INT64, FP16, FP32, FP64, UINT8, INT8 and BF16.
_ITEM_BYTES = {0: 1, 1: 2, 2: 4, 3: 8, 4: 2, 5: 4, 6: 8, 20: 1, 21: 1, 22: 2}
_DATA_TYPE, _SIZE = 0x08, 0x10  # the keys of the two fields of `TensorDesc`
_PREAMBLE = struct.Struct("<IQIi")  # version, LoD levels, tensor version, bytes of the description
_CHUNK = 1 << 20  # values that are in memory at once


def rewrite(node: Any, types: Types) -> Any:
    """A PIR program (its JSON, parsed) with other types wherever it had the keys of `types`."""
    return _rewritten(node, {a.pir: b.pir for a, b in types.items()}, {a.name: b.name for a, b in types.items()})


def _rewritten(node: Any, tensors: Mapping[str, str], attributes: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_rewritten(item, tensors, attributes) for item in node]
    if not isinstance(node, dict):
        return node
    kind = node.get("#")
    if isinstance(kind, str) and kind in tensors:
        return {**node, "#": tensors[kind]}
    if kind == _DTYPE_ATTRIBUTE and node.get("D") in attributes:
        return {**node, "D": attributes[node["D"]]}
    return {name: _rewritten(item, tensors, attributes) for name, item in node.items()}


def operators(node: Any) -> Iterator[dict[str, Any]]:
    """The operators of a PIR program (its JSON, parsed), those of branches among them."""
    if isinstance(node, list):
        for item in node:
            yield from operators(item)
    elif isinstance(node, dict):
        if isinstance(node.get("#"), str) and "O" in node:
            yield node
        yield from operators([item for item in node.values() if isinstance(item, (list, dict))])


def count_parameters(program: Any) -> int:
    """How many parameters a PIR program (its JSON, parsed) has, anywhere in it."""
    count, waiting = 0, [program]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if node.get("#") == _PARAMETER:
                count += 1
                continue
            node = node.values()
        waiting += [one for one in node if isinstance(one, (dict, list))]
    return count


def copy_parameters(source: Path, target: IO[bytes] | None, types: Types) -> int:
    """Copy a parameter file with its tensors converted; where there is no target, it is only looked through.

    Returns how many tensors there are. ValueError or EOFError says in a clause what is wrong with the file.
    """
    count = 0
    with source.open("rb") as stream:
        while _copy_tensor(stream, target, types):
            count += 1
    return count


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


def _copy_tensor(source: IO[bytes], target: IO[bytes] | None, types: Types) -> bool:
    """Copy the next tensor. False at the end of the file."""
    preamble = source.read(_PREAMBLE.size)
    if not preamble:
        return False
    if len(preamble) < _PREAMBLE.size:
        raise EOFError("the parameter file is cut")
    version, levels, tensor_version, length = _PREAMBLE.unpack(preamble)
    if version or levels or tensor_version or length < 0:
        raise ValueError("the parameter file is not of the known version")
    description = _exactly(source, length)
    code, sizes = _describe(description)
    change = next(((a, b) for a, b in types.items() if a.code == code), None)
    if target:
        if change:
            description = bytes([_DATA_TYPE, change[1].code]) + description[2:]
        target.write(preamble + description)
    item = _ITEM_BYTES[code]
    remaining = item * int(np.prod(sizes, dtype=np.int64))
    while remaining:
        piece = _exactly(source, min(remaining, item * _CHUNK))
        remaining -= len(piece)
        if target:
            target.write(_converted(piece, *change) if change else piece)
    return True


def _converted(data: bytes, source: NumberType, target: NumberType) -> bytes:
    return source.read(data).astype(np.dtype(target.name).newbyteorder("<")).tobytes()


def _exactly(source: IO[bytes], count: int) -> bytes:
    data = source.read(count)
    if len(data) < count:
        raise EOFError("the parameter file is cut")
    return data
