"""In which block a layer of a runtime is: by the names of what it was made of, else by what stands around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import onnx_ir as ir

from convert.artifact import Artifact
from convert.common.disk import scratch
from convert.common.disk.files import writing
from convert.common.errors import GraphError
from convert.export import counts
from runtimes.profiled.layers import LayerTime
from runtimes.records.arithmetic import of_convolution, of_product
from validate.bisect import alignment, locations, onnx_graph, paddle_program
from validate.bisect.locations import Location
from validate.bisect.onnx_graph import OnnxGraph
from validate.bisect.paddle_program import PaddleProgram

NOT_ATTRIBUTED = "not attributed"
# Paddle's words, the first in a profile too.
_NORM = "layer_norm"
_CONVOLUTIONS, _PRODUCTS = ("conv2d", "depthwise_conv2d"), ("matmul", "linear", "bmm")


@dataclass(frozen=True)
class ModelBlocks:
    """The blocks of a model, in order, and what is in them.

    nodes, tensors: names in its ONNX graph -> block. norms: the block of each LayerNorm of the Paddle program, in its
    order. macs, program_macs: multiply-accumulates of each block in the ONNX graph and in the Paddle program, for one
    image or for a batch that is fixed; None where they cannot be counted. The graph may have less: its last block for
    the class token alone.
    """

    order: tuple[str, ...]
    nodes: Mapping[str, str]
    tensors: Mapping[str, str]
    norms: tuple[str, ...]
    macs: Mapping[str, int] | None
    program_macs: Mapping[str, int] | None


def read(artifact: Artifact) -> ModelBlocks:
    """The blocks of an artifact, as bisect has them. InputError when its files cannot be read or do not belong
    together."""
    program = paddle_program.read(artifact.base.paddle_program)
    places = locations.locate(program, artifact.spec)
    order = tuple(dict.fromkeys(place.block for place in places.values()))
    norms = tuple(places[one.index].block for one in program.operators if one.kind == _NORM and one.index in places)
    nodes: dict[str, str] = {}
    tensors: dict[str, str] = {}
    macs: Mapping[str, int] | None = None
    # A runtime reads the one or the other. That of a lower precision has the tensors of FP32's, and more between them.
    for onnx in dict.fromkeys((artifact.fp32.onnx, artifact.onnx)):
        with scratch.folder() as folder, writing(folder):
            graph = onnx_graph.read(onnx, folder)
            if not tensors:
                sides = alignment.align(graph, program)
                tensors = {tensor: places[operator.index].block for tensor, operator in sides.own.items()}
            tensors = _spread(graph, tensors, order)
            nodes |= {str(node.name): tensors[node.outputs[0].name or ""] for node in graph.model.graph if node.name}
            macs = _macs(graph, tensors) if macs is None else macs
    total = (artifact.base.manifest.macs.total or 0) * (artifact.batch or 1)
    return ModelBlocks(order, nodes, tensors, norms, macs, _program_macs(program, places, total))


def _spread(graph: OnnxGraph, known: Mapping[str, str], order: Sequence[str]) -> dict[str, str]:
    """The block of each tensor that a node writes: where Paddle's program does not tell, that of the first that reads
    it, else that of the last that it is made of."""
    found, place = dict(known), {block: number for number, block in enumerate(order)}
    readers: dict[str, list[str]] = {}
    for node in graph.nodes:
        for tensor in node.inputs:
            readers.setdefault(tensor, []).extend(node.outputs)
    for node in reversed(graph.nodes):
        blocks = [found[one] for tensor in node.outputs for one in (tensor, *readers.get(tensor, ())) if one in found]
        own = [found[tensor] for tensor in node.outputs if tensor in found]
        if blocks:
            found |= dict.fromkeys(node.outputs, own[0] if own else min(blocks, key=place.__getitem__))
    for node in graph.nodes:
        blocks = [found[tensor] for tensor in node.inputs if tensor in found]
        last = max(blocks, key=place.__getitem__) if blocks else NOT_ATTRIBUTED
        found = dict.fromkeys(node.outputs, last) | found
    return found


def _macs(graph: OnnxGraph, blocks: Mapping[str, str]) -> Mapping[str, int] | None:
    try:
        written = counts.macs_by_output(counts.without_weights(ir.to_proto(graph.model)))
    except GraphError:
        return None
    found: Counter[str] = Counter()
    for tensor, macs in written.items():
        found[blocks[tensor]] += macs
    return found


def _program_macs(program: PaddleProgram, places: Mapping[int, Location], total: int) -> Mapping[str, int] | None:
    """None where they do not come to the total that was counted while converting."""
    found: Counter[str] = Counter()
    for operator in program.operators:
        if operator.index in places and operator.kind in (*_CONVOLUTIONS, *_PRODUCTS):
            values = (*operator.inputs[:2], operator.outputs[0])
            # What is free is taken for a batch of one image, and whether it was shows at the end.
            first, second, output = (tuple(map(abs, program.shapes.get(value, ()))) for value in values)
            convolution = operator.kind in _CONVOLUTIONS
            macs = of_convolution(output, second) if convolution else of_product(first, output, second)
            found[places[operator.index].block] += macs
    return found if sum(found.values()) == total else None


def attribute(layers: Sequence[LayerTime], model: ModelBlocks) -> list[str]:
    """The block of each layer, in order: `blocks.0 + blocks.1` of what was made of both, NOT_ATTRIBUTED where nothing
    tells."""
    if not any(layer.nodes or layer.tensors for layer in layers):
        return _by_norms(layers, model)
    found = [_by_name(layer, model) for layer in layers]
    _by_readers(layers, found, model)
    _between(found)
    return [block or NOT_ATTRIBUTED for block in found]


def _by_name(layer: LayerTime, model: ModelBlocks) -> str:
    """Empty where no name is the model's."""
    for names, known in ((layer.nodes, model.nodes), (layer.tensors, model.tensors)):
        blocks = {known[whole] for name in names if (whole := _known(name, known)) is not None}
        if blocks:
            return " + ".join(sorted(blocks, key=lambda block: (*model.order, block).index(block)))
    return ""


def _known(name: str, known: Mapping[str, str]) -> str | None:
    """The longest name of the model that a runtime's name begins with: `MatMul.7` of `MatMul.7/MatMulAddFusion`, and
    not of `MatMul.72`."""
    while name and name not in known:
        name = name.rpartition("/")[0]
    return name or None


def _by_readers(layers: Sequence[LayerTime], found: list[str], model: ModelBlocks) -> None:
    """A layer without a name of the model's is in the block of the layers that read it, where they are in one.

    One that takes less than a microsecond may not be among the layers (OpenVINO); its name may be the model's.
    """
    place = {layer.name: number for number, layer in enumerate(layers)}
    for number in reversed(range(len(layers))):
        blocks = {
            found[place[one]] if one in place else model.nodes.get(_known(one, model.nodes) or "", "")
            for one in layers[number].feeds
        }
        if not found[number] and len(blocks) == 1:
            found[number] = blocks.pop()


def _between(found: list[str]) -> None:
    """A layer without a name of the model's is in the block of those that ran before and after it, where that is one:
    runtimes run a chain of blocks in its order."""
    named = [number for number, block in enumerate(found) if block]
    for before, after in pairwise(named):
        if found[before] == found[after]:
            found[before + 1 : after] = [found[before]] * (after - before - 1)


def _by_norms(layers: Sequence[LayerTime], model: ModelBlocks) -> list[str]:
    """Of layers without any name (Paddle's): a block begins with its LayerNorm, as bisect has it, and what comes before
    the first of them is the embedding."""
    norms = [layer.operator.endswith(_NORM) for layer in layers]
    if not norms or norms.count(True) != len(model.norms) or not model.norms:
        return [NOT_ATTRIBUTED] * len(layers)
    blocks, seen = [], 0
    for norm in norms:
        seen += norm
        blocks.append(model.norms[seen - 1] if seen else model.order[0])
    return blocks
