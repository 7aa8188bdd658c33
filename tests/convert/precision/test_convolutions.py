"""What follows a convolution goes into it, and int8 on both sides of it is computed in int8."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.precision import convolutions

NORM = ["scale", "shift", "mean", "variance"]


def _model(*behind: onnx.NodeProto) -> onnx.ModelProto:
    """x -> Conv -> `behind`; the tensors are named c, d, ... y."""
    rng = np.random.default_rng(0)
    stored = {name: rng.uniform(0.5, 2, 4) for name in NORM}
    stored |= {"w": rng.normal(size=(4, 3, 3, 3)), "bias": rng.normal(size=4), "plane": rng.normal(size=(1, 4, 1, 1))}
    stored |= {"row": rng.normal(size=(1, 1, 1, 6))}
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"]), *behind],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4, 6, 6])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in stored.items()]
        + [numpy_helper.from_array(np.array([1, 4, 1, 1]), "sizes")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _run(model: onnx.ModelProto) -> np.ndarray:
    x = np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype(np.float32)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


node = helper.make_node
FOLDED = {
    "norm": [node("BatchNormalization", ["c", *NORM], ["y"], epsilon=0.1)],
    "bias, norm": [node("Add", ["plane", "c"], ["d"]), node("BatchNormalization", ["d", *NORM], ["y"])],
    "bias that is reshaped": [node("Reshape", ["bias", "sizes"], ["b"]), node("Add", ["c", "b"], ["y"])],
}
LEFT = {
    "a summand of each column": [node("Add", ["c", "row"], ["y"])],
    "read twice": [node("BatchNormalization", ["c", *NORM], ["d"]), node("Add", ["c", "d"], ["y"])],
    "a sum with itself": [node("Add", ["c", "c"], ["y"])],
}


@pytest.mark.parametrize("behind", FOLDED.values(), ids=FOLDED)
def test_what_follows_a_convolution_goes_into_it(behind: list[onnx.NodeProto]) -> None:
    model = _model(*behind)
    before = _run(model)
    convolutions.fold(model)
    assert [one.op_type for one in model.graph.node] == ["Conv"]
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(_run(model), before, rtol=1e-5, atol=1e-5)
    assert {one.name for one in model.graph.initializer} == set(model.graph.node[0].input[1:])


@pytest.mark.parametrize("behind", LEFT.values(), ids=LEFT)
def test_what_is_no_part_of_it_stays(behind: list[onnx.NodeProto]) -> None:
    model = _model(*behind)
    kinds, before = [one.op_type for one in model.graph.node], _run(model)
    convolutions.fold(model)
    assert [one.op_type for one in model.graph.node] == kinds
    np.testing.assert_array_equal(_run(model), before)


def _flattened(*, end: int = 2, of: str = "c") -> onnx.ModelProto:
    """x -> Conv -> a Reshape to (sizes of `of` up to `end`, -1), as Paddle's flatten is."""
    model = _model(
        node("Shape", [of], ["s"]),
        node("Slice", ["s", "zero", "end", "zero"], ["first"]),
        node("Concat", ["first", "rest"], ["to"], axis=0),
        node("Reshape", ["c", "to"], ["y"]),
    )
    more = {"zero": [0], "end": [end], "rest": [-1]}
    model.graph.initializer.extend(numpy_helper.from_array(np.array(one), name) for name, one in more.items())
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    for size in (2, 4, 36)[: end + 1] if end == 2 else (2, 144):
        model.graph.output[0].type.tensor_type.shape.dim.add().dim_value = size
    return model


@pytest.mark.parametrize("end", [1, 2])
def test_a_reshape_copies_the_sizes_that_it_had_computed(end: int) -> None:
    model = _flattened(end=end)
    before = _run(model)
    convolutions.settle_sizes(model)
    assert [one.op_type for one in model.graph.node] == ["Conv", "Reshape"]
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_array_equal(_run(model), before)


def test_sizes_of_another_tensor_stay() -> None:
    model = _flattened(end=1, of="x")
    convolutions.settle_sizes(model)
    assert [one.op_type for one in model.graph.node] == ["Conv", "Shape", "Slice", "Concat", "Reshape"]


def test_a_weight_of_two_convolutions_stays() -> None:
    model = _model(
        node("Conv", ["x", "w"], ["d"]), node("BatchNormalization", ["d", *NORM], ["e"]), node("Add", ["c", "e"], ["y"])
    )
    before = _run(model)
    convolutions.fold(model)
    np.testing.assert_array_equal(_run(model), before)
