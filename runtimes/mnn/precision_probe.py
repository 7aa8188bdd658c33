"""What a runtime multiplies in, seen from the digits that survive a product: for runtimes that do not say."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from convert.precision.table import INT8, PRECISIONS

# Bits after the point of a format's significand, for the precisions that weights are stored in: half the distance from
# 1 to the next number has one more.
_FRACTION_BITS = {
    entry.dtype: -int(math.log2(entry.unit_roundoff)) - 1
    for entry in PRECISIONS.values()
    if entry.artifact == entry.name and not entry.calibrated
}
_STEPS = np.ldexp(1.0, -np.arange(1, 24)).astype(np.float32)  # 2^-1 to 2^-23

# The last row picks a column of the weights out of the product; the others are 1 + 2^-k beside 1.
INPUT = np.stack([np.append(1 + _STEPS, 1), np.ones(24)], axis=1).astype(np.float32)  # (24, 2)


def write_probe(path: Path) -> None:
    """Write the probe as an ONNX model: input `x` (INPUT), outputs `weighted` and `paired`, each (24, 24).

    `weighted` is x times constant weights, as in a linear layer; `paired` is x times x, as in attention. Among their
    elements are (1 + 2^-k) - 1, for weights and for activations. In FP32 each is 2^-k exactly, in whatever order it is
    summed up; in a format with fewer than k fraction bits 1 + 2^-k was 1, or something else, before.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    signs = np.array([1, -1], np.float32)
    weights = np.stack([np.append(1 + _STEPS, 1), -np.ones(24)]).astype(np.float32)  # (2, 24)
    nodes = [
        helper.make_node("MatMul", ["x", "weights"], ["weighted"]),
        helper.make_node("Mul", ["x", "signs"], ["signed"]),
        helper.make_node("Transpose", ["signed"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "turned"], ["paired"]),
    ]
    graph = helper.make_graph(
        nodes,
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, INPUT.shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [24, 24]) for name in ("weighted", "paired")],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(signs, "signs")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def bits(weighted: np.ndarray, paired: np.ndarray) -> dict[str, int]:
    """Fraction bits (0 to 23) that weights and activations kept in the probe's outputs."""
    found = {
        "weights": weighted[-1, :-1],
        "activations": weighted[:-1, -1],
        "left of a product": paired[:-1, -1],
        "right of a product": paired[-1, :-1],
    }
    return {name: int(np.append(values == _STEPS, False).argmin()) for name, values in found.items()}


def widest_type(fraction_bits: int) -> str:
    """The widest of these formats that so many bits are enough for; int8 below all of them."""
    return next((name for name, needed in _FRACTION_BITS.items() if fraction_bits >= needed), INT8)
