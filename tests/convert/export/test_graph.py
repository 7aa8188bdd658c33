"""A graph that is not the model's is refused by name: the toy's own graph, changed in one place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import cast

import onnx
import pytest
from onnx import helper, numpy_helper

from convert.artifact import Artifact
from convert.common.errors import GraphError
from convert.export import graph
from convert.families.vit import VisionTransformerSpec


@pytest.fixture
def spec(toy_artifact: Artifact) -> VisionTransformerSpec:
    assert isinstance(toy_artifact.spec, VisionTransformerSpec)
    return toy_artifact.spec


@pytest.fixture
def model(toy_artifact: Artifact, spec: VisionTransformerSpec) -> onnx.ModelProto:
    """The toy's graph with its weights declared, as `check_spec` sees it."""
    loaded = onnx.load(toy_artifact.onnx)
    shapes = spec.state_shapes()
    kept = [tensor for tensor in loaded.graph.initializer if tensor.name not in shapes]
    del loaded.graph.initializer[:]
    loaded.graph.initializer.extend(kept)
    loaded.graph.input.extend(helper.make_tensor_value_info(name, 1, shape) for name, shape in shapes.items())
    return loaded


def first(model: onnx.ModelProto, operator: str) -> onnx.NodeProto:
    return cast(onnx.NodeProto, next(node for node in model.graph.node if node.op_type == operator))


def epsilon(model: onnx.ModelProto) -> None:
    next(a for a in first(model, "LayerNormalization").attribute if a.name == "epsilon").f = 1e-5


def scale(model: onnx.ModelProto) -> None:
    softmax = first(model, "Softmax")
    name = next(node for node in model.graph.node if softmax.input[0] in node.output).input[1]
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 2, name))


def tanh(model: onnx.ModelProto) -> None:
    first(model, "Erf").op_type = "Tanh"


def domain(model: onnx.ModelProto) -> None:
    first(model, "Add").domain = "com.microsoft"


def softmax(model: onnx.ModelProto) -> None:
    first(model, "Softmax").op_type = "Relu"


def weight(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("head.extra", 1, (1,)))


def classes(model: onnx.ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 8


def batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def name(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = "image"


def test_the_graph_as_it_is_holds(model: onnx.ModelProto, spec: VisionTransformerSpec) -> None:
    graph.check_spec(model, spec)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (epsilon, "epsilon 1e-05 instead of 1e-06"),
        (scale, "is scaled by 0.707.* instead of 0.35355339"),
        (tanh, r"1 Erf \(exact GELU\) instead of 2"),
        (domain, "Add of the non-standard domain com.microsoft"),
        (softmax, "1 Softmax instead of 2"),
        (weight, "weights unused or missing: head.extra"),
        (classes, "logits is"),
        (batch, "x is"),
        (name, "image is"),
    ],
)
def test_what_differs_is_named(
    model: onnx.ModelProto, spec: VisionTransformerSpec, change: Callable[[onnx.ModelProto], None], message: str
) -> None:
    change(model)
    with pytest.raises(GraphError, match=message):
        graph.check_spec(model, spec)


def axis(model: onnx.ModelProto) -> None:
    next(a for a in first(model, "LayerNormalization").attribute if a.name == "axis").i = 2


def split(model: onnx.ModelProto) -> None:
    first(model, "Split").op_type = "Slice"


def all_tokens(model: onnx.ModelProto) -> None:
    """The last block's queries are not cut any more."""
    cut = [node for node in model.graph.node if node.op_type == "Slice"][-2]
    for node in model.graph.node:
        node.input[:] = [cut.input[0] if name == cut.output[0] else name for name in node.input]


def one_token(model: onnx.ModelProto) -> None:
    """The first block's queries are cut too."""
    cut = [node for node in model.graph.node if node.op_type == "Slice"][-2]
    product = next(node for node in model.graph.node if node.output[0] == "p2o.pd_op.matmul.1.0")
    early = helper.make_node("Slice", [product.input[0], *cut.input[1:]], ["early"])
    product.input[0] = "early"
    at = list(model.graph.node).index(product)
    model.graph.node.insert(at, early)


def test_the_form_as_it_is_holds(model: onnx.ModelProto, spec: VisionTransformerSpec) -> None:
    graph.check_form(model, spec)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (axis, "is over axis 2 instead of -1"),
        (split, "1 Split instead of 2"),
        (tanh, "1 Erf instead of 2"),
        (all_tokens, r"attention of block 1 is \(1, 2, 17, 17\) instead of \(1, 2, 1, 17\)"),
        (one_token, "shapes do not fit together: .*Reshape"),
    ],
)
def test_another_form_is_named(
    model: onnx.ModelProto, spec: VisionTransformerSpec, change: Callable[[onnx.ModelProto], None], message: str
) -> None:
    change(model)
    with pytest.raises(GraphError, match=message):
        graph.check_form(model, spec)


def test_another_depth_is_named(model: onnx.ModelProto, spec: VisionTransformerSpec) -> None:
    deeper = dataclasses.replace(spec, depth=3)
    with pytest.raises(GraphError, match="5 LayerNormalization instead of 7"):
        graph.check_spec(model, deeper)


def test_what_reads_the_graph_is_not_a_fold_away(model: onnx.ModelProto) -> None:
    operators = {node.op_type for node in model.graph.node}
    assert not operators & {"Identity", "Constant", "Cast"}
