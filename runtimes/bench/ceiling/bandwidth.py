"""Memory bandwidth in the manner of STREAM, with NumPy on all cores. Runs in a process of its own.

STREAM: J. D. McCalpin, "Memory Bandwidth and Machine Balance in Current High Performance Computers", IEEE TCCA
Newsletter, December 1995. Its rules (https://www.cs.virginia.edu/stream/ref.html): arrays of at least four times the
last caches, the fastest of several repetitions, and only those bytes counted that the operation names, not the line
that a processor reads before it writes to it. Its `triad`, a = b + s c, is missing: NumPy would need two passes.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import psutil

from convert.common import typed
from runtimes.bench.ceiling.reach import BANDWIDTH, Number
from runtimes.system import processor

# Of the last caches, and of the memory that is free: three arrays in a half of it.
_CACHES = 4
_OF_MEMORY = 1 / 6
_SMALLEST, _LARGEST = 64 << 20, 2 << 30
_REPETITIONS = 6


def run_job(job: Mapping[str, Any]) -> Any:
    """The fastest kernel's `Number`, in GB/s (10^9 bytes). job: `threads`."""
    size, doubt = array_bytes(_last_caches(), psutil.virtual_memory().available)
    speed, kernel = max((speed, kernel) for kernel, speed in kernels(job["threads"], size).items())
    how = f"numpy {kernel} of arrays of {size >> 20} MiB, {job['threads']} threads"
    return typed.table([Number(BANDWIDTH, round(speed, 1), f"{how} ({doubt})" if doubt else how)])


def _last_caches() -> int | None:
    """Bytes of all last caches together; None where the system does not tell."""
    caches = processor.caches() or {}
    last = max((name for name in caches if name[1:].isdigit()), default=None)
    return caches[last]["bytes"] * caches[last]["instances"] if last else None


def array_bytes(last_caches: int | None, free: int) -> tuple[int, str | None]:
    """How large each array is, and why less than STREAM's rule asks for; None where it is as large.

    last_caches: bytes of all together, None where not known. free: bytes of memory.
    """
    wanted = max(_SMALLEST, _CACHES * (last_caches or 0))
    size = int(min(wanted, _LARGEST, free * _OF_MEMORY))
    if last_caches is None:
        return size, "the size of the last cache is not known: what it holds may be counted as memory"
    if size < wanted:
        return size, f"arrays of {size >> 20} MiB are less than four times the last caches"
    return size, None


def kernels(threads: int, size: int) -> dict[str, float]:
    """GB/s of each kernel, the fastest of six repetitions. size: bytes of an array."""
    length = size // 8
    a, b, c = (np.empty(length) for _ in range(3))
    cuts = np.linspace(0, length, threads + 1).astype(int)
    parts = [slice(low, high) for low, high in itertools.pairwise(cuts)]

    def touch(part: slice) -> None:
        a[part], b[part], c[part] = 1.0, 2.0, 0.0

    # Arrays that each one reads or writes once, as STREAM counts.
    named: dict[str, tuple[int, Callable[[slice], object]]] = {
        "read": (1, lambda part: np.max(a[part])),
        "copy": (2, lambda part: np.copyto(c[part], a[part])),
        "scale": (2, lambda part: np.multiply(a[part], 3.0, out=b[part])),
        "add": (3, lambda part: np.add(a[part], b[part], out=c[part])),
    }
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(touch, parts))  # pages lie near the core that touches them first
        return {
            name: 1e-9 * count * 8 * length / min(_timed(pool, kernel, parts) for _ in range(_REPETITIONS))
            for name, (count, kernel) in named.items()
        }


def _timed(pool: ThreadPoolExecutor, kernel: Callable[[slice], object], parts: list[slice]) -> float:
    # NumPy lets go of the interpreter lock while it computes.
    start = time.perf_counter()
    list(pool.map(kernel, parts))
    return time.perf_counter() - start
