"""A large matrix product by one library, at its fastest. Runs in a process of its own: see `ceiling.py`.

Nothing is imported at the top that loads a library of numbers: their environment variables are set first.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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
# How far, in the Frobenius norm, a row may lie from the exact product. FP32 sums of 2048 random terms are off by about
# 1e-6; TF32 and bf16 keep 11 and 8 bits of each factor, so an error over 1e-4 betrays them. int8 quantises to 1/255.
_ERROR = {"fp32": 1e-4, "tf32": 5e-3, "fp16": 1e-2, "bf16": 2e-2, "int8": 5e-2}


@dataclass(frozen=True)
class Product:
    """A product ready to run.

    row: the first row of the last result; expected: what that is in float64. how: what computes it.
    """

    run: Callable[[], object]
    row: Callable[[], Any]
    expected: Any
    how: str


def run_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """Measure one library. job: {"library", "precisions", "threads", "seconds" for each precision, "device"}.

    Returns {"found": [{precision, library, how, gflops, shape, count}], "unmeasured": {precision: why}}.
    """
    for name in _UNSET:
        os.environ.pop(name, None)
    os.environ.update(dict.fromkeys(_THREADS, str(job["threads"])))
    from runtimes.base import UnavailableError

    found, unmeasured = [], {}
    for precision in job["precisions"]:
        try:
            found.append(_fastest(job, precision))
        except UnavailableError as error:
            unmeasured[precision] = str(error)
    return {"found": found, "unmeasured": unmeasured}


def _fastest(job: Mapping[str, Any], precision: str) -> dict[str, Any]:
    """The fastest repetition over all shapes: {precision, library, how, gflops, shape, count}."""
    prepare = _LIBRARIES[job["library"]]
    shapes = CPU_SHAPES if job["device"] == "CPU" else GPU_SHAPES
    best: dict[str, Any] = {"precision": precision, "library": job["library"], "gflops": 0.0, "count": 0}
    for shape in job.get("shapes") or shapes:
        product = prepare(precision, tuple(shape), job)
        seconds, count = fastest(product.run, job["seconds"] / len(shapes))
        check(product, precision)
        m, k, n = shape
        # An addition and a multiplication for each of the m n k terms.
        gflops = 2e-9 * m * k * n / seconds
        best["count"] += count
        if gflops > best["gflops"]:
            best.update(gflops=gflops, shape=list(shape), how=product.how)
    return best


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


def check(product: Product, precision: str) -> None:
    """UnavailableError when the result is not the product within what the precision may lose."""
    import numpy as np

    from runtimes.base import UnavailableError

    row, expected = np.asarray(product.row(), np.float64), np.asarray(product.expected, np.float64)
    error = float(np.linalg.norm(row - expected) / np.linalg.norm(expected))
    if not error <= _ERROR[precision]:
        raise UnavailableError(f"{product.how} is off by {error:.1e}: it did not compute in {precision}")


def _factors(shape: tuple[int, int, int]) -> tuple[Any, Any]:
    """Activations in [0, 1) and weights in [-0.5, 0.5), FP32: random, as equal numbers take a processor less power."""
    import numpy as np

    m, k, n = shape
    random = np.random.default_rng(0)
    return random.random((m, k), dtype=np.float32), random.random((k, n), dtype=np.float32) - np.float32(0.5)


def _exact(left: Any, right: Any) -> Any:
    import numpy as np

    return left[0].astype(np.float64) @ right.astype(np.float64)


def _numpy(precision: str, shape: tuple[int, int, int], job: Mapping[str, Any]) -> Product:
    import numpy as np

    left, right = _factors(shape)
    result = np.empty((shape[0], shape[2]), np.float32)
    return Product(lambda: np.matmul(left, right, out=result), lambda: result[0], _exact(left, right), _blas())


def _blas() -> str:
    """What NumPy multiplies with: `numpy 2.4.6, openblas 0.3.31 (SkylakeX kernels), 2 threads`, as read back."""
    import numpy as np

    name = f"numpy {np.__version__}"
    for pool in importlib.import_module("threadpoolctl").threadpool_info():
        if pool["user_api"] == "blas":
            kernels = f" ({pool['architecture']} kernels)" if pool.get("architecture") else ""
            return f"{name}, {pool['internal_api']} {pool['version']}{kernels}, {pool['num_threads']} threads"
    return name


def _openvino(precision: str, shape: tuple[int, int, int], job: Mapping[str, Any]) -> Product:
    import numpy as np
    import openvino as ov
    from openvino import opset13 as ops

    from runtimes.base import UnavailableError

    core = ov.Core()
    capability = {"int8": "INT8", "fp32": "FP32", "fp16": "FP16", "bf16": "BF16"}[precision]
    if capability not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise UnavailableError(f"OpenVINO does not compute in {precision} on this processor")
    left, right = _factors(shape)
    source = ops.parameter(left.shape, np.float32)
    factors = [source, ops.constant(right)]
    if precision == "int8":
        # The ranges of the factors; 255 levels for weights, as OpenVINO's own quantiser has them.
        ranges = ((0.0, 1.0, 256), (-0.5, 0.5, 255))
        factors = [
            ops.fake_quantize(factor, *map(np.float32, (low, high, low, high)), levels)
            for factor, (low, high, levels) in zip(factors, ranges, strict=True)
        ]
    settings = {
        "INFERENCE_PRECISION_HINT": {"fp16": "f16", "bf16": "bf16"}.get(precision, "f32"),
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": job["threads"],
    }
    compiled = core.compile_model(ov.Model([ops.matmul(*factors, False, False)], [source]), "CPU", settings)
    kernel = _kernel(compiled, precision)
    request = compiled.create_infer_request()

    def run() -> None:
        request.infer(left, share_inputs=True, share_outputs=True)

    version = ov.__version__.partition("-")[0]
    return Product(
        run, lambda: request.get_output_tensor(0).data[0], _exact(left, right), f"OpenVINO {version} ({kernel})"
    )


def _kernel(compiled: Any, precision: str) -> str:
    """What the compiled model multiplies with: `brgemm_avx512_bf16`. UnavailableError when not in the precision."""
    from runtimes.base import UnavailableError, lowest_precision

    for operation in compiled.get_runtime_model().get_ops():
        info = operation.get_rt_info()
        if info["layerType"].astype(str) in ("FullyConnected", "MatMul"):
            type_ = info["runtimePrecision"].astype(str)
            if lowest_precision([type_]) != precision:
                raise UnavailableError(f"OpenVINO multiplied in {type_} when asked for {precision}")
            return str(info["primitiveType"].astype(str))
    raise UnavailableError("OpenVINO's compiled model has no matrix product")


def _onnxruntime(precision: str, shape: tuple[int, int, int], job: Mapping[str, Any]) -> Product:
    from runtimes.bench.ceiling.ort_product import prepare

    return Product(*prepare(precision, shape, job, _factors(shape)))


_LIBRARIES: dict[str, Callable[[str, tuple[int, int, int], Mapping[str, Any]], Product]] = {
    "numpy": _numpy,
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
}
