"""PyTorch's `.pth` files without PyTorch: the zip archive of torch 1.6 and later, and the format before it.

Sources of the formats: torch/serialization.py (`_save`, `_legacy_save`) and torch/_utils.py (`_rebuild_tensor_v2`).
A zip holds `NAME/data.pkl`, a pickle whose tensors point to storages by key, one member `NAME/data/KEY` a storage, and
since torch 2.1 `NAME/byteorder`. The older format is five pickles in a row (magic number, version, system, object, list
of storage keys), then for each storage in that order its count of values as int64 and its bytes, little-endian always.
"""

from __future__ import annotations

import math
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import ml_dtypes  # noqa: F401 - gives numpy bfloat16
import numpy as np

from convert.weights import unpickle
from convert.weights.tensors import Array, Shape, Stored

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001

_STORAGES = {
    "Float": "float32",
    "Half": "float16",
    "Double": "float64",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
}


@dataclass(frozen=True)
class _Storage:
    dtype: np.dtype[Any]
    key: str
    count: int

    @property
    def bytes(self) -> int:
        return self.count * self.dtype.itemsize


@dataclass(frozen=True)
class _View:
    """Stands in for a tensor: which values of a storage, in which order."""

    storage: _Storage
    offset: int
    shape: Shape
    stride: Shape


def read(path: Path) -> dict[str, Stored]:
    """The tensors of a `.pth` file, each storage read when a tensor of it is.

    `{"model": ...}` and `{"state_dict": ...}` are unwrapped. Raises unpickle.RefusedError for a hostile pickle, and
    whatever a damaged file leads to.
    """
    with path.open("rb") as stream:
        is_zip = stream.read(4) == b"PK\x03\x04"
        stream.seek(0)
        content, fetch = _read_zip(path) if is_zip else _read_legacy(path, stream)
    return {name: _stored(view, fetch) for name, view in _unwrapped(content).items()}


def _unwrapped(content: object) -> dict[str, _View]:
    for wrapper in ("model", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict):
        raise pickle.UnpicklingError("it holds no state dict")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, _View):
            raise pickle.UnpicklingError(f"its entry {str(name)[:80]!r} is no tensor")
    return cast(dict[str, _View], content)


def _stored(view: _View, fetch: Callable[[_Storage], Array]) -> Stored:
    def load() -> Array:
        values = fetch(view.storage)[view.offset :]
        strides = tuple(step * values.itemsize for step in view.stride)
        return np.lib.stride_tricks.as_strided(values, view.shape, strides, writeable=False)

    return Stored(view.shape, view.storage.dtype.name, load)


def _read_zip(path: Path) -> tuple[object, Callable[[_Storage], Array]]:
    def open_member(archive: zipfile.ZipFile, name: str) -> BinaryIO:
        # torch never compresses: what is compressed comes from elsewhere, and may unpack to any size.
        if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
            raise pickle.UnpicklingError(f"its member {name} is compressed")
        return cast(BinaryIO, archive.open(name))

    with zipfile.ZipFile(path) as archive:
        members = {info.filename: info.file_size for info in archive.infolist()}
        pickles = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise pickle.UnpicklingError("it holds no data.pkl")
        root = pickles[0].removesuffix("data.pkl")
        order: Literal["<", ">"] = "<"
        if f"{root}byteorder" in members:
            with open_member(archive, f"{root}byteorder") as stream:
                order = "<" if stream.read() == b"little" else ">"
        with open_member(archive, pickles[0]) as stream:
            content = unpickle.load(stream, _NAMES, _storage)

    def fetch(storage: _Storage) -> Array:
        name = f"{root}data/{storage.key}"
        if members.get(name) != storage.bytes:
            raise pickle.UnpicklingError(f"its member {name} has not the {storage.bytes} bytes of its tensor")
        with zipfile.ZipFile(path) as archive, open_member(archive, name) as stream:
            return np.frombuffer(stream.read(), storage.dtype.newbyteorder(order))

    return content, fetch


def _read_legacy(path: Path, stream: BinaryIO) -> tuple[object, Callable[[_Storage], Array]]:
    magic, version = unpickle.load(stream, {}), unpickle.load(stream, {})
    if (magic, version) != (_LEGACY_MAGIC, _LEGACY_VERSION):
        raise pickle.UnpicklingError("it begins with neither of torch's magic numbers")
    unpickle.load(stream, {})  # the system that wrote it, which torch does not look at either
    storages: dict[str, _Storage] = {}

    def remember(pid: object) -> _Storage:
        storage = _storage(pid)
        return storages.setdefault(storage.key, storage)

    content = unpickle.load(stream, _NAMES, remember)
    keys = unpickle.load(stream, {})
    if not isinstance(keys, list) or set(keys) != set(storages):
        raise pickle.UnpicklingError("its list of storages is not that of its tensors")
    size, position = path.stat().st_size, stream.tell()
    starts: dict[str, int] = {}
    for key in keys:
        stream.seek(position)
        (count,) = struct.unpack("<q", stream.read(8))
        starts[key] = position + 8
        position += 8 + storages[key].bytes
        if count != storages[key].count or position > size:
            raise pickle.UnpicklingError(f"its storage {key} has not the {storages[key].count} values of its tensor")

    def fetch(storage: _Storage) -> Array:
        with path.open("rb") as file:
            file.seek(starts[storage.key])
            return np.frombuffer(file.read(storage.bytes), storage.dtype.newbyteorder("<"))

    return content, fetch


def _storage(pid: object) -> _Storage:
    """Of ("storage", class, key, device, count) and, in the older format, None for "no view of another storage"."""
    match pid:
        case ("storage", np.dtype() as dtype, str(key), str(), int(count), *view) if count >= 0 and not any(view):
            return _Storage(dtype, key, count)
    raise pickle.UnpicklingError("a tensor without a plain storage")


def _rebuild_tensor(storage: object, offset: object, shape: object, stride: object, *_: object) -> _View:
    """torch's `_rebuild_tensor_v2`; what follows (gradient, hooks, metadata) concerns training."""
    whole = (offset, *shape, *stride) if isinstance(shape, tuple) and isinstance(stride, tuple) else (None,)
    if not isinstance(storage, _Storage) or any(type(number) is not int or number < 0 for number in whole):
        raise pickle.UnpicklingError("a tensor whose offset, size or stride are no whole numbers")
    offset, shape, stride = cast(int, offset), cast(Shape, shape), cast(Shape, stride)
    last = offset + sum((side - 1) * step for side, step in zip(shape, stride, strict=True))
    if math.prod(shape) and last >= storage.count:
        raise pickle.UnpicklingError(f"a tensor of shape {shape} that reaches beyond its storage")
    return _View(storage, offset, shape, stride)


def _rebuild_parameter(view: object, *_: object) -> object:
    """torch's: a parameter is its tensor."""
    return view


_NAMES: unpickle.Names = {
    **unpickle.COLLECTIONS,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    **{f"torch.{name}Storage": np.dtype(dtype) for name, dtype in _STORAGES.items()},
}
