"""Convolutions as int8 wants them: what follows each one taken into its weight and bias.

A BatchNormalization between a Conv and the QuantizeLinear behind it would keep ONNX Runtime from computing in int8, and
is one rounding more for every runtime.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
from onnx import numpy_helper

_EPSILON = 1e-5  # of BatchNormalization where the node says none (onnx, docs/Operators.md)


def fold(model: onnx.ModelProto) -> None:
    """Take a BatchNormalization or the Add of a bias behind a Conv into its weight and bias, in place.

    Exact in real numbers, and computed in float64. Only where nothing else reads what lies between.
    """
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(value.name for value in graph.output)
    following = {name: node for node in graph.node for name in node.input}
    gone: set[str] = set()  # outputs of nodes that are none any more
    for conv in graph.node:
        if conv.op_type != "Conv" or any(name not in stored or readers[name] > 1 for name in conv.input[1:]):
            continue
        weight = numpy_helper.to_array(stored[conv.input[1]]).astype(np.float64)
        bias = numpy_helper.to_array(stored[conv.input[2]]).astype(np.float64) if len(conv.input) > 2 else 0.0
        while readers[conv.output[0]] == 1 and (node := following.get(conv.output[0])):
            affine = _affine(node, conv.output[0], graph, len(weight))
            if affine is None:
                break
            factor, shift = affine
            weight, bias = weight * factor.reshape(-1, *[1] * (weight.ndim - 1)), bias * factor + shift
            gone.add(node.output[0])
            conv.output[0] = node.output[0]
        if conv.output[0] not in gone:
            continue
        stored[conv.input[1]].CopyFrom(numpy_helper.from_array(weight.astype(np.float32), conv.input[1]))
        name = conv.input[2] if len(conv.input) > 2 else f"{conv.input[1]}_bias"
        if name in stored:
            stored[name].CopyFrom(numpy_helper.from_array(np.asarray(bias, np.float32), name))
        else:
            graph.initializer.append(numpy_helper.from_array(np.asarray(bias, np.float32), name))
            conv.input.append(name)
    nodes = [node for node in graph.node if node.op_type == "Conv" or node.output[0] not in gone]
    while True:  # what only the folded nodes read
        read = {name for node in nodes for name in node.input} | {value.name for value in graph.output}
        left = [node for node in nodes if read.intersection(node.output)]
        if len(left) == len(nodes):
            break
        nodes = left
    del graph.node[:]
    graph.node.extend(nodes)
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _affine(
    node: onnx.NodeProto, source: str, graph: onnx.GraphProto, channels: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Factor and summand of each channel that a node applies to a tensor (batch, channels, ...), float64; None for
    another node."""
    if node.op_type == "BatchNormalization" and node.input[0] == source and len(node.output) == 1:
        found = [_constant(graph, name) for name in node.input[1:]]
        if any(one is None for one in found) or any(a.name == "training_mode" and a.i for a in node.attribute):
            return None
        scale, shift, mean, variance = (np.asarray(one, np.float64) for one in found)
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), _EPSILON)
        factor = scale / np.sqrt(variance + epsilon)
        return factor, shift - mean * factor
    if node.op_type == "Add":
        bias = _constant(graph, next((name for name in node.input if name != source), source))
        if bias is not None and bias.shape in ((channels, 1, 1), (1, channels, 1, 1)):
            return np.ones(channels), bias.reshape(-1).astype(np.float64)
    return None


def _constant(graph: onnx.GraphProto, name: str) -> np.ndarray | None:
    """An initializer, or the Reshape of one; None for what is neither."""
    stored = next((numpy_helper.to_array(one) for one in graph.initializer if one.name == name), None)
    if stored is not None:
        return np.asarray(stored)
    maker = next((node for node in graph.node if name in node.output), None)
    if maker is None or maker.op_type != "Reshape":
        return None
    data, shape = (_constant(graph, one) for one in maker.input)
    if data is None or shape is None or 0 in shape:
        return None
    return data.reshape([int(size) for size in shape])
