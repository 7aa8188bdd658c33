"""The rewritten graph is the same model, in the form that is asked for; what does not fit stays as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import cast

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from convert.common.errors import GraphError
from convert.export import counts as flops
from convert.export import graph
from convert.export.rewrite import apply
from convert.families.base import Rewrite
from convert.families.vit import VisionTransformerSpec
from tests.convert.export.rewrite.conftest import Run

OPSETS = ["at_17", "at_20"]


def nodes(model: onnx.ModelProto, kind: str) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == kind]


def attribute(node: onnx.NodeProto, name: str) -> onnx.AttributeProto:
    return cast(onnx.AttributeProto, next(a for a in node.attribute if a.name == name))


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("batch", [1, 3])
def test_the_logits_stay(run: Run, opset: str, batch: int, request: pytest.FixtureRequest) -> None:
    plain = request.getfixturevalue(opset)
    images = np.random.default_rng(0).standard_normal((batch, 3, 32, 32), dtype=np.float32)
    rewritten, _ = apply.rewrite(plain)
    expected = run(plain, images)
    np.testing.assert_allclose(run(rewritten, images), expected, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("opset", OPSETS)
def test_every_rule_is_applied_and_the_form_holds(
    spec: VisionTransformerSpec, opset: str, request: pytest.FixtureRequest
) -> None:
    plain = request.getfixturevalue(opset)
    with pytest.raises(GraphError):
        graph.check_form(plain, spec)
    rewritten, counts = apply.rewrite(plain)
    apply.check_counts(counts, spec)
    graph.check_spec(rewritten, spec)
    graph.check_form(rewritten, spec)
    kinds = Counter(node.op_type for node in rewritten.graph.node)
    assert kinds["Erf"] == spec.depth
    assert len(rewritten.graph.node) < len(plain.graph.node)
    assert not kinds.keys() & {"Constant", "Identity", "Cast"}


def test_the_second_time_nothing_is_left_to_do(plain: onnx.ModelProto) -> None:
    once, _ = apply.rewrite(plain)
    twice, counts = apply.rewrite(once)
    assert set(counts.values()) == {0}
    assert [node.op_type for node in twice.graph.node] == [node.op_type for node in once.graph.node]


def test_tensors_that_remain_keep_their_names(plain: onnx.ModelProto) -> None:
    rewritten, _ = apply.rewrite(plain)
    before, after = ({name for node in model.graph.node for name in node.output} for model in (plain, rewritten))
    for block, split in enumerate(nodes(rewritten, "Split")):
        assert list(split.output) == [f"p2o.pd_op.unbind.{block}.0_{i}" for i in range(3)]
    gone = {name for name in before - after if name.startswith("p2o.")}
    # What q, k and v were packed in, and the class token's shape.
    assert gone == {
        f"p2o.pd_op.{name}.0" for name in ("reshape.2", "transpose.1", "reshape.4", "transpose.3", "slice.0")
    }
    assert [value.name for value in rewritten.graph.input] == [value.name for value in plain.graph.input]


def test_what_is_computed_and_what_the_model_has(plain: onnx.ModelProto, spec: VisionTransformerSpec) -> None:
    rewritten, _ = apply.rewrite(plain)
    shapes = spec.state_shapes()
    model, computed = flops.count_macs(plain, shapes), flops.count_macs(rewritten, shapes)
    assert model.published
    assert computed.published
    assert model.total
    assert computed.total
    dim, mlp, others = spec.embed_dim, spec.mlp_dim, spec.tokens - 1
    assert model.published - computed.published == others * (dim * dim + 2 * dim * mlp)
    assert model.total - computed.total == others * (dim * dim + 2 * dim * mlp) + 2 * others * spec.tokens * dim


def other_axis(model: onnx.ModelProto) -> None:
    attribute(nodes(model, "Softmax")[0], "axis").i = 3


def other_order(model: onnx.ModelProto) -> None:
    """q where k was, in the first block."""
    split = nodes(model, "Split")[0]
    split.output[:] = [split.output[1], split.output[0], split.output[2]]


def seen_outside(model: onnx.ModelProto) -> None:
    """The first block's packed heads are used once more."""
    packed = nodes(model, "Split")[0].input[0]
    model.graph.node.append(helper.make_node("ReduceSum", [packed], ["sum"], keepdims=0))
    logits = model.graph.node[-2]
    logits.output[0] = "less"
    model.graph.node.append(helper.make_node("Add", ["less", "sum"], ["logits"]))


@pytest.mark.parametrize("change", [other_axis, seen_outside])
def test_a_block_that_does_not_match_is_named_by_its_rule(
    plain: onnx.ModelProto, spec: VisionTransformerSpec, run: Run, change: Callable[[onnx.ModelProto], None]
) -> None:
    change(plain)
    rewritten, counts = apply.rewrite(plain)
    with pytest.raises(GraphError, match="q, k and v by one Split: expected 2 rewrites, made 1"):
        apply.check_counts(counts, spec)
    images = np.random.default_rng(1).standard_normal((2, 3, 32, 32), dtype=np.float32)
    expected = run(plain, images)
    np.testing.assert_allclose(run(rewritten, images), expected, atol=2e-6 * np.abs(expected).max())


def test_swapped_parts_stay_swapped(plain: onnx.ModelProto, run: Run) -> None:
    images = np.random.default_rng(1).standard_normal((2, 3, 32, 32), dtype=np.float32)
    straight = run(plain, images)
    other_order(plain)
    expected = run(plain, images)
    assert np.abs(expected - straight).max() > 1e-3 * np.abs(straight).max()
    found = run(apply.rewrite(plain)[0], images)
    np.testing.assert_allclose(found, expected, atol=2e-6 * np.abs(expected).max())


def another_token(model: onnx.ModelProto) -> None:
    """The head reads token 1."""
    last = nodes(model, "Slice")[-1]
    one = last.input[3]  # the axis, which is 1 too
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([2]), "two"))
    last.input[1], last.input[2] = one, "two"


def mean_of_tokens(model: onnx.ModelProto) -> None:
    """The head reads the mean of all tokens."""
    (last,) = (node for node in nodes(model, "Squeeze") if node.input[0] == nodes(model, "Slice")[-1].output[0])
    norm = nodes(model, "LayerNormalization")[-1].output[0]
    last.CopyFrom(helper.make_node("ReduceMean", [norm], list(last.output), axes=[1], keepdims=0))


def bias_by_token(model: onnx.ModelProto) -> None:
    """Each token of the last block has a bias of its own."""
    layer = next(node for node in model.graph.node if "blocks.1.mlp.fc2.bias" in node.input)
    biases = np.arange(17 * 16, dtype=np.float32).reshape(17, 16)
    model.graph.initializer.append(onnx.numpy_helper.from_array(biases, "biases"))
    layer.input[1] = "biases"


def norm_by_token(model: onnx.ModelProto) -> None:
    """The last norm is one over tokens and channels."""
    norm = nodes(model, "LayerNormalization")[-1]
    for name, value in (("w", 1.0), ("b", 0.5)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.full((17, 16), value, np.float32), name))
    norm.input[1:] = ["w", "b"]
    attribute(norm, "axis").i = 1


@pytest.mark.parametrize("change", [another_token, mean_of_tokens, bias_by_token, norm_by_token])
def test_a_last_block_whose_tokens_are_not_alike_or_are_needed_stays(
    plain: onnx.ModelProto, run: Run, change: Callable[[onnx.ModelProto], None]
) -> None:
    change(plain)
    rewritten, counts = apply.rewrite(plain)
    assert counts[Rewrite.LAST_BLOCK] == 0
    assert counts[Rewrite.HEADS] == 2
    images = np.random.default_rng(1).standard_normal((2, 3, 32, 32), dtype=np.float32)
    expected = run(plain, images)
    np.testing.assert_allclose(run(rewritten, images), expected, atol=2e-6 * np.abs(expected).max())


def test_a_norm_over_two_axes_stays() -> None:
    dims: list[str | int | None] = ["batch", 4, 5]
    for axis, rank in ((1, 3), (2, 3), (1, 2)):
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, dims[:rank])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, dims[:rank])
        weights = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (4, 5)[axis - 1 : rank - 1]) for name in "wb"]
        norm = helper.make_node("LayerNormalization", ["x", "w", "b"], ["y"], axis=axis)
        model = helper.make_model(
            helper.make_graph([norm], "g", [x, *weights], [y]),
            opset_imports=[helper.make_opsetid("", 17)],
            ir_version=8,
        )
        rewritten, counts = apply.rewrite(model)
        last = axis == rank - 1
        assert counts[Rewrite.LAST_AXIS] == int(last)
        assert attribute(rewritten.graph.node[0], "axis").i == (-1 if last else axis)


def test_a_graph_without_such_patterns_is_left_alone() -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])
    model = helper.make_model(
        helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    rewritten, counts = apply.rewrite(model)
    assert set(counts.values()) == {0}
    assert rewritten.graph.node == model.graph.node
