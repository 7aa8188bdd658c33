"""What a half precision may be given to, by the opset of the file."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.precision import half


def convolution(opset: int) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 4, 4])
    weight = numpy_helper.from_array(np.ones((4, 3, 2, 2), np.float32), "w")
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2])], "g", [x], [y], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


@pytest.mark.parametrize(
    ("precision", "opset", "lowered"), [("fp16", 17, ["y"]), ("bf16", 21, []), ("bf16", 22, ["y"])]
)
def test_onnx_has_convolutions_in_bf16_since_opset_22(precision: str, opset: int, lowered: list[str]) -> None:
    model = convolution(opset)
    assert half.lower(model, precision, ()) == lowered
    onnx.checker.check_model(model, full_check=True)
