"""ONNX's own reference in float64: the same numbers as Paddle's program in float64 gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.artifact import Artifact
from convert.images import inputs
from validate.parity import onnx_reference, reference


def test_it_is_as_exact_as_paddles(toy_artifact: Artifact, tmp_path: Path) -> None:
    images = inputs.seeded(toy_artifact.preprocessing, 2)
    truth = reference.obtain(toy_artifact, images)
    onnx_reference.write(toy_artifact.onnx, images.images, 1, tmp_path)
    found = np.fromfile(tmp_path / "float64", np.float64).reshape(truth.logits.shape)
    plain = np.fromfile(tmp_path / "float32", np.float32).reshape(truth.logits.shape)
    # The file has sqrt(2) of GELU in float32, and the Paddle program in float64: 1e-9. FP32 anywhere would give 1e-7.
    assert np.abs(found - truth.logits).max() < 1e-8 * truth.largest
    assert 1e-9 < np.abs(plain - found).max() / truth.largest < 1e-5


def test_constants_stay_the_float32_numbers_that_they_are(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Constant", [], ["tenth"], value_float=0.1),
        helper.make_node("Constant", [], ["third"], value=numpy_helper.from_array(np.array([1 / 3], np.float32))),
        helper.make_node("GlobalAveragePool", ["x"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Cast", ["flat"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["cast", "tenth"], ["product"]),
        helper.make_node("Add", ["product", "third"], ["y"]),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", [2, 3, 2, 2]), ("y", [2, 3]))
    ]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(tmp_path / "model.onnx"))
    onnx_reference.write(tmp_path / "model.onnx", np.ones((1, 3, 2, 2), np.float32), 2, tmp_path)
    wanted = float(np.float32(0.1)) + float(np.float32(1 / 3))
    assert np.fromfile(tmp_path / "float64", np.float64) == pytest.approx([wanted] * 3, abs=1e-15)
