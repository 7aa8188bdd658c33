"""Faults to plant into an ONNX model that Paddle2ONNX made."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper


def nodes(model: ModelProto, kind: str) -> list[NodeProto]:
    return [node for node in model.graph.node if node.op_type == kind]


def weight(model: ModelProto, name: str, factor: float = 1.01, single: bool = False) -> None:
    """All of a weight times the factor, or the one element whose size is the median."""
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    array = numpy_helper.to_array(tensor).copy()
    where = np.unravel_index(np.argsort(np.abs(array).ravel())[array.size // 2], array.shape) if single else ...
    array[where] *= np.float32(factor)
    tensor.CopyFrom(numpy_helper.from_array(array, name))


def epsilon(model: ModelProto, norm: int, value: float) -> None:
    for attribute in nodes(model, "LayerNormalization")[norm].attribute:
        if attribute.name == "epsilon":
            attribute.f = value


def scale(model: ModelProto, block: int, value: float) -> None:
    softmax = nodes(model, "Softmax")[block]
    (scaling,) = (node for node in model.graph.node if softmax.input[0] in node.output)
    scaling.input[1] = _constant(model, f"scale {block}", np.float32(value))


def tanh_gelu(model: ModelProto, block: int) -> None:
    """0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) for 0.5 x (1 + erf(x / sqrt(2))): Hendrycks and Gimpel 2016."""
    out = f"p2o.pd_op.gelu.{block}.0"
    listed = list(model.graph.node)
    end = next(i for i, node in enumerate(listed) if out in node.output)
    assert [node.op_type for node in listed[end - 4 : end + 1]] == ["Div", "Erf", "Add", "Mul", "Mul"]
    x = listed[end - 4].input[0]
    cubic, root, one, half = (
        _constant(model, f"gelu {name}", np.float32(value))
        for name, value in {"cubic": 0.044715, "root": np.sqrt(2 / np.pi), "one": 1, "half": 0.5}.items()
    )
    steps: list[tuple[str, ...]] = [
        ("Mul", x, x),
        ("Mul", "g0", x),
        ("Mul", "g1", cubic),
        ("Add", "g2", x),
        ("Mul", "g3", root),
    ]
    steps += [("Tanh", "g4"), ("Add", "g5", one), ("Mul", "g6", x), ("Mul", "g7", half)]
    names = [f"g{i}" for i in range(len(steps) - 1)] + [out]
    made = [helper.make_node(kind, list(ins), [name]) for (kind, *ins), name in zip(steps, names, strict=True)]
    _replace(model, listed[: end - 4] + made + listed[end + 1 :])


def swap(model: ModelProto, norm: int, order: Sequence[int], stream: bool = False) -> None:
    """A Gather of the rows before a LayerNorm; stream: the residual gets them too."""
    target = nodes(model, "LayerNormalization")[norm]
    listed = list(model.graph.node)
    at = next(i for i, node in enumerate(listed) if node.output[0] == target.output[0])
    source = target.input[0]
    for node in listed[at:] if stream else [target]:
        node.input[:] = ["swapped" if name == source else name for name in node.input]
    rows = _constant(model, "rows", np.array(order))
    _replace(model, [*listed[:at], helper.make_node("Gather", [source, rows], ["swapped"], axis=0), *listed[at:]])


def swap_before(model: ModelProto, kind: str, number: int, operand: int, order: Sequence[int]) -> None:
    """A Gather of the rows of one operand of one node."""
    target = nodes(model, kind)[number]
    listed = list(model.graph.node)
    at = next(i for i, node in enumerate(listed) if node.output[0] == target.output[0])
    gather = helper.make_node("Gather", [target.input[operand], _constant(model, "rows", np.array(order))], ["swapped"])
    target.input[operand] = "swapped"
    _replace(model, [*listed[:at], gather, *listed[at:]])


def swap_output(model: ModelProto, order: Sequence[int]) -> None:
    """A Gather of the rows of the logits."""
    last = model.graph.node[-1]
    last.output[0] = "unswapped"
    rows = _constant(model, "rows", np.array(order))
    _replace(model, [*model.graph.node, helper.make_node("Gather", ["unswapped", rows], [model.graph.output[0].name])])


def half_norm(model: ModelProto, norm: int, factor: float) -> None:
    """A LayerNorm between casts to FP16 and back, its input times a factor, which it takes out again."""
    target = nodes(model, "LayerNormalization")[norm]
    listed = list(model.graph.node)
    at = next(i for i, node in enumerate(listed) if node.output[0] == target.output[0])
    x, *affine = target.input
    before = [helper.make_node("Mul", [x, _constant(model, "factor", np.float32(factor))], ["large"])]
    for source, name in (("large", "half x"), (affine[0], "half w"), (affine[1], "half b")):
        before.append(helper.make_node("Cast", [source], [name], to=TensorProto.FLOAT16))
    inner = copy.deepcopy(target)
    inner.input[:], inner.output[:] = ["half x", "half w", "half b"], ["half y"]
    after = helper.make_node("Cast", ["half y"], [target.output[0]], to=TensorProto.FLOAT)
    _replace(model, [*listed[:at], *before, inner, after, *listed[at + 1 :]])


def rename(model: ModelProto) -> None:
    """Every tensor under another name, weights too."""
    names = {name: name for name in (model.graph.input[0].name, model.graph.output[0].name, "")}
    for node in model.graph.node:
        node.input[:] = [names.setdefault(name, f"t{len(names)}") for name in node.input]
        node.output[:] = [names.setdefault(name, f"t{len(names)}") for name in node.output]
    for tensor in model.graph.initializer:
        tensor.name = names[tensor.name]
    del model.graph.value_info[:]


def _constant(model: ModelProto, name: str, value: np.ndarray | np.float32) -> str:
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def _replace(model: ModelProto, listed: list[NodeProto]) -> None:
    kept = [copy.deepcopy(node) for node in listed]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    onnx.checker.check_model(model)
