"""A large matrix product by one library, at its fastest. Runs in a process of its own.

Nothing is imported at the top that loads a library of numbers: their environment variables are set first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from convert.common import typed
from convert.precision.table import PRECISIONS
from runtimes.bench.ceiling.libraries import LIBRARIES, Multiplication, Shape
from runtimes.bench.ceiling.reach import Product

# (m, k, n): activations m x k, weights k x n. Square ones, and an MLP of ViT-Base: which of them is the fastest depends
# on library and precision.
CPU_SHAPES = ((1024, 1024, 1024), (1024, 768, 3072), (2048, 2048, 2048))
# On a GPU a product has to be large for its launch not to count.
GPU_SHAPES = ((4096, 4096, 4096), (8192, 8192, 8192))
# Variables that hold a library back, or make it compute in another precision than it says. A ceiling is the machine's.
_UNSET = (
    *("OPENBLAS_CORETYPE", "OPENBLAS_VERBOSE", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "NPY_DISABLE_CPU_FEATURES"),
    *("ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE", "MKL_ENABLE_INSTRUCTIONS", "NVIDIA_TF32_OVERRIDE"),
)
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_FEWEST = 3


@dataclass(frozen=True)
class ProductJob:
    """Which products to measure. seconds: for each precision. shapes: other than those of the device."""

    library: str
    precisions: tuple[str, ...]
    threads: int
    seconds: float
    device: str
    shapes: tuple[Shape, ...] = ()


@dataclass(frozen=True)
class Found:
    """What was measured, and why a precision was not."""

    found: tuple[Product, ...]
    unmeasured: Mapping[str, str]


def run_job(table: Mapping[str, Any]) -> Any:
    """Measure one library. table: a `ProductJob`; returns a `Found`."""
    job = typed.read(ProductJob, table)
    for name in _UNSET:
        os.environ.pop(name, None)
    os.environ.update(dict.fromkeys(_THREADS, str(job.threads)))
    from runtimes.base import UnavailableError

    found, unmeasured = [], {}
    for precision in job.precisions:
        try:
            found.append(_fastest_shape(job, precision))
        except UnavailableError as error:
            unmeasured[precision] = str(error)
    return typed.table(Found(tuple(found), unmeasured))


def _fastest_shape(job: ProductJob, precision: str) -> Product:
    shapes = job.shapes or (CPU_SHAPES if job.device == "CPU" else GPU_SHAPES)
    rates, count = [], 0
    for shape in shapes:
        product = LIBRARIES[job.library](precision, shape, job.threads, job.device)
        seconds, repetitions = fastest(product.run, job.seconds / len(shapes))
        check(product, precision)
        m, k, n = shape
        # An addition and a multiplication for each of the m n k terms.
        rates.append((2e-9 * m * k * n / seconds, shape, product.how))
        count += repetitions
    gflops, shape, how = max(rates)
    return Product(precision=precision, library=job.library, gflops=gflops, count=count, shape=shape, how=how)


def fastest(
    run: Callable[[], object], seconds: float, clock: Callable[[], float] = time.perf_counter
) -> tuple[float, int]:
    """Seconds of the fastest repetition and how many there were: at least three, after one that does not count."""
    run()
    best, count, end = float("inf"), 0, clock() + seconds
    while count < _FEWEST or clock() < end:
        start = clock()
        run()
        best = min(best, clock() - start)
        count += 1
    return best, count


def check(product: Multiplication, precision: str) -> None:
    """UnavailableError when the result is not the product within what the precision may lose."""
    import numpy as np

    from runtimes.base import UnavailableError

    row, expected = np.asarray(product.row(), np.float64), np.asarray(product.expected, np.float64)
    error = float(np.linalg.norm(row - expected) / np.linalg.norm(expected))
    if not error <= PRECISIONS[precision].product_error:
        raise UnavailableError(f"{product.how} is off by {error:.1e}: it did not compute in {precision}")
