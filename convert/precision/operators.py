"""The operators that a precision is chosen for: those that multiply, by the names of their weights."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper

MULTIPLY = ("Conv", "Gemm", "MatMul")
# An inference model calls its weights linear_3.w_0, one of ours blocks.0.mlp.fc1.weight.
_ENDINGS = (".weight", ".w_0")
PRODUCTS = ("qk", "av")


@dataclass(frozen=True)
class Operator:
    """A convolution, a linear layer, or a product of two activations in attention.

    name: `blocks.3.mlp.fc1`; for the products of attention `blocks.3.attn.qk` and `blocks.3.attn.av`. output: the
    tensor that it writes, which is how it is found in the graph. weight: its weight, None for a product. axis: the axis
    of the weight's output channels. activations: the tensors that it reads and that are no weights.
    """

    name: str
    kind: str
    output: str
    weight: str | None
    axis: int
    activations: tuple[str, ...]


def weights(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def operators(model: onnx.ModelProto, stored: Collection[str]) -> list[Operator]:
    """The operators of a graph in its order. stored: the names of the initializers."""
    found: list[Operator] = []
    block, products = "", 0
    for node in model.graph.node:
        if node.op_type not in MULTIPLY:
            continue
        if node.input[1] in stored:
            name = stem(node.input[1])
            block, products = name.rpartition(".")[0] or name, 0
            axis = 0 if node.op_type == "Conv" or is_transposed(node) else 1
            found.append(Operator(name, node.op_type, node.output[0], node.input[1], axis, (node.input[0],)))
        else:
            name = f"{block}.{PRODUCTS[products]}" if products < len(PRODUCTS) else node.output[0]
            products += 1
            found.append(Operator(name, node.op_type, node.output[0], None, 0, tuple(node.input[:2])))
    return found


def stem(weight: str) -> str:
    """The name of an operator by that of its weight."""
    return next((weight.removesuffix(ending) for ending in _ENDINGS if weight.endswith(ending)), weight)


def is_transposed(node: onnx.NodeProto) -> bool:
    """Whether a Gemm has its weight as (out, in)."""
    return any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
