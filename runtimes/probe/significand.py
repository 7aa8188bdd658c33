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
ROWS = np.stack([np.append(1 + _STEPS, 1), np.ones(24)], axis=1).astype(np.float32)  # (24, 2)
INPUT = ROWS[None]  # (1, 24, 2)


def write_probe(path: Path) -> None:
    """Write the probe as an ONNX model: input `x` (INPUT) and four outputs of its products.

    `weighted` (1, 24, 24) is x times constant weights, as in a linear layer of every token; `paired` (1, 24, 24) is x
    times x, as in attention; `convolved` (1, 24, 24, 1) is the weights as a convolution whose windows are the rows of
    x, as in a patch embedding; `headed` (1, 47) is all of x as one vector times weights, as in a head. Among their
    elements are (1 + 2^-k) - 1, for weights and for activations. In FP32 each is 2^-k exactly, in whatever order it is
    summed up; in a format with fewer than k fraction bits 1 + 2^-k was 1, or something else, before.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    columns = np.stack([np.append(1 + _STEPS, 1), -np.ones(24)])  # (2, 24)
    # The last column of `columns` for each row of x but the last, then every column for the last row.
    head = np.zeros((24, 2, 47))
    head[np.arange(23), :, np.arange(23)] = columns[:, -1]
    head[-1, :, 23:] = columns
    constants = {
        "weights": columns,
        "signs": np.array([1, -1]),
        "kernel": columns.T.reshape(24, 1, 1, 2),
        "head": head.reshape(48, 47),
    }
    shapes = {"image": [-1, 1, 24, 2], "vector": [-1, 48]}
    nodes = [
        helper.make_node("MatMul", ["x", "weights"], ["weighted"]),
        helper.make_node("Mul", ["x", "signs"], ["signed"]),
        helper.make_node("Transpose", ["signed"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["x", "turned"], ["paired"]),
        helper.make_node("Reshape", ["x", "image shape"], ["image"]),
        helper.make_node("Conv", ["image", "kernel"], ["convolved"], kernel_shape=[1, 2], strides=[1, 2]),
        helper.make_node("Reshape", ["x", "vector shape"], ["vector"]),
        helper.make_node("MatMul", ["vector", "head"], ["headed"]),
    ]
    sizes = {"weighted": [24, 24], "paired": [24, 24], "convolved": [24, 24, 1], "headed": [47]}
    graph = helper.make_graph(
        nodes,
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 24, 2])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *size]) for name, size in sizes.items()],
        [
            *(numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()),
            *(numpy_helper.from_array(np.array(shape), f"{name} shape") for name, shape in shapes.items()),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def bits(
    weighted: np.ndarray, paired: np.ndarray, convolved: np.ndarray | None = None, headed: np.ndarray | None = None
) -> dict[str, int]:
    """Fraction bits (0 to 23) that weights and activations kept in outputs of the probe, by what multiplied them.

    A probe that a runtime needs in a form of its own may have the first two alone, of ROWS: each of 24 x 24 numbers.
    """
    linear, pairs = weighted.reshape(24, 24), paired.reshape(24, 24)
    found = {
        "weights": linear[-1, :-1],
        "activations": linear[:-1, -1],
        "left of a product": pairs[:-1, -1],
        "right of a product": pairs[-1, :-1],
    }
    if convolved is not None:
        channels = convolved.reshape(24, 24)
        found |= {"weights of a convolution": channels[:-1, -1], "activations of a convolution": channels[-1, :-1]}
    if headed is not None:
        vector = headed.reshape(47)
        found |= {"weights of a head": vector[23:-1], "activations of a head": vector[:23]}
    return {name: int(np.append(values == _STEPS, False).argmin()) for name, values in found.items()}


def widest_type(fraction_bits: int) -> str:
    """The widest of these formats that so many bits are enough for; int8 below all of them."""
    return next((name for name, needed in _FRACTION_BITS.items() if fraction_bits >= needed), INT8)
