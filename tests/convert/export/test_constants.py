"""What no image changes is evaluated once, and shapes that cannot be inferred are seen in a run."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.common.errors import GraphError
from convert.export import constants, counts

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def model(nodes: list[onnx.NodeProto], weight: tuple[int, ...] = (3, 2)) -> onnx.ModelProto:
    x, w = helper.make_tensor_value_info("x", FLOAT, ["n", 3]), helper.make_tensor_value_info("w", FLOAT, weight)
    y = helper.make_tensor_value_info("y", FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x, w], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def constant(name: str, values: object, dtype: type = np.int64) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array(values, dtype), name))


def branch() -> list[onnx.NodeProto]:
    """`chosen` = [1, 2, 3] * 2, by an If and by a sequence, as Paddle2ONNX writes `set_value`."""
    value = helper.make_tensor_value_info("taken", FLOAT, None)
    yes = helper.make_graph([helper.make_node("Mul", ["base", "two"], ["taken"])], "yes", [], [value])
    no = helper.make_graph([helper.make_node("Neg", ["base"], ["taken"])], "no", [], [value])
    return [
        constant("base", [1, 2, 3], np.float32),
        constant("two", 2, np.float32),
        constant("condition", True, np.bool_),
        helper.make_node("If", ["condition"], ["one"], then_branch=yes, else_branch=no),
        helper.make_node("SequenceConstruct", ["one"], ["sequence"]),
        helper.make_node("ConcatFromSequence", ["sequence"], ["chosen"], axis=0),
    ]


def test_branches_and_sequences_that_no_image_changes_are_gone() -> None:
    nodes = [*branch(), helper.make_node("Add", ["x", "chosen"], ["a"]), helper.make_node("MatMul", ["a", "w"], ["y"])]
    found = constants.evaluated(model(nodes))
    assert [node.op_type for node in found.graph.node] == ["Add", "MatMul"]
    (tensor,) = found.graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), np.array([2, 4, 6], np.float32))


def test_what_depends_on_a_weight_stays() -> None:
    nodes = [helper.make_node("Neg", ["w"], ["v"]), helper.make_node("MatMul", ["x", "v"], ["y"])]
    assert [node.op_type for node in constants.evaluated(model(nodes)).graph.node] == ["Neg", "MatMul"]


def test_copies_are_gone() -> None:
    nodes = [helper.make_node("Identity", ["w"], ["v"]), helper.make_node("MatMul", ["x", "v"], ["y"])]
    assert [node.op_type for node in constants.evaluated(model(nodes)).graph.node] == ["MatMul"]


def test_constants_are_taken_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("nothing is to be computed")

    monkeypatch.setattr(constants, "_run", refuse)
    nodes = [constant("c", [[1, 2, 3]], np.float32), helper.make_node("Add", ["x", "c"], ["y"])]
    (tensor,) = constants.evaluated(model(nodes)).graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), np.array([[1, 2, 3]], np.float32))


def test_only_what_is_needed_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run(part: onnx.ModelProto, feeds: object, outputs: list[str]) -> list[np.ndarray]:
        ran.extend(node.op_type for node in part.graph.node)
        return [np.array([2], np.float32) for _ in outputs]

    monkeypatch.setattr(constants, "_run", run)
    nodes = [
        constant("c", [-2], np.float32),
        helper.make_node("Abs", ["c"], ["b"]),
        helper.make_node("Neg", ["c"], ["unread"]),
        helper.make_node("Add", ["x", "b"], ["y"]),
    ]
    constants.evaluated(model(nodes))
    assert ran == ["Constant", "Abs"]


def test_a_shape_that_only_a_run_shows() -> None:
    """The rows of `where` depend on a value: NonZero of four ones in two rows."""
    nodes = [
        constant("ones", [[1, 1], [1, 1]]),
        helper.make_node("NonZero", ["ones"], ["where"]),
        helper.make_node("Cast", ["where"], ["rows"], to=FLOAT),
        helper.make_node("MatMul", ["rows", "w"], ["y"]),
    ]
    found = model(nodes, weight=(4, 5))
    assert constants.shapes(found, ["y"]) == {"y": (2, 5)}
    assert counts.count_macs(found, {"w": (4, 5)}).total == 2 * 4 * 5


def test_what_cannot_run_says_so() -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    with pytest.raises(GraphError, match="does not run it"):
        constants.shapes(model(nodes, weight=(4, 5)), ["y"])
