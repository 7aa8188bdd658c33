"""The ONNX graph as a list of operators, and its weights, which stay in their file."""

from __future__ import annotations

import graphlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, external_data_helper, helper, numpy_helper, shape_inference

from convert.artifact import ONNX_FILE
from convert.common.errors import InputError
from convert.common.files import sha256_file

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
_INLINE_BYTES = 1024  # smaller constants stay in the graph, where shape inference sees them


@dataclass(frozen=True)
class OnnxNode:
    """An operator of the graph. index: its place in topological order."""

    index: int
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class OnnxGraph:
    """skeleton: the model with its large weights in `model.onnx.data` beside it. folder: where that file is.

    activations: floating-point tensors that depend on the input, and not only on its shape.
    """

    folder: Path
    skeleton: onnx.ModelProto
    nodes: tuple[OnnxNode, ...]
    input: str
    output: str
    types: Mapping[str, int]
    shapes: Mapping[str, tuple[int, ...] | None]
    activations: frozenset[str]

    @cached_property
    def initializers(self) -> dict[str, onnx.TensorProto]:
        return {tensor.name: tensor for tensor in self.skeleton.graph.initializer}

    @cached_property
    def constants(self) -> dict[str, onnx.TensorProto]:
        """Initializers and what Constant nodes hold."""
        found = {
            node.outputs[0]: node.attributes["value"]
            for node in self.nodes
            if node.kind == "Constant" and "value" in node.attributes
        }
        return self.initializers | found

    @cached_property
    def maker(self) -> dict[str, OnnxNode]:
        """Tensor -> the node that it comes from."""
        return {tensor: node for node in self.nodes for tensor in node.outputs}

    @cached_property
    def weights_sha256(self) -> dict[str, str]:
        """The name of the data file, where there is one, and its hash."""
        file = self.folder / f"{ONNX_FILE}.data"
        return {file.name: sha256_file(file)} if file.exists() else {}

    def operands(self, node: OnnxNode) -> tuple[str, ...]:
        """The inputs of a node that are activations."""
        return tuple(tensor for tensor in node.inputs if tensor in self.activations)

    def fixed(self, node: OnnxNode) -> list[str]:
        """The constants that a node takes, or that are made into what it takes (a bias that is reshaped)."""
        found: list[str] = []
        waiting = [name for name in node.inputs if name not in self.activations]
        while waiting:
            name = waiting.pop(0)
            if name in self.constants:
                found.append(name)
            elif name in self.maker:
                waiting += [one for one in self.maker[name].inputs if one not in self.activations]
        return list(dict.fromkeys(found))

    def array(self, name: str) -> np.ndarray:
        """The values of a constant."""
        return numpy_helper.to_array(self.constants[name], str(self.folder))

    def scalar(self, name: str) -> float | None:
        """The value of a constant of one element, else None."""
        tensor = self.constants.get(name)
        if tensor is None or int(np.prod(tensor.dims, dtype=np.int64)) != 1:
            return None
        return float(self.array(name).reshape(()))


def read(path: Path, folder: Path) -> OnnxGraph:
    """Read a model and move its large weights into a data file in `folder` (existing, empty).

    InputError when it is no ONNX model, or has not one input and one output.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf raises its own types
        raise InputError(f"{path}: no ONNX model can be read from it ({error})") from None
    data = folder / f"{ONNX_FILE}.data"
    files = {info.location for tensor in model.graph.initializer if (info := _external(tensor))}
    if len(files) == 1 and all(
        not t.HasField("raw_data") or len(t.raw_data) <= _INLINE_BYTES for t in model.graph.initializer
    ):
        (name,) = files
        _link(path.parent / name, data)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = data.name
    else:
        if files:
            external_data_helper.load_external_data_for_model(model, str(path.parent))
        onnx.save_model(
            model, folder / ONNX_FILE, save_as_external_data=True, location=data.name, size_threshold=_INLINE_BYTES
        )
    _sort(model.graph)
    return _parse(model, folder)


def _sort(graph: onnx.GraphProto) -> None:
    """Put the nodes in topological order, which some tools leave (ONNX Runtime's float16 converter does)."""
    maker = {name: i for i, node in enumerate(graph.node) for name in node.output}
    sources = {i: [maker[name] for name in node.input if name in maker] for i, node in enumerate(graph.node)}
    try:
        order = list(graphlib.TopologicalSorter(sources).static_order())
    except graphlib.CycleError:
        raise InputError("the ONNX model's operators go round in a circle") from None
    if any(source >= i for i, found in sources.items() for source in found):
        nodes = [graph.node[i] for i in order]
        kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(kept)


def _external(tensor: onnx.TensorProto) -> external_data_helper.ExternalDataInfo | None:
    if tensor.data_location != TensorProto.EXTERNAL:
        return None
    return external_data_helper.ExternalDataInfo(tensor)


def _link(source: Path, target: Path) -> None:
    if not source.is_file():
        raise InputError(f"{source} is missing: the ONNX model keeps its weights there")
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def _parse(model: onnx.ModelProto, folder: Path) -> OnnxGraph:
    graph = model.graph
    inputs = [value.name for value in graph.input if value.name not in {t.name for t in graph.initializer}]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise InputError(f"the ONNX model has {len(inputs)} inputs and {len(graph.output)} outputs, not one each")
    inferred = shape_inference.infer_shapes(model).graph
    types: dict[str, int] = {}
    shapes: dict[str, tuple[int, ...] | None] = {}
    for value in (*inferred.input, *inferred.value_info, *inferred.output):
        kind = value.type.tensor_type
        types[value.name] = kind.elem_type
        shapes[value.name] = (
            tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in kind.shape.dim)
            if kind.HasField("shape")
            else None
        )
    nodes = tuple(
        OnnxNode(
            index,
            node.op_type,
            tuple(node.input),
            tuple(name for name in node.output if name),
            {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute},
        )
        for index, node in enumerate(graph.node)
    )
    active = {inputs[0]}
    for node in nodes:
        if node.kind not in ("Shape", "Size") and active & set(node.inputs):
            active |= {name for name in node.outputs if types.get(name, TensorProto.FLOAT) in _FLOATS}
    return OnnxGraph(folder, model, nodes, inputs[0], graph.output[0].name, types, shapes, frozenset(active))
