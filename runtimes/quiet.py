"""Keep what runtimes print off the standard output, where a command owes one JSON document."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

_C = ctypes.CDLL(None) if os.name == "posix" else ctypes.CDLL("ucrtbase")


@contextmanager
def stdout_to(descriptor: int) -> Iterator[None]:
    """Send to a file descriptor what native code and Python print to the standard output meanwhile."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(descriptor, 1)
        with os.fdopen(os.dup(descriptor), "w") as stream, redirect_stdout(stream):
            yield
    finally:
        _C.fflush(None)  # what C has buffered would come out after the redirection
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def silenced() -> Iterator[None]:
    """Drop what native code and Python print to the standard output meanwhile."""
    with Path(os.devnull).open("wb") as nowhere, stdout_to(nowhere.fileno()):
        yield
