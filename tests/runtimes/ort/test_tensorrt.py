"""The types that an ONNX file declares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.artifact import Artifact
from runtimes.base import lowest_precision
from runtimes.ort.tensorrt import declared_types


def _save(path: Path, kind: int, quantized: bool = False) -> Path:
    """A product with weights of a type, between casts from and to float; quantized: of a quantized weight."""
    weights = numpy_helper.from_array(np.zeros((64, 64), np.float32 if quantized else np.float16), "weights")
    nodes = [
        helper.make_node("Cast", ["x"], ["half"], to=kind),
        helper.make_node("Shape", ["half"], ["dims"]),
        helper.make_node("Cast", ["weights"], ["typed"], to=kind),
        helper.make_node("MatMul", ["half", "typed"], ["product"]),
        helper.make_node("Cast", ["product"], ["y"], to=TensorProto.FLOAT),
    ]
    initializers = [weights]
    if quantized:
        nodes[0] = helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"])
        nodes[1:1] = [helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["half"])]
        initializers += [
            numpy_helper.from_array(np.array(1, np.float32), "scale"),
            numpy_helper.from_array(np.array(0, np.int8), "zero"),
        ]
    graph = helper.make_graph(
        nodes,
        "typed",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 64])],
        initializers,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("kind", "name", "precision"),
    [(TensorProto.FLOAT16, "float16", "fp16"), (TensorProto.BFLOAT16, "bfloat16", "bf16")],
)
def test_a_typed_file(tmp_path: Path, kind: int, name: str, precision: str) -> None:
    types = declared_types(_save(tmp_path / "typed.onnx", kind))
    assert types == {name: 3, "int64": 1, "float": 1}
    assert lowest_precision(types) == precision


def test_a_quantized_file(tmp_path: Path) -> None:
    types = declared_types(_save(tmp_path / "quantized.onnx", TensorProto.FLOAT, quantized=True))
    assert types["int8"] == 1
    assert lowest_precision(types) == "int8"


def test_the_artifact_is_fp32(toy_artifact: Artifact) -> None:
    types = declared_types(toy_artifact.onnx)
    assert lowest_precision(types) == "fp32"
    assert "undefined" not in types


def test_weights_beside_the_file_are_not_read(tmp_path: Path) -> None:
    path = _save(tmp_path / "typed.onnx", TensorProto.FLOAT16)
    onnx.save(onnx.load(path), tmp_path / "apart.onnx", save_as_external_data=True, size_threshold=0)
    for file in tmp_path.iterdir():
        if file.suffix != ".onnx":
            file.unlink()
    assert declared_types(tmp_path / "apart.onnx") == declared_types(path)


def test_an_operator_that_onnx_does_not_know(tmp_path: Path) -> None:
    model = onnx.load(_save(tmp_path / "typed.onnx", TensorProto.FLOAT16))
    model.graph.node[3].domain = "elsewhere"
    model.opset_import.append(helper.make_opsetid("elsewhere", 1))
    onnx.save(model, tmp_path / "other.onnx")
    assert declared_types(tmp_path / "other.onnx")["undefined"] == 1
