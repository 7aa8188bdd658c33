"""Files that are whole or absent: written under a temporary name and renamed, known by their sha256.

Whatever the disk refuses is a WriteError, and then what was there before is there still.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from convert.common.disk import scratch
from convert.common.errors import InputError, WriteError, is_full

_CHUNK = 1 << 20
# What is no text though JSON lets it stand: C1 controls, and what turns the direction of a line or is not seen.
_UNSEEN = re.compile("[\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_TRIED = 1 << 16  # bytes: what failed may have left some room as it ended


def sha256_file(path: Path) -> str:
    """Hexadecimal sha256 of a file's content, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_files(paths: list[Path]) -> list[str]:
    """Like `sha256_file` for several, side by side: hashing releases the interpreter lock."""
    with ThreadPoolExecutor(max_workers=min(4, len(paths) or 1)) as pool:
        return list(pool.map(sha256_file, paths))


def sha256_json(value: Any) -> str:
    """Hexadecimal sha256 of a value's canonical JSON (sorted keys, no spaces)."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Tell of a full or read-only disk as a WriteError that names `target`; other errors pass through.

    Libraries in C++ say nothing of a file that they could not write, and fail over it later: so where something else
    went wrong, the disk is tried.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and (is_full(error) or error.errno == errno.EROFS):
            raise WriteError(target, error) from None
        try:
            with tempfile.TemporaryFile(dir=target if target.is_dir() else target.parent) as stream:
                stream.write(bytes(_TRIED))
                stream.flush()
        except OSError as refusal:
            if is_full(refusal):
                raise WriteError(target, refusal) from None
        raise


@contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """A temporary file beside `target`: takes its place when the block ends well, is gone when it does not.

    WriteError when the disk refuses it.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch.sweep_once(target.parent)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=scratch.prefix(f".{target.name}."))
    except OSError as error:
        raise WriteError(target, error) from None
    os.close(descriptor)
    work = Path(name)
    try:
        with writing(target):
            yield work
        try:
            work.chmod(0o644)
            work.replace(target)
        except OSError as error:
            raise WriteError(target, error) from None
    except BaseException:
        work.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with new_file(path) as work:
        work.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all, with the ends of lines that the text has.

    Half a surrogate pair, as a path that is no UTF-8 has them, is written as `\\ud800`, which JSON knows too.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def json_text(value: Any, allow_nan: bool = True) -> str:
    """A JSON document indented for people, in which text that is not seen is written as `\\u202e`."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=allow_nan)
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON document whole or not at all, indented for people."""
    write_text(path, json_text(value) + "\n")


def _sound(descriptor: int) -> bytes:
    return b""


def append(file: Path, content: bytes, mend: Callable[[int], bytes] = _sound, *, sync: bool = True) -> None:
    """Add to the end of a file: all of it, or nothing and a WriteError.

    One write, so that a kill leaves it whole or absent, unless the system takes it in pieces. mend: given the file's
    descriptor, cuts off what is broken at its end and returns what must stand before the new content. sync: it has
    reached the disk then.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError as error:
        raise WriteError(file, error) from None
    try:
        left = memoryview(mend(descriptor) + content)
        size = os.lseek(descriptor, 0, os.SEEK_END)
        try:
            while left:
                left = left[os.write(descriptor, left) :]
            if sync:
                os.fsync(descriptor)
        except BaseException:
            os.ftruncate(descriptor, size)
            raise
    except OSError as error:
        raise WriteError(file, error) from None
    finally:
        os.close(descriptor)


@contextmanager
def new_folder(target: Path, check: Callable[[Path], None] = lambda folder: None) -> Iterator[Path]:
    """A temporary folder beside `target`: takes its place when the block ends well, is gone when it does not.

    check: called with what is in that place already, before the work and after it; raises when it must stay.
    InputError when it is no folder but a file or a link, WriteError when the disk refuses the new one.
    """
    _check(target, check)
    made = not target.parent.exists()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch.sweep(target.parent)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=scratch.prefix(f".{target.name}.")))
    except OSError as error:
        raise WriteError(target, error) from None
    try:
        with writing(target):
            yield work
        _check(target, check)
        try:
            _replace(target, work)
        except OSError as error:
            raise WriteError(target, error) from None
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        with suppress(OSError):
            if made:
                target.parent.rmdir()  # it stays when something else is in it
        raise


def remove_folder(target: Path) -> None:
    """Remove a folder as a whole: it is there or it is not, also where this is broken off. WriteError when the disk
    refuses."""
    if not target.exists():
        return
    try:
        old = Path(tempfile.mkdtemp(dir=target.parent, prefix=scratch.prefix(f".{target.name}.")))
        target.replace(old / "old")
    except OSError as error:
        raise WriteError(target, error) from None
    shutil.rmtree(old, ignore_errors=True)


def _check(target: Path, check: Callable[[Path], None]) -> None:
    """InputError when what stands in the place of a folder is something that nobody asked to remove."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        what = "a symbolic link" if target.is_symlink() else "a file"
        raise InputError(f"{target}: {what} is in the place of this folder, and is not replaced; move it away")
    if target.exists():
        check(target)


def _replace(target: Path, work: Path) -> None:
    work.chmod(0o755)
    if not target.exists():
        work.replace(target)
        return
    old = Path(tempfile.mkdtemp(dir=target.parent, prefix=scratch.prefix(f".{target.name}.")))
    target.replace(old / "old")
    try:
        work.replace(target)
    except BaseException:
        (old / "old").replace(target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
