"""Write an ONNX file whose weights come one at a time, so that a large model never lies in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import onnx

from convert.export.protobuf import prefix

# protobuf's parsers end at 2 GiB; leave room for the graph itself.
INLINE_LIMIT = 2**31 - 2**26
_ALIGNMENT = 4096  # so that a runtime can map a tensor of the data file into memory


def write(
    path: Path,
    skeleton: onnx.ModelProto,
    shapes: dict[str, tuple[int, ...]],
    read: Callable[[str], np.ndarray],
    inline_limit: int = INLINE_LIMIT,
) -> list[Path]:
    """Write `skeleton` with float32 initializers of the given names and shapes; `read(name)` gives each in turn.

    The weights stand in the file itself, or in `<path>.data` beside it where one file would near protobuf's 2 GiB.
    Returns the files written. Fields and numbers are those of onnx.proto3.
    """
    bytes_of = {name: 4 * int(np.prod(shape, dtype=np.int64)) for name, shape in shapes.items()}
    if sum(bytes_of.values()) + skeleton.ByteSize() > inline_limit:
        return _write_external(path, skeleton, shapes, read)
    heads = {name: _tensor(name, shape).SerializeToString() for name, shape in shapes.items()}
    raw = {name: prefix(onnx.TensorProto.RAW_DATA_FIELD_NUMBER, size) for name, size in bytes_of.items()}
    sizes = {name: len(heads[name]) + len(raw[name]) + bytes_of[name] for name in shapes}
    before = {name: prefix(onnx.GraphProto.INITIALIZER_FIELD_NUMBER, size) for name, size in sizes.items()}

    outer = onnx.ModelProto()
    outer.CopyFrom(skeleton)
    outer.ClearField("graph")
    graph = skeleton.graph.SerializeToString()
    graph_size = len(graph) + sum(len(before[name]) + sizes[name] for name in shapes)
    with path.open("wb") as stream:
        stream.write(outer.SerializeToString() + prefix(onnx.ModelProto.GRAPH_FIELD_NUMBER, graph_size) + graph)
        for name in shapes:
            stream.write(before[name] + heads[name] + raw[name])
            _write_data(stream, read(name), name, shapes[name])
    return [path]


def _write_external(
    path: Path, skeleton: onnx.ModelProto, shapes: dict[str, tuple[int, ...]], read: Callable[[str], np.ndarray]
) -> list[Path]:
    data = path.with_name(path.name + ".data")
    model = onnx.ModelProto()
    model.CopyFrom(skeleton)
    with data.open("wb") as stream:
        for name, shape in shapes.items():
            stream.write(b"\0" * (-stream.tell() % _ALIGNMENT))
            offset = stream.tell()
            _write_data(stream, read(name), name, shape)
            tensor = model.graph.initializer.add()
            tensor.CopyFrom(_tensor(name, shape))
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, value in {"location": data.name, "offset": offset, "length": stream.tell() - offset}.items():
                tensor.external_data.add(key=key, value=str(value))
    path.write_bytes(model.SerializeToString())
    return [path, data]


def _tensor(name: str, shape: Iterable[int]) -> onnx.TensorProto:
    return onnx.TensorProto(name=name, dims=list(shape), data_type=onnx.TensorProto.FLOAT)


def _write_data(stream: BinaryIO, array: np.ndarray, name: str, shape: tuple[int, ...]) -> None:
    if array.shape != shape or array.dtype != np.float32:
        raise ValueError(f"{name} is {array.dtype}{array.shape}, not float32{shape}")
    stream.write(np.ascontiguousarray(array, dtype="<f4").data)
