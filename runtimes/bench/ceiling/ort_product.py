"""A matrix product by ONNX Runtime, on the processor or on an NVIDIA GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# What the CPU provider has no product in.
_NOT_ON_CPU = ("tf32", "bf16")


def prepare(
    precision: str, shape: tuple[int, int, int], job: Mapping[str, Any], factors: tuple[Any, Any]
) -> tuple[Callable[[], object], Callable[[], Any], Any, str]:
    """What runs the product, what gives the first row of its last result, that row exactly, and what computes it.

    Both factors are constants of the graph, and of its result only the first row leaves the device.
    UnavailableError where ONNX Runtime has no such product.
    """
    import numpy as np
    import onnxruntime as ort

    from runtimes.base import UnavailableError

    device = job["device"]
    if device == "CPU" and precision in _NOT_ON_CPU:
        raise UnavailableError(f"ONNX Runtime multiplies no {precision} on a processor")
    left, right = _as_type(factors, precision, device)
    session = _session(_model(left, right), precision, job)
    row: list[Any] = []

    def run() -> None:
        row[:] = session.run(None, {})

    expected = np.asarray(left[0], np.float64) @ np.asarray(right, np.float64)
    provider = session.get_providers()[0].removesuffix("ExecutionProvider")
    return run, lambda: row[0][0], expected, f"ONNX Runtime {ort.__version__} ({provider})"


def _as_type(factors: tuple[Any, Any], precision: str, device: str) -> tuple[Any, Any]:
    import ml_dtypes
    import numpy as np

    left, right = factors
    if precision == "int8":
        # The processor's kernels take unsigned activations, CUDA's signed ones.
        left = (left * 255).astype(np.uint8) if device == "CPU" else (left * 127).astype(np.int8)
        return left, (right * 254).astype(np.int8)
    kind = {"fp16": np.float16, "bf16": ml_dtypes.bfloat16}.get(precision, np.float32)
    return left.astype(kind), right.astype(kind)


def _model(left: Any, right: Any) -> bytes:
    """A graph of one product of constants, which gives the product's first row in FP32."""
    from onnx import TensorProto, helper

    types = {
        "float32": TensorProto.FLOAT,
        "float16": TensorProto.FLOAT16,
        "bfloat16": TensorProto.BFLOAT16,
        "int8": TensorProto.INT8,
        "uint8": TensorProto.UINT8,
    }
    integer = right.dtype.name == "int8"
    constants = [
        helper.make_tensor(name, types[array.dtype.name], array.shape, array.tobytes(), raw=True)
        for name, array in (("left", left), ("right", right))
    ]
    constants.append(helper.make_tensor("first", TensorProto.INT64, [1], [0]))
    nodes = [
        helper.make_node("MatMulInteger" if integer else "MatMul", ["left", "right"], ["product"]),
        helper.make_node("Gather", ["product", "first"], ["narrow"]),
        helper.make_node("Cast", ["narrow"], ["row"], to=TensorProto.FLOAT),
    ]
    output = helper.make_tensor_value_info("row", TensorProto.FLOAT, [1, right.shape[1]])
    graph = helper.make_graph(nodes, "product", [], [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def _session(model: bytes, precision: str, job: Mapping[str, Any]) -> Any:
    import onnxruntime as ort

    from runtimes.base import UnavailableError
    from runtimes.ort import libraries
    from runtimes.ort.session import CUDA

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = job["threads"]
    settings.log_severity_level = 3
    # Optimised, the product of two constants would be taken once, when the model is loaded.
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    device = job["device"]
    if device == "CPU":
        return ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    libraries.require_provider(CUDA)
    libraries.require_libraries(CUDA)
    settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    options = {"device_id": device.partition(".")[2] or "0", "use_tf32": "1" if precision == "tf32" else "0"}
    try:
        session = ort.InferenceSession(model, settings, providers=[(CUDA, options)], enable_fallback=0)
    except Exception as error:  # ONNX Runtime's have no common type
        raise UnavailableError(
            f"ONNX Runtime multiplies no {precision} on this GPU: {str(error).splitlines()[0]}"
        ) from None
    if session.get_providers()[0] != CUDA:
        raise UnavailableError("ONNX Runtime did not start its CUDA provider")
    return session
