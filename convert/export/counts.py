"""Multiply-accumulates and parameters, counted from the graph, in the published convention and in full.

FLOP = 2 x MAC. PaddleClas' column "FLOPs (G)" holds MACs of convolutions and linear layers only, and its "Params (M)"
leave out pos_embed and cls_token: counted that way, all seven models agree with its page to the last digit printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import onnx
from onnx import helper

from convert.common.errors import GraphError
from convert.export import constants
from convert.export.graph import shapes_at_batch_one
from convert.manifest import Counts
from convert.precision.operators import MULTIPLY, is_transposed


def count_macs(model: onnx.ModelProto, weights: dict[str, tuple[int, ...]]) -> Counts:
    """Multiply-accumulates for one image. GraphError when a shape that is needed is known neither way.

    total adds the products of two activations (query x key, attention x value) to the convolutions and linear layers.
    Additions, normalisations, Softmax and GELU count in neither, as is the custom.
    """
    found = macs_by_output(model)
    layers = sum(found[node.output[0]] for node in multiplying(model) if node.input[1] in weights)
    images = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 1
    return Counts(published=layers // images, total=sum(found.values()) // images)


def multiplying(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes whose multiply-accumulates are counted."""
    return [node for node in model.graph.node if node.op_type in MULTIPLY]


def macs_by_output(model: onnx.ModelProto) -> dict[str, int]:
    """Multiply-accumulates of each node that multiplies, by what it writes: for one image, or for a batch that is
    fixed. GraphError when a shape that is needed is known neither way."""
    nodes = multiplying(model)
    shapes = _shapes(model, [name for node in nodes for name in (node.output[0], node.input[1])])
    found: dict[str, int] = {}
    for node in nodes:
        second = shapes[node.input[1]]
        if node.op_type == "Conv":
            per_output = prod(second[1:])  # (out, in / groups, height, width)
        elif node.op_type == "MatMul":
            per_output = second[-2]
        else:
            per_output = second[1] if is_transposed(node) else second[0]
        found[node.output[0]] = prod(shapes[node.output[0]]) * per_output
    return found


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with its floating-point weights declared as inputs: their shapes are enough to count, and a protobuf
    with all their numbers in it may be too large to be copied."""
    light = onnx.ModelProto(ir_version=model.ir_version)
    light.opset_import.extend(model.opset_import)
    graph = model.graph
    light.graph.name = graph.name
    for name in ("node", "input", "output"):
        getattr(light.graph, name).extend(getattr(graph, name))
    for tensor in graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims):
            light.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        else:
            light.graph.initializer.append(tensor)
    return light


def _shapes(model: onnx.ModelProto, names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Shapes of some tensors: inferred, and where that is not enough, seen in a run."""
    try:
        found = shapes_at_batch_one(model)
    except GraphError:
        found = {}
    lacking = [name for name in dict.fromkeys(names) if -1 in found.get(name, (-1,))]
    return found | constants.shapes(model, lacking) if lacking else found


def count_parameters(weights: dict[str, tuple[int, ...]]) -> Counts:
    """Parameters. pos_embed and cls_token, left out of `published`, are known by their shape (1, tokens, dim)."""
    total = sum(prod(shape) for shape in weights.values())
    embeddings = sum(prod(shape) for shape in weights.values() if len(shape) == 3 and shape[0] == 1)
    return Counts(published=total - embeddings, total=total)
