"""A large matrix product, made ready in each of the libraries that may be a machine's fastest.

Nothing is imported at the top that loads a library of numbers: `products.py` sets their environment variables first.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from convert.precision.table import INT8, PRECISIONS, TF32

Shape = tuple[int, int, int]  # m, k, n: activations m x k, weights k x n


@dataclass(frozen=True)
class Multiplication:
    """A product ready to run.

    row: the first row of the last result; expected: what that is in float64. how: what computes it.
    """

    run: Callable[[], object]
    row: Callable[[], Any]
    expected: Any
    how: str


def factors(shape: Shape) -> tuple[Any, Any]:
    """Activations in [0, 1) and weights in [-0.5, 0.5), FP32: random, as equal numbers take a processor less power."""
    import numpy as np

    m, k, n = shape
    random = np.random.default_rng(0)
    return random.random((m, k), dtype=np.float32), random.random((k, n), dtype=np.float32) - np.float32(0.5)


def exact(left: Any, right: Any) -> Any:
    """The first row of the product, in float64."""
    import numpy as np

    return left[0].astype(np.float64) @ right.astype(np.float64)


def _numpy(precision: str, shape: Shape, threads: int, device: str) -> Multiplication:
    import numpy as np

    left, right = factors(shape)
    result = np.empty((shape[0], shape[2]), np.float32)
    # `numpy 2.4.6, openblas 0.3.31 (SkylakeX kernels), 2 threads`, as read back.
    how = f"numpy {np.__version__}"
    pools = importlib.import_module("threadpoolctl").threadpool_info()
    if pool := next((one for one in pools if one["user_api"] == "blas"), None):
        kernels = f" ({pool['architecture']} kernels)" if pool.get("architecture") else ""
        how += f", {pool['internal_api']} {pool['version']}{kernels}, {pool['num_threads']} threads"
    return Multiplication(lambda: np.matmul(left, right, out=result), lambda: result[0], exact(left, right), how)


def _openvino(precision: str, shape: Shape, threads: int, device: str) -> Multiplication:
    import numpy as np
    import openvino as ov
    from openvino import opset13 as ops

    from runtimes.adapters.openvino import HINTS
    from runtimes.base import UnavailableError

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
    how = f"OpenVINO {ov.__version__.partition('-')[0]} ({_kernel(compiled, precision)})"
    return Multiplication(
        lambda: request.infer(left, share_inputs=True, share_outputs=True),
        lambda: request.get_output_tensor(0).data[0],
        exact(left, right),
        how,
    )


def _kernel(compiled: Any, precision: str) -> str:
    """What the compiled model multiplies with: `brgemm_avx512_bf16`. UnavailableError when not in the precision."""
    from runtimes.base import UnavailableError, lowest_precision

    for operation in compiled.get_runtime_model().get_ops():
        info = operation.get_rt_info()
        if info["layerType"].astype(str) in ("FullyConnected", "MatMul"):
            type_ = info["runtimePrecision"].astype(str)
            if lowest_precision([type_]) != precision:
                raise UnavailableError(f"OpenVINO multiplied in {type_} when told to in {precision}")
            return str(info["primitiveType"].astype(str))
    raise UnavailableError("OpenVINO's compiled model has no matrix product")


def _onnxruntime(precision: str, shape: Shape, threads: int, device: str) -> Multiplication:
    """The product of two constants of a graph, of which only the first row leaves the device.

    UnavailableError where ONNX Runtime has no such product.
    """
    import onnxruntime as ort

    from runtimes.adapters.onnxruntime import ORT_CPU
    from runtimes.base import UnavailableError

    if device == "CPU" and precision not in ORT_CPU.precisions:
        raise UnavailableError(f"ONNX Runtime multiplies no {precision} on a processor")
    left, right = typed_factors(shape, precision, device)
    session = _session(model(left, right), precision, threads, device)
    row: list[Any] = []

    def run() -> None:
        row[:] = session.run(None, {})

    provider = session.get_providers()[0].removesuffix("ExecutionProvider")
    return Multiplication(run, lambda: row[0][0], exact(left, right), f"ONNX Runtime {ort.__version__} ({provider})")


def typed_factors(shape: Shape, precision: str, device: str) -> tuple[Any, Any]:
    """The factors in the type of a precision."""
    import ml_dtypes  # noqa: F401 - gives NumPy bfloat16
    import numpy as np

    left, right = factors(shape)
    if precision == INT8:
        # The processor's kernels take unsigned activations, CUDA's signed ones.
        left = (left * 255).astype(np.uint8) if device == "CPU" else (left * 127).astype(np.int8)
        return left, (right * 254).astype(np.int8)
    dtype = np.dtype(PRECISIONS[precision].dtype)
    return left.astype(dtype), right.astype(dtype)


def model(left: Any, right: Any) -> bytes:
    """A graph of one product of constants, which gives the product's first row in FP32."""
    from onnx import TensorProto, helper

    constants = [
        helper.make_tensor(name, _onnx_type(array.dtype.name), array.shape, array.tobytes(), raw=True)
        for name, array in (("left", left), ("right", right))
    ]
    constants.append(helper.make_tensor("first", TensorProto.INT64, [1], [0]))
    multiply = "MatMulInteger" if right.dtype.name == INT8 else "MatMul"
    nodes = [
        helper.make_node(multiply, ["left", "right"], ["product"]),
        helper.make_node("Gather", ["product", "first"], ["narrow"]),
        helper.make_node("Cast", ["narrow"], ["row"], to=TensorProto.FLOAT),
    ]
    output = helper.make_tensor_value_info("row", TensorProto.FLOAT, [1, right.shape[1]])
    graph = helper.make_graph(nodes, "product", [], [output], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString())


def _onnx_type(dtype: str) -> int:
    from onnx import TensorProto

    return int(TensorProto.DataType.Value("FLOAT" if dtype == "float32" else dtype.upper()))


def _session(graph: bytes, precision: str, threads: int, device: str) -> Any:
    import onnxruntime as ort

    from runtimes.base import UnavailableError
    from runtimes.ort import libraries
    from runtimes.ort.session import CPU, CUDA

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 3
    # Optimised, the product of two constants would be taken once, when the model is loaded.
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if device == "CPU":
        return ort.InferenceSession(graph, settings, providers=[CPU])
    libraries.require_provider(CUDA)
    libraries.require_libraries(CUDA)
    settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    options = {"device_id": device.partition(".")[2] or "0", "use_tf32": str(int(precision == TF32))}
    try:
        session = ort.InferenceSession(graph, settings, providers=[(CUDA, options)], enable_fallback=0)
    except Exception as error:  # ONNX Runtime's have no common type
        reason = str(error).splitlines()[0]
        raise UnavailableError(f"ONNX Runtime multiplies no {precision} on this GPU: {reason}") from None
    if session.get_providers()[0] != CUDA:
        raise UnavailableError("ONNX Runtime did not start its CUDA provider")
    return session


# By name: a precision, a shape, threads and a device become a product. UnavailableError where it has none such.
LIBRARIES: dict[str, Callable[[str, Shape, int, str], Multiplication]] = {
    "numpy": _numpy,
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
}
