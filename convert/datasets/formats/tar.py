"""A tar archive read where it lies: the places of its files are looked up once, nothing is unpacked."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

from convert.common.errors import InputError
from convert.datasets.files import head, refuse_pointer
from convert.datasets.image_kinds import is_image_name, is_junk_path
from convert.datasets.trees import ArchiveTree
from convert.images.preprocess import UnreadableImage

_BLOCK = 512
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


@dataclass(frozen=True)
class Member:
    """Where a file lies in the archive, in bytes."""

    offset: int
    size: int


def open_tar(path: Path) -> ArchiveTree:
    """The archive as a tree. InputError as of `index`."""
    members = index(path)

    def fetch(name: str, count: int | None) -> bytes:
        member = members[name]
        return read_member(path, name, member if count is None else Member(member.offset, min(count, member.size)))

    return ArchiveTree(path, {name: member.size for name, member in members.items()}, fetch)


def index(path: Path) -> dict[str, Member]:
    """The files of an archive by name, in its order; what an operating system left in it apart.

    InputError: it is compressed, damaged, cut off, has a link or the like in an image's place or an image twice.
    """
    start = head(path)
    refuse_pointer(path, start)
    for magic, kind in _COMPRESSED.items():
        if start.startswith(magic):
            raise InputError(
                f"{path}: compressed with {kind}, so that images cannot be found in it; decompress it first"
            )
    members: dict[str, Member] = {}
    try:
        size = path.stat().st_size
        with tarfile.open(path, "r:") as archive:
            for entry in archive:
                name = entry.name.removeprefix("./").strip("/")
                if entry.isdir() or not name or is_junk_path(name):
                    continue
                if not entry.isreg() or entry.issparse():
                    if is_image_name(name):
                        raise InputError(f"{path}: {entry.name} is no plain file in the archive")
                    continue
                if name in members and is_image_name(name):
                    raise InputError(f"{path}: {name} is in the archive twice")
                members[name] = Member(entry.offset_data, entry.size)
            end = archive.offset
    except tarfile.ReadError as error:
        raise InputError(f"{path}: the archive is damaged or cut off ({error})") from None
    except (OSError, tarfile.TarError, ValueError) as error:  # ValueError: a header's numbers that are none
        raise InputError(f"{path}: the archive cannot be read ({error})") from None
    _check_end(path, end, size, len(members))
    return members


def _check_end(path: Path, end: int, size: int, count: int) -> None:
    """`tarfile` takes whatever it cannot read behind the first entry for the end of the archive."""
    with path.open("rb") as stream:
        stream.seek(end)
        block = stream.read(_BLOCK)
    if block != bytes(_BLOCK):
        raise InputError(
            f"{path}: the archive is damaged or cut off: after {count} files, at byte {end} of {size}, there is"
            " neither another entry nor the end mark"
        )


def read_member(path: Path, name: str, member: Member) -> bytes:
    """The bytes of one file. Each call opens the archive for itself, so that threads share no position."""
    try:
        with path.open("rb", buffering=0) as stream:
            stream.seek(member.offset)
            data = stream.read(member.size)
    except OSError as error:
        raise UnreadableImage(path / name, f"cannot be read ({error.strerror or error})") from None
    if len(data) != member.size:
        raise UnreadableImage(path / name, f"cannot be read ({len(data)} of {member.size} bytes are there)")
    return data
