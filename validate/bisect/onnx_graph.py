"""The ONNX graph as a list of operators, and its weights, which stay in their file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes

from convert.artifact import ONNX_FILE
from convert.common.errors import InputError

DATA_FILE = f"{ONNX_FILE}.data"
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
    """model: its large weights stay in `model.onnx.data`. folder: where that file is.

    shapes: of tensors, -1 where free. activations: floating-point tensors that depend on the input, and not only on its
    shape.
    """

    folder: Path
    model: ir.Model
    nodes: tuple[OnnxNode, ...]
    input: str
    output: str
    types: Mapping[str, ir.DataType]
    shapes: Mapping[str, tuple[int, ...]]
    activations: frozenset[str]

    @cached_property
    def constants(self) -> dict[str, ir.TensorProtocol]:
        """Initializers and what Constant nodes hold."""
        held = {name: value.const_value for name, value in self.model.graph.initializers.items()}
        held |= {node.outputs[0]: node.attributes.get("value") for node in self.nodes if node.kind == "Constant"}
        return {name: tensor for name, tensor in held.items() if tensor is not None}

    @cached_property
    def maker(self) -> dict[str, OnnxNode]:
        """Tensor -> the node that it comes from."""
        return {tensor: node for node in self.nodes for tensor in node.outputs}

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
        return self.constants[name].numpy()

    def scalar(self, name: str) -> float | None:
        """The value of a constant of one element, else None."""
        tensor = self.constants.get(name)
        return float(tensor.numpy().reshape(())) if tensor is not None and tensor.size == 1 else None

    def type_of(self, tensor: str) -> ir.DataType:
        """A tensor's type, float32 where it is not known."""
        return self.types.get(tensor, ir.DataType.FLOAT)

    def recompute(self, tensor: str, captured: Mapping[str, Path]) -> np.ndarray | None:
        """What the graph itself says of a tensor: computed by ONNX's own reference, from what a runtime had before it.

        captured: tensor -> .npy file. None when it takes others than these, or operators that the reference does not
        have.
        """
        from onnx.reference import ReferenceEvaluator

        try:
            given = [name for name in captured if name != tensor]
            part = self.model_of(ir.convenience.extract(self.model.graph, given, [tensor]))
            ir.external_data.load_to_model(part)
            feeds = {name: np.load(captured[name]).astype(self.type_of(name).numpy()) for name in given}
            with np.errstate(all="ignore"):
                (found,) = ReferenceEvaluator(ir.to_proto(part)).run(None, feeds)
        except (NotImplementedError, onnx.checker.ValidationError, TypeError, ValueError, RuntimeError):
            return None
        return np.asarray(found, dtype=np.float32)

    def model_of(self, graph: ir.Graph) -> ir.Model:
        """A part of the graph as a model."""
        functions = list(self.model.functions.values())
        return ir.Model(graph, ir_version=self.model.ir_version, functions=functions)


def read(path: Path, folder: Path) -> OnnxGraph:
    """Read a model, sort its nodes topologically, and write its large weights into a data file in an existing folder.

    InputError when it is no ONNX model, or has not one input and one output.
    """
    copy = folder / ONNX_FILE
    try:
        model = ir.load(path)
        model.graph.sort()  # some tools leave that order (ONNX Runtime's float16 converter does)
        ir.save(model, copy, external_data=DATA_FILE, size_threshold_bytes=_INLINE_BYTES)
        model = passes.ShapeInferencePass(check_type=False, strict_mode=False, data_prop=False)(ir.load(copy)).model
    except Exception as error:  # protobuf raises its own types
        raise InputError(f"{path}: no ONNX model can be read from it ({error})") from None
    return _parse(model, folder)


def _parse(model: ir.Model, folder: Path) -> OnnxGraph:
    graph = model.graph
    inputs = [str(value.name) for value in graph.inputs if value.name not in graph.initializers]
    if len(inputs) != 1 or len(graph.outputs) != 1:
        raise InputError(f"the ONNX model has {len(inputs)} inputs and {len(graph.outputs)} outputs, not one each")
    values = ir.convenience.create_value_mapping(graph)
    types = {name: value.dtype for name, value in values.items() if value.dtype is not None}
    shapes = {
        name: tuple(size if isinstance(size, int) else -1 for size in value.shape)
        for name, value in values.items()
        if value.shape is not None
    }
    nodes = tuple(
        OnnxNode(
            index,
            node.op_type,
            tuple("" if value is None else str(value.name) for value in node.inputs),
            tuple(str(value.name) for value in node.outputs if value.name),
            {name: attribute.value for name, attribute in node.attributes.items()},
        )
        for index, node in enumerate(graph)
    )
    active = {inputs[0]}
    for node in nodes:
        if node.kind not in ("Shape", "Size") and active & set(node.inputs):
            active |= {name for name in node.outputs if types.get(name, ir.DataType.FLOAT).is_floating_point()}
    return OnnxGraph(folder, model, nodes, inputs[0], str(graph.outputs[0].name), types, shapes, frozenset(active))
