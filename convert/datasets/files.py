"""Files of a labelled set, looked at before anything runs: is it there, is it text, is it the file itself."""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from convert.common.errors import InputError

# What git leaves in a checkout where Git LFS has not fetched the file itself, and the size that it stays below.
# Source: the specification of Git LFS, docs/spec.md.
_POINTER = b"version https://git-lfs.github.com/spec/"
_POINTER_BYTES = 1024
_TEXT_BYTES = 256 << 20  # a list of 50,000 lines has 2 MB

UTF_8, GB18030 = "UTF-8", "GB18030"
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f]")  # in no text; a file of DOS may end in \x1a


def stat_of(path: Path) -> os.stat_result | None:
    """None where nothing can be found: also for names that no file system would take."""
    try:
        return path.stat()
    except (OSError, ValueError):
        return None


def is_folder(path: Path) -> bool:
    found = stat_of(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def is_file(path: Path) -> bool:
    found = stat_of(path)
    return found is not None and stat.S_ISREG(found.st_mode)


def scan(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, hidden names apart, by name. InputError when it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be read ({error.strerror})") from None


def short_name(path: Path) -> str:
    """Folder and file name, however the path was given."""
    if is_folder(path):
        path = path.resolve()
    folder = path.parent.resolve().name
    return f"{folder}/{path.name}" if folder else path.name


def head(path: Path, count: int = 512) -> bytes:
    """The first bytes of a file. InputError when it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(count)
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror})") from None


def refuse_pointer(path: Path, data: bytes) -> None:
    """InputError when the data, the first bytes of the file, are those of a Git LFS pointer."""
    if data.startswith(_POINTER):
        raise InputError(f"{path}: a Git LFS pointer instead of the file itself: run `git lfs pull`")


def read_bytes(path: Path, what: str, limit: int = _TEXT_BYTES) -> bytes:
    """A small file, whole. InputError: it cannot be read, is larger than any such file, or a Git LFS pointer."""
    found = stat_of(path)
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise InputError(f"{path}: a folder where {what} should be")
    if found is not None and found.st_size > limit:
        raise InputError(f"{path}: too large for {what}: {found.st_size} bytes")
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {what} cannot be read ({getattr(error, 'strerror', None) or error})") from None
    refuse_pointer(path, data)
    return data


def decoded(data: bytes, source: str, what: str) -> tuple[str, str]:
    """The text and the encoding that was taken: UTF-8, else UTF-16 by its mark or its zeros, else GB18030 (GBK).

    InputError when it is text in none of them. A byte order mark is taken off.
    """
    for encoding in _encodings(data):
        try:
            text = data.decode(encoding).removeprefix("\ufeff")
        except UnicodeDecodeError:
            continue
        if encoding == UTF_8 or not _CONTROL.search(text):
            # Excel can still end lines as the old Macintosh did.
            return (text if "\n" in text else text.replace("\r", "\n")), encoding
    raise InputError(f"{source}: not {what}: it is no UTF-8 text, nor one in UTF-16 or GBK")


def _encodings(data: bytes) -> list[str]:
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return ["UTF-32"]
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ["UTF-16"]
    start = data[:4096]
    if start.count(0) > len(start) // 4:  # paths and labels are ASCII mostly: every other byte is zero in UTF-16
        return ["UTF-16-LE", "UTF-16-BE"] if start[1::2].count(0) > start[::2].count(0) else ["UTF-16-BE", "UTF-16-LE"]
    return [UTF_8, GB18030]


def decode(data: bytes, source: str, what: str) -> str:
    """`decoded`, the text alone."""
    return decoded(data, source, what)[0]


def check_images(images: Sequence[Path], where: Callable[[int], str], hint: str) -> None:
    """InputError unless all of them are files, and none a Git LFS pointer.

    where: names the place that image i comes from. hint: what a user should know who has missing ones.
    """
    missing, pointers = [], []
    for index, image in enumerate(images):
        found = stat_of(image)
        if found is None:
            missing.append(index)
        elif stat.S_ISDIR(found.st_mode):
            raise InputError(f"{where(index)}: {image} is a folder, not an image")
        elif 0 < found.st_size < _POINTER_BYTES and _is_pointer(image):
            pointers.append(index)
    for indices, what, advice in ((missing, "missing", hint), (pointers, "Git LFS pointers", "run `git lfs pull`")):
        if indices:
            count = f"{len(indices)} of {len(images)} images are {what}, the first is {images[indices[0]]}"
            raise InputError(f"{where(indices[0])}: {count}; {advice}")


def _is_pointer(image: Path) -> bool:
    try:
        with image.open("rb") as stream:
            return stream.read(len(_POINTER)) == _POINTER
    except OSError:
        return False  # an image that cannot be read is counted and named when its turn comes
