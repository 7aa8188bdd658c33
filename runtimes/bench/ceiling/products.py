"""A large matrix product in each precision, at its fastest. Runs in a process of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.common import typed
from convert.precision.table import INT8, PRECISIONS, TF32
from runtimes.base import UnavailableError, lowest_precision
from runtimes.bench.ceiling.reach import Number

Shape = tuple[int, int, int]  # m, k, n: activations m x k, weights k x n
# Square ones, and an MLP of ViT-Base: which of them is the fastest depends on the precision.
_CPU_SHAPES = ((1024, 1024, 1024), (1024, 768, 3072), (2048, 2048, 2048))
# On a GPU a product has to be large for its launch not to count.
_GPU_SHAPES = ((4096, 4096, 4096), (8192, 8192, 8192))
# Variables that hold a library back, or make it compute in another precision than it says. A ceiling is the machine's.
_UNSET = (
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_DEFAULT_FPMATH_MODE"),
    "NVIDIA_TF32_OVERRIDE",
)
_FEWEST = 3


@dataclass(frozen=True)
class Multiplication:
    """A product ready to run.

    row: the first row of the last result; expected: what that is in float64. how: what computes it.
    """

    run: Callable[[], object]
    row: Callable[[], np.ndarray]
    expected: np.ndarray
    how: str


def run_job(job: Mapping[str, Any]) -> Any:
    """How fast a device multiplies in each precision: a `Number` each, in GFLOP/s.

    job: `device`, `precisions`, `threads` on the processor, `seconds` for each precision, and optionally `shapes`.
    """
    for name in _UNSET:
        os.environ.pop(name, None)
    shapes = job.get("shapes") or (_CPU_SHAPES if job["device"] == "CPU" else _GPU_SHAPES)
    return typed.table([_number(precision, shapes, job) for precision in job["precisions"]])


def _number(precision: str, shapes: Sequence[Shape], job: Mapping[str, Any]) -> Number:
    rates, count = [], 0
    try:
        for shape in shapes:
            if job["device"] == "CPU":
                product = _on_processor(precision, shape, job["threads"])
            else:
                product = _on_gpu(precision, shape, job["device"])
            seconds, repetitions = fastest(product.run, job["seconds"] / len(shapes))
            check(product, precision)
            m, k, n = shape
            # An addition and a multiplication for each of the m n k terms.
            rates.append((2e-9 * m * k * n / seconds, f"{product.how}, {m} x {k} x {n}"))
            count += repetitions
    except UnavailableError as error:
        return Number(precision, None, str(error))
    gflops, how = max(rates)
    return Number(precision, round(gflops, 1), f"{how}, fastest of {count}")


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
    row, expected = np.asarray(product.row(), np.float64), product.expected
    error = float(np.linalg.norm(row - expected) / np.linalg.norm(expected))
    if not error <= PRECISIONS[precision].product_error:
        raise UnavailableError(f"{product.how} is off by {error:.1e}: it did not compute in {precision}")


def factors(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Activations in [0, 1) and weights in [-0.5, 0.5), FP32: random, as equal numbers take a processor less power."""
    m, k, n = shape
    random = np.random.default_rng(0)
    return random.random((m, k), dtype=np.float32), random.random((k, n), dtype=np.float32) - np.float32(0.5)


def exact(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The first row of the product, in float64."""
    row: np.ndarray = left[0].astype(np.float64) @ right.astype(np.float64)
    return row


def _on_processor(precision: str, shape: Shape, threads: int) -> Multiplication:
    """By OpenVINO, of activations that it is given and weights that it holds."""
    import openvino as ov
    from openvino import opset13 as ops

    from runtimes.adapters.openvino import HINTS

    core = ov.Core()
    if precision.upper() not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise UnavailableError(f"OpenVINO does not compute in {precision} on this processor")
    left, right = factors(shape)
    source = ops.parameter(left.shape, np.float32)
    inputs = [source, ops.constant(right)]
    if precision == INT8:
        # The ranges of the factors; 255 levels for weights, as OpenVINO's own quantiser has them.
        ranges = ((0.0, 1.0, 256), (-0.5, 0.5, 255))
        inputs = [
            ops.fake_quantize(factor, *map(np.float32, (low, high, low, high)), levels)
            for factor, (low, high, levels) in zip(inputs, ranges, strict=True)
        ]
    settings = {
        "INFERENCE_PRECISION_HINT": HINTS.get(precision, "f32"),
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
    }
    compiled = core.compile_model(ov.Model([ops.matmul(*inputs, False, False)], [source]), "CPU", settings)
    request = compiled.create_infer_request()
    return Multiplication(
        lambda: request.infer(left, share_inputs=True, share_outputs=True),
        lambda: request.get_output_tensor(0).data[0],
        exact(left, right),
        f"OpenVINO {ov.__version__.partition('-')[0]} ({_kernel(compiled, precision)})",
    )


def _kernel(compiled: Any, precision: str) -> str:
    """What the compiled model multiplies with: `brgemm_avx512_bf16`. UnavailableError when not in the precision."""
    layers = [operation.get_rt_info() for operation in compiled.get_runtime_model().get_ops()]
    product = next(info for info in layers if info["layerType"].astype(str) in ("FullyConnected", "MatMul"))
    type_ = product["runtimePrecision"].astype(str)
    if lowest_precision([type_]) != precision:
        raise UnavailableError(f"OpenVINO multiplied in {type_} when told to in {precision}")
    return str(product["primitiveType"].astype(str))


def _on_gpu(precision: str, shape: Shape, device: str) -> Multiplication:
    """By ONNX Runtime, of two constants of a graph, of which only the first row of the product leaves the device."""
    import onnxruntime as ort

    from runtimes.adapters.onnxruntime import ORT_CUDA
    from runtimes.ort.session import CUDA

    if reason := ORT_CUDA.unavailable():
        raise UnavailableError(reason)
    graph, expected = model(precision, shape)
    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    # Optimised, the product of two constants would be taken once, when the model is loaded.
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    options = {"device_id": device.partition(".")[2] or "0", "use_tf32": str(int(precision == TF32))}
    try:
        session = ort.InferenceSession(graph, settings, providers=[(CUDA, options)], enable_fallback=0)
    except Exception as error:  # ONNX Runtime's have no common type
        reason = str(error).splitlines()[0]
        raise UnavailableError(f"ONNX Runtime multiplies no {precision} on this GPU: {reason}") from None
    if session.get_providers()[0] != CUDA:
        raise UnavailableError("ONNX Runtime did not start its CUDA provider")
    return Multiplication(
        lambda: session.run(None, {}),
        lambda: session.run(None, {})[0][0],
        expected,
        f"ONNX Runtime {ort.__version__} (CUDA)",
    )


def model(precision: str, shape: Shape) -> tuple[bytes, np.ndarray]:
    """A graph of one product of constants, which gives the product's first row in FP32; and that row in float64."""
    import ml_dtypes  # noqa: F401 - gives NumPy bfloat16
    from onnx import TensorProto, helper

    left, right = factors(shape)
    if precision == INT8:
        left, right = left * 127, right * 254
    entry = PRECISIONS[precision]
    left, right = left.astype(entry.dtype), right.astype(entry.dtype)
    type_ = TensorProto.DataType.Value(entry.onnx_types[0])
    constants = [
        helper.make_tensor("left", type_, left.shape, left.tobytes(), raw=True),
        helper.make_tensor("right", type_, right.shape, right.tobytes(), raw=True),
        helper.make_tensor("first", TensorProto.INT64, [1], [0]),
    ]
    nodes = [
        helper.make_node("MatMulInteger" if precision == INT8 else "MatMul", ["left", "right"], ["product"]),
        helper.make_node("Gather", ["product", "first"], ["narrow"]),
        helper.make_node("Cast", ["narrow"], ["row"], to=TensorProto.FLOAT),
    ]
    output = helper.make_tensor_value_info("row", TensorProto.FLOAT, [1, right.shape[1]])
    graph = helper.make_graph(nodes, "product", [], [output], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString()), exact(left, right)
