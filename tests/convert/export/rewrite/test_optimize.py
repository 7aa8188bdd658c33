"""Rules that are tried only where they can apply give what onnxscript's optimizer gives."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import onnxscript.optimizer
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxscript.rewriter.pattern import RewriteRule

from convert.export.rewrite import optimize


def sliced(name: str, value: str, begin: int, end: int) -> onnx.NodeProto:
    return helper.make_node("Slice", [value, f"at{begin}", f"at{end}", "last"], [name])


def graph(parts: int) -> onnx.ModelProto:
    """Chains of blocks: halves of one value, transposes that undo each other, constants to fold, shapes."""
    nodes = [
        helper.make_node("Constant", [], [f"at{i}"], value=numpy_helper.from_array(np.array([i]))) for i in (0, 4, 8)
    ]
    nodes.append(helper.make_node("Constant", [], ["last"], value=numpy_helper.from_array(np.array([-1]))))
    value = "x"
    for i in range(parts):
        nodes += [
            sliced(f"left{i}", value, 0, 4),
            sliced(f"right{i}", value, 4, 8),
            helper.make_node("Concat", [f"right{i}", f"left{i}"], [f"joined{i}"], axis=-1),
            helper.make_node("Transpose", [f"joined{i}"], [f"turned{i}"], perm=[1, 0]),
            helper.make_node("Transpose", [f"turned{i}"], [f"back{i}"], perm=[1, 0]),
            helper.make_node("Shape", [f"back{i}"], [f"shape{i}"]),
            helper.make_node("Reshape", [f"back{i}", f"shape{i}"], [f"shaped{i}"]),
            helper.make_node("Cast", [f"shaped{i}"], [f"cast{i}"], to=TensorProto.FLOAT),
            helper.make_node("Relu", [f"cast{i}"], [f"end{i}"]),
        ]
        value = f"end{i}"
    nodes.append(sliced("y", value, 0, 4))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])
    made = helper.make_graph(nodes, "g", [x], [y])
    return onnx.shape_inference.infer_shapes(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)]))


def test_what_comes_out_is_the_same() -> None:
    model = graph(3)
    found, expected = optimize.optimized(model), onnxscript.optimizer.optimize(model)
    assert found.SerializeToString(deterministic=True) == expected.SerializeToString(deterministic=True)
    operators = [node.op_type for node in found.graph.node]
    assert not {"Transpose", "Cast", "Constant"} & set(operators)


def test_a_rule_is_not_tried_where_its_pattern_cannot_end(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def try_rewrite(self: RewriteRule, model: object, graph: object, node: ir.Node, **options: object) -> None:
        tried.append(node.op_type)

    monkeypatch.setattr(RewriteRule, "try_rewrite", try_rewrite)
    two = RewriteRule(lambda op, x: (op.Slice(x, _outputs=["a"]), op.Slice(x, _outputs=["b"])), lambda op, x: (x, x))
    optimize.apply([two], ir.from_proto(graph(1)))
    assert tried == ["Slice", "Slice"]  # the last one has no other of its value beside it
    tried.clear()
    one = RewriteRule(lambda op, x: op.Relu(op.Cast(x)), lambda op, x: x)
    optimize.apply([one], ir.from_proto(graph(2)))
    assert tried == ["Relu", "Relu"]
