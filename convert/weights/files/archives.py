"""Zip archives by the places of their members, and the two formats that are a list of tensors: npz and safetensors."""

from __future__ import annotations

import ast
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from convert.weights.files.index import (
    DictIndex,
    FileIndex,
    NotReadError,
    Span,
    TensorIndex,
    checked_shape,
    itemsize,
    little,
)

_LONGEST_HEADER = 10_000  # bytes, of an array in an npz; numpy reads no longer ones either
_LONGEST_TABLE = 16 << 20  # bytes, of the header of a safetensors file
_CHUNK = 1 << 20

_SAFETENSORS = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "bfloat16", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "|i1", "U8": "|u1", "BOOL": "|b1", "U16": "<u2", "U32": "<u4", "U64": "<u8",
}  # fmt: skip


@dataclass(frozen=True)
class ZipMember:
    """A file in a zip. start, length: of its bytes in the archive; size: of its content."""

    name: str
    start: int
    length: int
    size: int
    crc: int
    deflated: bool

    def span(self, skip: int = 0) -> Span:
        """Its content from a byte on."""
        return Span(self.start, self.length, "deflated" if self.deflated else "raw", skip, self.crc)

    def head(self, stream: BinaryIO, size: int) -> bytes:
        """The first bytes of its content."""
        stream.seek(self.start)
        if not self.deflated:
            return stream.read(min(size, self.length))
        return zlib.decompressobj(-15).decompress(stream.read(min(self.length, 2 * size + 1024)), size)


def members(path: Path) -> dict[str, ZipMember]:
    """What a zip holds, by name. NotReadError for what is encrypted or compressed otherwise than by deflate."""
    size = path.stat().st_size
    found = {}
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as stream:
            for info in archive.infolist():
                stream.seek(info.header_offset + 26)
                names, extra = little(stream.read(2), "H"), little(stream.read(2), "H")
                start = info.header_offset + 30 + names + extra
                if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise NotReadError("a zip archive that is encrypted, or compressed in an unusual way")
                deflated = info.compress_type == zipfile.ZIP_DEFLATED
                if start + info.compress_size > size or (not deflated and info.compress_size != info.file_size):
                    raise NotReadError("a zip archive that ends too early")
                found[info.filename] = ZipMember(
                    info.filename, start, info.compress_size, info.file_size, info.CRC, deflated
                )
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise NotReadError(f"a damaged zip archive ({error})") from None
    return found


def check(stream: BinaryIO, member: ZipMember) -> None:
    """NotReadError when the content of a member that is not compressed is not what the archive says."""
    stream.seek(member.start)
    left, crc = member.length, 0
    while left and (chunk := stream.read(min(_CHUNK, left))):
        crc = zlib.crc32(chunk, crc)
        left -= len(chunk)
    if left or crc != member.crc:
        raise NotReadError(f"its member {member.name} is damaged")


def npz(path: Path, found: dict[str, ZipMember]) -> FileIndex:
    """numpy's archive of arrays. An array of objects is told from its header."""
    with path.open("rb") as stream:
        tensors = {name.removesuffix(".npy"): _npy(stream, member) for name, member in found.items()}
    return FileIndex("npz", (DictIndex("", tensors, {}),))


def _npy(stream: BinaryIO, member: ZipMember) -> TensorIndex:
    """The header of numpy's format: magic, version, length of what follows, and that as a Python literal."""
    head = member.head(stream, 12 + _LONGEST_HEADER)
    if head[:6] != b"\x93NUMPY" or len(head) < 12:
        raise NotReadError(f"its member {member.name} is no array")
    before, form = (10, "H") if head[6] == 1 else (12, "I")
    length = little(head[8:before], form)
    if length > _LONGEST_HEADER or before + length > member.size:
        raise NotReadError(f"its member {member.name} has a header of {length} bytes")
    table = ast.literal_eval(head[before : before + length].decode("latin1").strip())
    shape, dtype = checked_shape(table["shape"]), table["descr"]
    size = itemsize(dtype) if isinstance(dtype, str) else None
    if size is None:
        return TensorIndex("object", shape, ())
    return TensorIndex(dtype, shape, (member.span(before + length),), fortran=bool(table["fortran_order"]))


def safetensors(path: Path) -> FileIndex:
    """The format of the safetensors package: the length of a table, that as JSON, then the tensors without gaps."""
    total = path.stat().st_size
    with path.open("rb") as stream:
        length = little(stream.read(8), "Q")
        if length > min(_LONGEST_TABLE, total - 8):
            raise NotReadError(f"a header of {length} bytes in a file of {total}")
        table = json.loads(stream.read(length))
    table.pop("__metadata__", None)
    tensors, filled = {}, 0
    for name, one in sorted(table.items(), key=lambda item: _offsets(item[1])):
        start, end = _offsets(one)
        dtype, shape = _SAFETENSORS.get(str(one["dtype"]), str(one["dtype"])[:20]), checked_shape(one["shape"])
        if start != filled or end < start:
            raise NotReadError("tensors with gaps between them, or that overlap")
        filled = end
        tensors[name] = TensorIndex(dtype, shape, (Span(8 + length + start, end - start),))
    if 8 + length + filled != total:
        raise NotReadError(f"{total} bytes instead of {8 + length + filled}")
    return FileIndex("safetensors", (DictIndex("", {name: tensors[name] for name in table}, {}),))


def _offsets(entry: dict[str, object]) -> tuple[int, int]:
    match entry.get("data_offsets"):
        case [int(start), int(end)]:
            return start, end
    raise NotReadError("a tensor without offsets")
