"""One process at a time in a folder, and a sentence that says which one has it.

The system lets go of the lock (`flock`) when its process dies, however that happens, so a file that is left blocks
nobody. The package filelock cannot say whose a lock is: here the file does.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from convert.common.console import say
from convert.common.disk import scratch
from convert.common.errors import InputError

# What this process or the one that started it holds: a child that it sends into its own folder is no stranger there.
_HELD = "VITBENCH_LOCKS"


@contextmanager
def alone(file: Path, what: str, *, wait: bool = False) -> Iterator[bool]:
    """Hold the lock that is `file` while the block runs. Yields whether another process had it before.

    what: named to the user. wait: for the other process, with a line that says so; else InputError, which names it.
    Where no such file can be made or the file system knows no locks, the block runs without one.
    """
    key = os.path.realpath(file)
    held = _held()
    if key in held and scratch.alive(held[key]):
        yield False
        return
    made = not file.parent.exists()
    try:
        descriptor, waited = _acquired(file, what, wait)
    except OSError:
        yield False
        return
    os.environ[_HELD] = json.dumps({**held, key: scratch.owner(os.getpid())})
    try:
        yield waited
    finally:
        os.environ[_HELD] = json.dumps({name: token for name, token in _held().items() if name != key})
        with suppress(OSError):
            file.unlink()
            if made:
                file.parent.rmdir()  # unless there is something in it
        os.close(descriptor)


def sweep(root: Path) -> None:
    """Remove the locks one folder below `root` that nobody has: processes that were killed left them."""
    for file in root.glob("*/.*.lock"):
        with suppress(OSError):
            descriptor = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                file.unlink()  # who waits for it takes another then
            finally:
                os.close(descriptor)


def _acquired(file: Path, what: str, wait: bool) -> tuple[int, bool]:
    """A descriptor that has the lock, with this process's name in the file, and whether it had to wait."""
    waited = False
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _holder(descriptor)
                if not wait:
                    raise InputError(
                        f"{what}: in use by {holder}; wait until it has ended, or choose another --out"
                    ) from None
                if not waited:
                    say(f"{what}: waiting for {holder}")
                waited = True
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:  # else who had it has removed the file: the next one has another
                _sign(descriptor)
                return descriptor, waited
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _sign(descriptor: int) -> None:
    command = shlex.join([Path(sys.orig_argv[0]).name, *sys.orig_argv[1:]])
    about = {"pid": os.getpid(), "command": command[:200], "since": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())}
    with suppress(OSError):  # no room: then it has no name
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(about).encode(), 0)


def _holder(descriptor: int) -> str:
    """Who has it, for a sentence."""
    try:
        about = json.loads(os.pread(descriptor, 4096, 0))
        command = ascii(about["command"])[1:-1]
        return f"process {int(about['pid'])} (`{command}`), since {ascii(about['since'])[1:-1]} UTC"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _held() -> dict[str, Any]:
    """Locks by file, with the process that has them."""
    try:
        found = json.loads(os.environ.get(_HELD, "{}"))
        return {str(name): str(token) for name, token in found.items()}
    except (ValueError, AttributeError):
        return {}
