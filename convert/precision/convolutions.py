"""Convolutions as int8 wants them: what follows each one taken into its weight and bias, and no Shape behind it.

A BatchNormalization between a Conv and the QuantizeLinear behind it would keep ONNX Runtime from computing in int8, and
is one rounding more for every runtime.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

_EPSILON = 1e-5  # of BatchNormalization where the node says none (onnx, docs/Operators.md)


def settle_sizes(model: onnx.ModelProto) -> None:
    """Have a Reshape copy the leading sizes of what it reads (0), where it computes them from its Shape, in place.

    Paddle's flatten is such a Reshape. ONNX Runtime 1.31.1 leaves a convolution in FP32, and slower than without any
    QuantizeLinear, where a Shape reads what it gives: 12 of PVTv2_B0's 18 convolutions, 8 of them depthwise. Its int8
    took 31.5 ms of CPU time instead of 33.3 (an AMD EPYC with AVX2 alone, one thread).
    """
    graph = model.graph
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        joined = makers.get(node.input[1]) if node.op_type == "Reshape" else None
        if joined is None or joined.op_type != "Concat" or any(a.name == "allowzero" and a.i for a in node.attribute):
            continue
        copied = _leading(joined.input[0], node.input[0], makers, stored)
        rest = [stored.get(name) for name in joined.input[1:]]
        if not copied or any(one is None or 0 in one for one in rest):
            continue
        sizes = np.concatenate([np.zeros(copied, np.int64), *(np.ravel(one) for one in rest if one is not None)])
        node.input[1] = f"{node.output[0]}_sizes"
        graph.initializer.append(numpy_helper.from_array(sizes, node.input[1]))
    _drop_unread(graph)


def _leading(
    sizes: str, data: str, makers: Mapping[str, onnx.NodeProto], stored: Mapping[str, np.ndarray]
) -> int | None:
    """How many sizes of a tensor another one has, where it has its first ones alone; None elsewhere."""
    cut = makers.get(sizes)
    if cut is None or cut.op_type != "Slice" or any(name not in stored for name in cut.input[1:]):
        return None
    shape = makers.get(cut.input[0])
    if shape is None or shape.op_type != "Shape" or shape.attribute or shape.input[0] != data:
        return None
    start, end, *more = (np.ravel(stored[name]).tolist() for name in cut.input[1:])
    plain = start == [0] and len(end) == 1 and more in ([], [[0]], [[0], [1]])
    return end[0] if plain and end[0] > 0 else None


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
    del graph.node[:]
    graph.node.extend(nodes)
    _drop_unread(graph)


def _drop_unread(graph: onnx.GraphProto) -> None:
    """Leave out the nodes and initializers that nothing reads any more."""
    nodes = list(graph.node)
    while True:
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
