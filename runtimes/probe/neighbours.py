"""Whether a runtime adds two products of int8 in 16 bits, seen from a sum that does not fit: no runtime says so."""

from __future__ import annotations

import numpy as np

_ROWS, _CHANNELS, _COLUMNS = 8, 64, 16
_MOST = 127  # of int8, which every number of the probe is
INPUT = np.full((1, _ROWS, _CHANNELS), _MOST, np.float32)
EXACT, SATURATED, UNKNOWN = "exact", "cut off at 16 bits", "neither exact nor cut off at 16 bits"


def model() -> bytes:
    """The probe as an ONNX model: input `x` (INPUT), one int8 MatMul as int8 artifacts have it, output `sums`."""
    from onnx import TensorProto, helper, numpy_helper

    one, zero = np.array(1, np.float32), np.array(0, np.int8)
    constants: dict[str, np.ndarray] = {
        **{"step": one, "zero": zero, "weight": np.full((_CHANNELS, _COLUMNS), _MOST, np.int8)},
        **{"steps": np.ones(_COLUMNS, np.float32), "zeros": np.zeros(_COLUMNS, np.int8)},
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["rounded"]),
        helper.make_node("DequantizeLinear", ["rounded", "step", "zero"], ["back"]),
        helper.make_node("DequantizeLinear", ["weight", "steps", "zeros"], ["factors"], axis=1),
        helper.make_node("MatMul", ["back", "factors"], ["sums"]),
    ]
    graph = helper.make_graph(
        nodes,
        "neighbours",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(INPUT.shape))],
        [helper.make_tensor_value_info("sums", TensorProto.FLOAT, [1, _ROWS, _COLUMNS])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString())


def read(sums: np.ndarray) -> str:
    """EXACT, SATURATED or UNKNOWN, from the probe's output."""
    # Each of two products is 127 x (127 + 128): `convert.precision.saturation` has why 128 goes in and out again.
    ends = {EXACT: _CHANNELS * _MOST**2, SATURATED: _CHANNELS // 2 * (2**15 - 1) - _CHANNELS * 128 * _MOST}
    near = 2.0**-7 * ends[EXACT]  # what follows may be in bf16, whose numbers are a 256th apart
    return next((name for name, one in ends.items() if np.abs(sums - one).max() < near), UNKNOWN)
