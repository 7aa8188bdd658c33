"""Files that are whole or absent: written under a temporary name and renamed, known by their sha256."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20


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
def new_file(target: Path) -> Iterator[Path]:
    """A temporary file beside `target`: takes its place when the block ends well, is gone when it does not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(descriptor)
    work = Path(name)
    try:
        yield work
        work.chmod(0o644)
        work.replace(target)
    except BaseException:
        work.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with new_file(path) as work:
        work.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all, with the ends of lines that the text has."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON document whole or not at all, indented for people."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target`: takes its place when the block ends well, is gone when it does not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        yield work
        work.chmod(0o755)
        if target.exists():
            old = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
            target.replace(old / "old")
            work.replace(target)
            shutil.rmtree(old)
        else:
            work.replace(target)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        with suppress(OSError):  # the parent stays when something else is in it
            target.parent.rmdir()
        raise
