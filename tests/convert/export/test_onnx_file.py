from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf.internal.encoder import _VarintBytes  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from convert.export import onnx_file as onnxfile
from convert.export import protobuf

WEIGHTS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([0.5, -1, 2], dtype=np.float32),
    "scalar": np.array(2, dtype=np.float32),
}
SHAPES = {name: array.shape for name, array in WEIGHTS.items()}


def skeleton() -> onnx.ModelProto:
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["xa"]),
        helper.make_node("Add", ["xa", "b"], ["xab"]),
        helper.make_node("Mul", ["xab", "scalar"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in (("x", 2), ("y", 3)))
    return helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=[helper.make_opsetid("", 17)])


@pytest.mark.parametrize("limit", [onnxfile.INLINE_LIMIT, 100])
def test_the_file_holds_the_graph_with_its_weights(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "model.onnx"
    written = onnxfile.write(path, skeleton(), SHAPES, WEIGHTS.__getitem__, limit)
    assert [file.name for file in written] == ["model.onnx"] + ["model.onnx.data"] * (limit == 100)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert {t.name: numpy_helper.to_array(t).tolist() for t in model.graph.initializer} == {
        name: array.tolist() for name, array in WEIGHTS.items()
    }
    expected = skeleton()
    expected.graph.initializer.extend(model.graph.initializer)
    assert model == expected
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = np.array([[1, 2]], dtype=np.float32)
    np.testing.assert_array_equal(session.run(None, {"x": x})[0], (x @ WEIGHTS["a"] + WEIGHTS["b"]) * 2)


def test_a_weight_of_another_shape_or_type_is_refused(tmp_path: Path) -> None:
    for wrong in (np.zeros((3, 2), np.float32), np.zeros((2, 3))):
        with pytest.raises(ValueError, match="a is"):
            onnxfile.write(tmp_path / "m.onnx", skeleton(), SHAPES, (WEIGHTS | {"a": wrong}).__getitem__)


@given(st.integers(0, 2**63))
def test_varints_are_protobufs(value: int) -> None:
    assert protobuf.varint(value) == _VarintBytes(value)


def test_no_varint_below_zero() -> None:
    with pytest.raises(ValueError, match="-1"):
        protobuf.varint(-1)
