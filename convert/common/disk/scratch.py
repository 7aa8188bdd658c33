"""Temporary files and folders that tell whose they are, so that those of a process that was killed can be swept.

A name has `~PID-START-MACHINE~` in it: the process, when it began, and a hash of the machine and its boot, since
numbers of processes mean nothing to another machine or container that shares the disk.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_OWNED = re.compile(r"~(?P<pid>[0-9]{1,10})-(?P<start>[0-9]{1,20})-(?P<machine>[0-9a-f]{8})~", re.ASCII)
_DEPTH, _MOST = 3, 1000  # levels below the root; folders, where somebody has chosen one that holds much else


def prefix(name: str) -> str:
    """`name` with this process as the owner, for `tempfile.mkdtemp` and its like."""
    return f"{name}~{owner(os.getpid())}~"


def owner(pid: int) -> str | None:
    """`PID-START-MACHINE` of a process on this machine; None where there is none."""
    start = _start(pid)
    return None if start is None else f"{pid}-{start}-{_machine()}"


def alive(token: str) -> bool:
    """Whether the process that `owner` named may live still: one of another machine may."""
    pid, _, rest = token.partition("-")
    return not rest.endswith(_machine()) or owner(int(pid)) == token


@contextmanager
def folder(parent: Path | None = None, name: str = "vitbench-") -> Iterator[Path]:
    """A temporary folder in `parent`, by default that of the system: gone when the block ends.

    What killed processes left there is removed first. name: what its own name begins with.
    """
    sweep(parent)
    with tempfile.TemporaryDirectory(dir=parent, prefix=prefix(name)) as made:
        yield Path(made)


def sweep(parent: Path | None = None) -> None:
    """Remove temporary files and folders in `parent`, by default that of the system, whose process is gone.

    What cannot be removed stays.
    """
    with suppress(OSError):
        for entry in os.scandir(parent or tempfile.gettempdir()):
            found = _OWNED.search(entry.name)
            if found and not alive(found[0].strip("~")):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    Path(entry.path).unlink(missing_ok=True)


@functools.cache
def sweep_once(parent: Path) -> None:
    """`sweep`, but for what this process has swept before: a folder may get thousands of files one by one."""
    sweep(parent)


def sweep_below(root: Path) -> None:
    """`sweep` a folder and the folders below it, as deep as artifacts and results go."""
    for folder in itertools.islice(_folders(root, _DEPTH), _MOST):
        sweep(folder)


def _folders(root: Path, depth: int) -> Iterator[Path]:
    yield root
    if depth:
        with suppress(OSError):
            for entry in os.scandir(root):
                if entry.is_dir(follow_symlinks=False):
                    yield from _folders(Path(entry.path), depth - 1)


def _start(pid: int) -> str | None:
    """When a process began, in ticks since boot; 0 where the system does not tell. None where it is gone."""
    try:
        # Field 22 of proc(5); the second, the command's name, stands in brackets and may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (OSError, ValueError):
        return _exists(pid)
    return None if fields[0] in (b"Z", b"X") else fields[19].decode()


def _exists(pid: int) -> str | None:
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:  # somebody else's
        pass
    return "0"


@functools.cache
def _machine() -> str:
    parts = [os.uname().nodename]
    for file in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            parts.append(str(Path(file).readlink()) if "/ns/" in file else Path(file).read_text(encoding="ascii"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]
