"""An ONNX graph as it looks to one image: what images change, and what is constant.

ncnn's tensors have no batch dimension: each image of a batch goes through the layers by itself. So the first dimension
of every tensor has to be that of the images, and nothing may mix them. Shapes are worked out for one image and for two:
what does not double at its front is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes
from onnx import helper

from runtimes.ncnn.net import UnknownError

Shape = tuple[int, ...]
Constant = ir.TensorProtocol | np.ndarray
_MOST_DIMENSIONS = 4  # of ncnn's Mat: w, h, d, c
_LEAST_OPSET = 13  # before it Softmax took several dimensions for one


@dataclass(frozen=True)
class ImageGraph:
    """An ONNX graph without its batch dimension.

    nodes: the operators that work on what images change, in topological order. shapes: of what they take and leave, per
    image. constants: everything else, as it is for one image and for two: the same object where that makes no
    difference.
    """

    input: str
    outputs: tuple[str, ...]
    nodes: tuple[ir.Node, ...]
    shapes: dict[str, Shape]
    constants: dict[str, tuple[Constant, Constant]]

    def weight(self, name: str) -> Constant:
        """A constant that an operator has to itself. UnknownError when the number of images changes it."""
        one, two = self.constants[name]
        if two is not one:
            raise UnknownError(f"the constant {name}, which depends on the number of images")
        return one

    def constant(self, name: str, rank: int) -> np.ndarray:
        """A float32 constant as what each image of a tensor of `rank` dimensions per image is combined with.

        UnknownError when it is not the same for each.
        """
        one, two = map(np.asarray, self.constants[name])
        shape = (1,) * (rank + 1 - one.ndim) + one.shape
        alike = np.array_equal(one, two) or (one.ndim > 0 and np.array_equal(two, np.repeat(one, 2, axis=0)))
        if not alike or len(shape) > rank + 1 or shape[0] != 1:
            raise UnknownError(f"the constant {name} is not the same for every image")
        if one.dtype != np.float32:
            raise UnknownError(f"the constant {name} is {one.dtype}, not float32")
        return one.reshape(shape[1:])

    def whole_numbers(self, node: ir.Node, index: int) -> list[int] | None:
        """The elements of an operator's constant input, None where it has none. UnknownError when images change it."""
        value = node.inputs[index] if index < len(node.inputs) else None
        if value is None:
            return None
        if str(value.name) not in self.constants:
            raise UnknownError(f"{node.op_type} with {value.name}, which depends on the images")
        return [int(number) for number in np.asarray(self.weight(str(value.name))).reshape(-1)]


def read(path: Path) -> ImageGraph:
    """Read a model whose weights are inside it or beside it. UnknownError says what of it ncnn cannot be given."""
    model = ir.load(path)
    graph = model.graph
    inputs = [value for value in graph.inputs if value.name not in graph.initializers]
    if len(inputs) != 1:
        raise UnknownError(f"{len(inputs)} inputs")
    if model.opset_imports.get("", 0) < _LEAST_OPSET:
        raise UnknownError(f"opset {model.opset_imports.get('', 0)}, and {_LEAST_OPSET} is the oldest that is known")
    single, double = (_shapes(model, inputs[0], images) for images in (1, 2))
    constants: dict[str, tuple[Constant, Constant]] = {}
    for name, value in graph.initializers.items():
        assert value.const_value is not None
        constants[name] = (value.const_value, value.const_value)
    nodes, shapes = [], {str(inputs[0].name): _per_image(inputs[0], "the input", single, double)}
    for node in graph:
        taken = [str(value.name) for value in node.inputs if value is not None]
        if node.op_type == "Shape" or all(name in constants for name in taken):
            constants |= _evaluated(model, node, constants, (single, double))
        else:
            nodes.append(node)
            for value in node.outputs:
                if value.name:
                    shapes[value.name] = _per_image(value, node.op_type, single, double)
    outputs = tuple(blob_name(str(value.name)) for value in graph.outputs)
    if lost := [name for name in outputs if name not in shapes]:
        raise UnknownError(f"the output {lost[0]}, which no image changes")
    return ImageGraph(blob_name(str(inputs[0].name)), outputs, tuple(nodes), shapes, constants)


def blob_name(name: str) -> str:
    """A name as it is. UnknownError for one that cannot stand in a .param, where spaces part."""
    if not re.fullmatch(r"[!-~]{1,200}", name):
        raise UnknownError(f"the name {name!r}, which cannot stand in a .param")
    return name


def sizes(shape: Iterable[object]) -> Shape:
    """A static shape as plain numbers."""
    return tuple(size for size in shape if isinstance(size, int))


def _shapes(model: ir.Model, given: ir.Value, images: int) -> dict[str, Shape]:
    """Every shape that is known for so many images."""
    for node in model.graph:
        for value in node.outputs:
            value.shape = None
    if given.shape is None:
        raise UnknownError(f"the input {given.name} without a shape")
    given.shape = ir.Shape([images, *given.shape[1:]])
    for value in model.graph.outputs:
        value.shape = None
    passes.ShapeInferencePass(data_prop=True)(model)
    values = ir.convenience.create_value_mapping(model.graph)
    known = {name: value.shape for name, value in values.items() if value.shape is not None}
    return {name: sizes(shape) for name, shape in known.items() if shape.is_static()}


def _per_image(value: ir.Value, maker: str, single: dict[str, Shape], double: dict[str, Shape]) -> Shape:
    """The shape without the first dimension. UnknownError when that is not the images'; maker: what the value is of."""
    name = str(value.name)
    one, two = single.get(name), double.get(name)
    if not one or not two:
        raise UnknownError(f"{maker} ({name}), whose shape cannot be worked out for one image and for two")
    if one[0] != 1 or two != (2, *one[1:]):
        raise UnknownError(f"{maker} ({name}), whose first dimension is not that of the images")
    if not 0 < len(one) - 1 <= _MOST_DIMENSIONS:
        raise UnknownError(f"{maker} ({name}), which has {len(one) - 1} dimensions per image")
    return one[1:]


def _evaluated(
    model: ir.Model,
    node: ir.Node,
    constants: dict[str, tuple[Constant, Constant]],
    shapes: tuple[dict[str, Shape], dict[str, Shape]],
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What an operator makes of constants, by ONNX's own reference: for one image, and for two where that differs."""
    from onnx.reference import ReferenceEvaluator

    names = [str(value.name) for value in node.inputs if value is not None]
    outputs = [str(value.name) for value in node.outputs]
    untyped = [helper.make_tensor_value_info(name, onnx.TensorProto.UNDEFINED, None) for name in names + outputs]
    graph = helper.make_graph([ir.to_proto(node)], "one", untyped[: len(names)], untyped[len(names) :])
    opsets = [helper.make_opsetid(domain, version) for domain, version in model.opset_imports.items()]
    evaluator = ReferenceEvaluator(helper.make_model(graph, opset_imports=opsets))
    found: list[list[np.ndarray]] = []
    for which in (0, 1):
        feeds = {name: np.asarray(constants[name][which]) for name in names if name in constants}
        for name in set(names) - set(feeds):
            if name not in shapes[which]:
                raise UnknownError(f"{name}, whose shape is not known")
            feeds[name] = np.broadcast_to(np.float32(0), shapes[which][name])  # only its shape is asked for
        found.append([np.asarray(one) for one in evaluator.run(None, feeds)])
    same = [np.array_equal(one, two) for one, two in zip(*found, strict=True)]
    return {name: (one, one if alike else two) for name, one, two, alike in zip(outputs, *found, same, strict=True)}
