"""Memory bandwidth in the manner of STREAM, with NumPy on all cores. Runs in a process of its own.

STREAM: J. D. McCalpin, "Memory Bandwidth and Machine Balance in Current High Performance Computers", IEEE TCCA
Newsletter, December 1995. Its rules (https://www.cs.virginia.edu/stream/ref.html): arrays of at least four times the
last caches, the fastest of several repetitions, and only those bytes counted that the operation names, not the line
that a processor reads before it writes to it. Its `triad`, a = b + s c, is missing: NumPy would need two passes.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

# Of the last caches, and of the memory that is free: three arrays in a half of it.
_CACHES = 4
_OF_MEMORY = 1 / 6
_SMALLEST, _LARGEST = 64 << 20, 2 << 30
_REPETITIONS = 6
_DEVICE_TO_DEVICE = 3  # cudaMemcpyKind


def array_bytes(last_cache: int | None, free: int) -> tuple[int, str | None]:
    """How large each array is, and why less than STREAM's rule asks for; None where it is as large.

    last_cache: bytes of all last caches together, None where not known. free: bytes of memory.
    """
    wanted = max(_SMALLEST, _CACHES * (last_cache or 0))
    size = int(min(wanted, _LARGEST, free * _OF_MEMORY))
    if last_cache is None:
        return size, "the size of the last cache is not known: what it holds may be counted as memory"
    if size < wanted:
        return size, f"arrays of {size >> 20} MiB are less than four times the last caches"
    return size, None


def run_job(job: Mapping[str, Any]) -> dict[str, float]:
    """GB/s (10^9 bytes) of each kernel, the fastest of six repetitions. job: {"threads", "bytes" of an array}."""
    # Threads are ours here: the dot product must not start more.
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
    import numpy as np

    threads, length = job["threads"], job["bytes"] // 8
    a, b, c = (np.empty(length) for _ in range(3))
    cuts = np.linspace(0, length, threads + 1).astype(int)
    parts = [slice(low, high) for low, high in itertools.pairwise(cuts)]

    def touch(part: slice) -> None:
        a[part], b[part], c[part] = 1.0, 2.0, 0.0

    # Arrays that each one reads or writes once, as STREAM counts.
    kernels: dict[str, tuple[int, Callable[[slice], object]]] = {
        "read": (2, lambda part: np.dot(a[part], b[part])),
        "copy": (2, lambda part: np.copyto(c[part], a[part])),
        "scale": (2, lambda part: np.multiply(a[part], 3.0, out=b[part])),
        "add": (3, lambda part: np.add(a[part], b[part], out=c[part])),
    }
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(touch, parts))  # pages lie near the core that touches them first
        return {
            name: 1e-9 * count * 8 * length / min(_timed(pool, kernel, parts) for _ in range(_REPETITIONS))
            for name, (count, kernel) in kernels.items()
        }


def _timed(pool: ThreadPoolExecutor, kernel: Callable[[slice], object], parts: list[slice]) -> float:
    # NumPy lets go of the interpreter lock while it computes.
    start = time.perf_counter()
    list(pool.map(kernel, parts))
    return time.perf_counter() - start


def run_gpu_job(job: Mapping[str, Any]) -> dict[str, float]:
    """GB/s of a GPU's memory: `copy` from one place in it to another, read and written bytes counted.

    job: {"device": "GPU.1", "bytes" of each}. The fastest of six by the device's own events.
    """
    from runtimes.gpu import cuda

    cuda.use(job["device"])
    size = job["bytes"]
    with (
        cuda.Buffer(size) as source,
        cuda.Buffer(size) as target,
        cuda.Stream() as stream,
        cuda.Event() as began,
        cuda.Event() as ended,
    ):
        times = []
        for _ in range(_REPETITIONS):
            began.record(stream)
            cuda.call("cudaMemcpyAsync", target.pointer, source.pointer, size, _DEVICE_TO_DEVICE, stream.handle)
            ended.record(stream)
            stream.synchronize()
            times.append(began.elapsed_ms(ended))
    return {"copy": 1e-6 * 2 * size / min(times)}
