"""PyTorch's files without PyTorch: the zip archive of torch 1.6 and later, and the format before it.

Sources of the formats: torch/serialization.py (`_save`, `_legacy_save`) and torch/_utils.py (`_rebuild_tensor_v2`).
A zip holds `NAME/data.pkl`, a pickle whose tensors point to storages by key, one member `NAME/data/KEY` a storage, and
since torch 2.1 `NAME/byteorder`. The older format is five pickles in a row (magic number, version, system, object, list
of storage keys), then for each storage in that order its count of values as int64 and its bytes, little-endian always.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from convert.weights.files.archives import ZipMember, check
from convert.weights.files.index import NotReadError, Span, TensorIndex, little
from convert.weights.files.reader import Budget, Reader
from convert.weights.files.stand_ins import TorchStorage, View, storage
from convert.weights.files.unpickle import load

MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001

Place = Callable[[View], TensorIndex]  # a tensor, by the bytes of its storage


def pickles(members: dict[str, ZipMember]) -> list[ZipMember]:
    """The pickle of a torch archive: one, or none where the archive is something else."""
    return [one for name, one in members.items() if name.count("/") == 1 and name.endswith("/data.pkl")]


def read_zip(
    path: Path, members: dict[str, ZipMember], main: ZipMember, budget: Budget
) -> tuple[object, Reader, Place]:
    """The object of an archive, who read it, and where its tensors are."""
    root = main.name.removesuffix("data.pkl")
    if any(member.deflated for name, member in members.items() if name.startswith(root)):
        # torch never compresses: what is compressed comes from elsewhere, and may unpack to any size.
        raise NotReadError("its members are compressed, and torch compresses none")
    order = members.get(f"{root}byteorder")
    with path.open("rb") as stream:
        big = order is not None and order.head(stream, 6) != b"little"
        check(stream, main)
        reader = Reader(stream, main.start, main.start + main.length, budget, storage)
        content = load(reader)

    def place(view: View) -> TensorIndex:
        name = f"{root}data/{view.storage.key}"
        member = members.get(name)
        if member is None or member.size != view.storage.bytes:
            raise NotReadError(f"its member {name} has not the {view.storage.bytes} bytes of its tensor")
        return _placed(view, member.span(), big)

    return content, reader, place


def read_legacy(reader: Reader, version: object) -> tuple[object, Place]:
    """The object of the older format, the magic number and the version having been read, and where its tensors are."""
    if version != _VERSION:
        raise NotReadError("it begins with a version of torch's format that is not known")
    load(reader)  # the system that wrote it, which torch does not look at either
    storages: dict[str, TorchStorage] = {}

    def remember(pid: object) -> TorchStorage:
        found = storage(pid)
        return storages.setdefault(found.key, found)

    reader.persistent = remember
    content = load(reader)
    reader.persistent = None
    keys = load(reader)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or set(keys) != set(storages):
        raise NotReadError("its list of storages is not that of its tensors")
    reader.stream.seek(reader.at)
    spans: dict[str, Span] = {}
    for key in keys:
        count = little(reader.read(8), "q")
        if count != storages[key].count:
            raise NotReadError(f"its storage {key[:80]} has not the {storages[key].count} values of its tensor")
        spans[key] = reader.skip(storages[key].bytes, "raw")
    return content, lambda view: _placed(view, spans[view.storage.key], False)


def _placed(view: View, span: Span, big: bool) -> TensorIndex:
    dtype = view.storage.dtype
    if big and dtype[0] == "<":
        dtype = f">{dtype[1:]}"
    return TensorIndex(dtype, view.shape, (span,), view.offset, view.strides)
