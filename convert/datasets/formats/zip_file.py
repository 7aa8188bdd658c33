"""A zip archive read where it lies, within bounds: nothing of it is unpacked or trusted with its size."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from convert.common.errors import InputError
from convert.datasets.files import head, refuse_pointer
from convert.datasets.image_kinds import is_image_name, is_junk_path
from convert.datasets.trees import ArchiveTree
from convert.images.preprocess import UnreadableImage

MOST_BYTES = 256 << 20  # of one file: the largest photos have a tenth of it
# Deflate reaches 1032 to 1. Photos come as they are, bitmaps of one colour reach hundreds and are no larger than this.
_BOMB_RATIO, _BOMB_BYTES = 200, 32 << 20
_ENCRYPTED, _UTF_8 = 0x1, 0x800  # flag bits, section 4.4.4 of PKWARE's APPNOTE.TXT


def open_zip(path: Path) -> ArchiveTree:
    """The archive as a tree. InputError: it is damaged, cut off or locked, or a file in it is larger than any image."""
    refuse_pointer(path, head(path))
    try:
        archive = zipfile.ZipFile(path)  # its members may be read from several threads
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise InputError(f"{path}: the archive is damaged or cut off ({error})") from None
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = _name(info).removeprefix("./").strip("/")
        if info.is_dir() or not name or is_junk_path(name):
            continue
        if info.flag_bits & _ENCRYPTED:
            raise InputError(f"{path}: {name} is locked with a password; give an archive without one")
        _refuse_bomb(path, name, info)
        if name in members and is_image_name(name):
            raise InputError(f"{path}: {name} is in the archive twice")
        members[name] = info

    def fetch(name: str, count: int | None) -> bytes:
        try:
            with archive.open(members[name]) as stream:
                return stream.read(members[name].file_size if count is None else count)
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise UnreadableImage(path / name, f"cannot be read ({' '.join(str(error).split())[:200]})") from None

    return ArchiveTree(path, {name: info.file_size for name, info in members.items()}, fetch)


def _refuse_bomb(path: Path, name: str, info: zipfile.ZipInfo) -> None:
    bomb = info.file_size > _BOMB_BYTES and info.file_size > _BOMB_RATIO * max(info.compress_size, 1)
    if info.file_size > MOST_BYTES or bomb:
        raise InputError(
            f"{path}: {name} announces {info.file_size} bytes, packed into {info.compress_size}: too much for an image;"
            " unpack the archive where you trust it"
        )


def _name(info: zipfile.ZipInfo) -> str:
    """The name of a member. Windows in China writes GBK without saying so, which Python takes for code page 437."""
    if info.flag_bits & _UTF_8 or info.filename.isascii():
        return info.filename
    for encoding in ("utf-8", "gb18030"):
        try:
            return info.filename.encode("cp437").decode(encoding)
        except UnicodeError:
            continue
    return info.filename
