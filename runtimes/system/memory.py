"""Resident memory of a visit's process, and how much of it there may be."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

import psutil

# How native libraries put it; the last one is the dynamic loader's.
_NO_MEMORY = (
    *("bad_alloc", "out of memory", "failed to allocate", "cannot allocate memory", "not enough memory"),
    *("memory alloc", "failed to map segment"),
)
# Some only say that it went wrong: with so much of the limit in use, it is the limit that they met.
_NEARLY = 0.9


class OutOfMemoryError(Exception):
    """A visit wanted more memory than it may have; the message is the reason, in a sentence."""


def resident() -> int:
    """Bytes of memory that this process has in use now."""
    return int(psutil.Process().memory_info().rss)


def peak() -> int | None:
    """Most bytes that it ever had; None where the system does not tell.

    From proc_pid_status(5) where there is one: on Linux getrusage(2) hands on what the parent had at the start.
    """
    if high := _status("VmHWM"):
        return high
    if resource is None:
        return None
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


def be_the_first_to_go() -> None:
    """Ask Linux to end this process before any other when memory runs out: the parent holds the results."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


@contextmanager
def limited(limit_bytes: int | None) -> Iterator[None]:
    """Let this process have so many bytes of private memory; what asks for more gets an error inside the block.

    RLIMIT_DATA counts private writable mappings and not what is only reserved (setrlimit(2), since Linux 4.7).
    OutOfMemoryError where a runtime says that it got none, or raises anything else with the limit nearly reached. Some
    do neither and crash (OpenVINO 2026.4 ends in SIGSEGV where it gets none while reading a model): the parent says how
    much of the limit was in use.
    """
    if limit_bytes is None or resource is None or not hasattr(resource, "RLIMIT_DATA"):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = limit_bytes if hard == resource.RLIM_INFINITY else min(limit_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    except Exception as error:
        said = str(error).lower()
        if isinstance(error, MemoryError) or any(word in said for word in _NO_MEMORY) or private() > _NEARLY * limit:
            raise OutOfMemoryError(_sentence(limit, error)) from error
        raise
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def private() -> int:
    """Bytes that RLIMIT_DATA counts: VmData of proc_pid_status(5); 0 where the system does not tell."""
    return _status("VmData")


def _status(name: str) -> int:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0


def _sentence(limit: int, error: Exception) -> str:
    # Python's own says only how large the last piece was.
    said = "" if isinstance(error, MemoryError) else "".join(str(error).strip().splitlines()[:1])[:120]
    return f"out of memory: more than {limit / 1e9:.1f} GB were needed{f' ({said})' if said else ''}"
