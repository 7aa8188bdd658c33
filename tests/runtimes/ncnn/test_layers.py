"""Each operator through ncnn gives what ONNX's own reference gives, image by image; what cannot be is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtimes.ncnn import graph, layers, net, writer
from runtimes.ncnn.net import UnknownError

RANDOM = np.random.default_rng(0)
Node = tuple[str, list[str], list[str], dict[str, Any]]


def drawn(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape, dtype=np.float32)


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def model(
    shape: list[int], nodes: list[Node], opset: int = 17, name: str = "x", **constants: np.ndarray
) -> onnx.ModelProto:
    """A model of (batch, *shape); its outputs are those that no operator reads."""
    made = [helper.make_node(kind, inputs, outputs, **attributes) for kind, inputs, outputs, attributes in nodes]
    read = {name for node in made for name in node.input}
    ends = [name for node in made for name in node.output if name not in read]
    graph = helper.make_graph(
        made,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])],
        [helper.make_tensor_value_info(end, TensorProto.FLOAT, None) for end in ends],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def op(kind: str, inputs: str, outputs: str, **attributes: Any) -> Node:
    return kind, inputs.split(), outputs.split(), attributes


GELU = [
    op("Div", "x root", "a"),
    op("Erf", "a", "b"),
    op("Add", "b one", "c"),
    op("Mul", "x c", "d"),
    op("Mul", "d half", "y"),
]
ROOT, ONE, HALF = (np.array(value, np.float32) for value in (np.sqrt(2), 1, 0.5))
TOKEN = [
    op("Shape", "x", "s"),
    op("Slice", "s zero one zero", "n"),
    op("Concat", "n rest", "shape", axis=0),
    op("Expand", "token shape", "tokens"),
    op("Concat", "tokens x", "y", axis=1),
]
MODELS: dict[str, tuple[Callable[[], onnx.ModelProto], set[str]]] = {
    "a convolution with everything": (
        lambda: model(
            [3, 9, 12],
            [op("Conv", "x w b", "y", kernel_shape=[2, 3], strides=[2, 1], dilations=[1, 2], pads=[1, 0, 2, 3])],
            w=drawn(5, 3, 2, 3),
            b=drawn(5),
        ),
        {"Convolution"},
    ),
    "linear layers, with biases and without": (
        lambda: model(
            [6, 8],
            [op("MatMul", "x w", "a"), op("Add", "b a", "y"), op("MatMul", "y v", "z"), op("Add", "z whole", "e")],
            w=drawn(8, 5),
            b=drawn(5),
            v=drawn(5, 4),
            whole=drawn(1, 6, 4),
        ),
        {"Gemm", "MemoryData", "BinaryOp"},
    ),
    "a head": (lambda: model([8], [op("MatMul", "x w", "y")], w=drawn(8, 5)), {"InnerProduct"}),
    "attention": (
        lambda: model(
            [6, 6, 8],
            [
                op("Split", "x sizes", "q k v", axis=1),
                op("Transpose", "k", "t", perm=[0, 1, 3, 2]),
                op("MatMul", "q t", "p"),
                op("Softmax", "p", "s", axis=-1),
                op("MatMul", "s v", "o"),
                op("Transpose", "o", "u", perm=[0, 2, 1, 3]),
                op("Reshape", "u flat", "y"),
            ],
            sizes=whole(2, 2, 2),
            flat=whole(0, 6, -1),
        ),
        {"Slice", "MatMul", "Softmax", "Permute"},
    ),
    "every order of three and four dimensions": (
        lambda: model(
            [2, 3, 4],
            [
                op("Transpose", "x", "a", perm=[0, 2, 3, 1]),
                op("Transpose", "a", "b", perm=[0, 3, 1, 2]),
                op("Reshape", "b four", "c"),
                op("Transpose", "c", "d", perm=[0, 3, 1, 4, 2]),
                op("Transpose", "d", "e", perm=[0, 2, 4, 1, 3]),
                op("Softmax", "e", "y", axis=2),
            ],
            four=whole(-1, 2, 1, 3, 4),
        ),
        {"Permute"},
    ),
    "constants on the left, vectors and broadcasting": (
        lambda: model(
            [3, 4],
            [op("Sub", "one x", "a"), op("Div", "two a", "b"), op("Mul", "b row", "c"), op("Sub", "column c", "y")],
            one=np.array(1, np.float32),
            two=np.array([2], np.float32),
            row=drawn(4),
            column=drawn(1, 3, 1),
        ),
        {"BinaryOp"},
    ),
    "a norm, and parts of it": (
        lambda: model(
            [5, 8],
            [
                op("LayerNormalization", "x w b", "n", axis=-1, epsilon=1e-6),
                op("Slice", "n first last axis", "a"),
                op("Squeeze", "a axis", "y"),
                op("Slice", "n back end axis", "z"),
            ],
            w=drawn(8), b=drawn(8), first=whole(1), last=whole(2), axis=whole(1),
            back=whole(-2),
            end=whole(2**40),
        ),
        {"LayerNorm", "Crop"},
    ),
    "GELU": (lambda: model([3, 4], GELU, root=ROOT, one=ONE, half=HALF), {"GELU"}),
    "GELU of which a part is asked for": (
        lambda: model([3, 4], [*GELU, op("Mul", "b one", "z")], root=ROOT, one=ONE, half=HALF),
        {"Erf"},
    ),
    "what is like GELU": (
        lambda: model([3, 4], GELU, root=ROOT, one=ONE, half=np.array(0.51, np.float32)),
        {"Erf"},
    ),
    "a token for every image": (
        lambda: model(
            [3, 4], TOKEN, token=drawn(1, 1, 4), rest=whole(1, 4), zero=whole(0), one=whole(1)
        ),
        {"Concat", "MemoryData"},
    ),
    "one blob for many, itself twice": (
        lambda: model([3, 4], [op("Mul", "x x", "a"), op("Add", "a x", "y"), op("Tanh", "a", "z")]),
        {"Split", "TanH"},
    ),
}  # fmt: skip


def computed(path: Path, images: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    made = writer.write(graph.read(path), path.with_suffix(""))
    return net.run(net.load(path.with_suffix("")), made["input"], images, made["outputs"]), made["layers"]


@pytest.mark.parametrize("what", MODELS)
def test_an_operator_is_what_onnx_says(tmp_path: Path, what: str) -> None:
    pytest.importorskip("ncnn")
    from onnx.reference import ReferenceEvaluator

    make, kinds = MODELS[what]
    onnx.save(asked := make(), tmp_path / "model.onnx")
    images = drawn(3, *(one.dim_value for one in asked.graph.input[0].type.tensor_type.shape.dim[1:]))
    found, made = computed(tmp_path / "model.onnx", images)
    assert kinds <= made.keys()
    names = [output.name for output in asked.graph.output]
    for name, expected in zip(names, ReferenceEvaluator(asked).run(None, {"x": images}), strict=True):
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (lambda: model([4], [op("Gather", "x rows", "y", axis=1)], rows=whole(1)), "the operator Gather"),
        (lambda: model([4], [("Tanh", ["a b"], ["y"], {})], name="a b"), "cannot stand in a .param"),
        (lambda: model([4], [op("Softmax", "x", "y", axis=0)]), "Softmax along the images"),
        (lambda: model([4], [op("Concat", "x x", "y", axis=0)]), "first dimension is not that of the images"),
        (lambda: model([4], [op("Transpose", "x", "t", perm=[1, 0]), op("MatMul", "x t", "y")]), "not that of the im"),
        (lambda: model([4], [op("Add", "x rows", "y")], rows=drawn(2, 4)), r"Add \(y\), whose (shape|first)"),
        (lambda: model([2, 4], [op("Gather", "x rows", "a", axis=0), op("Add", "a x", "y")], rows=whole(0)), "Gather"),
        (
            lambda: model(
                [4],
                [
                    op("Shape", "x", "s"),
                    op("Cast", "s", "f", to=1),
                    op("Slice", "f zero one", "n"),
                    op("Mul", "x n", "y"),
                ],
                zero=whole(0),
                one=whole(1),
            ),
            "the constant n is not the same for every image",
        ),
        (lambda: model([4, 6, 6], [op("Conv", "x w", "y", group=2)], w=drawn(4, 2, 3, 3)), "Conv that is grouped"),
        (lambda: model([4], [op("Softmax", "x", "y")], opset=11), "opset 11"),
        (lambda: model([4], [op("Cast", "x", "y", to=TensorProto.FLOAT16)]), "Cast"),
    ],
)  # fmt: skip
def test_what_ncnn_cannot_be_given_is_named(tmp_path: Path, asked: Callable[[], onnx.ModelProto], reason: str) -> None:
    onnx.save(asked(), tmp_path / "model.onnx")
    with pytest.raises(UnknownError, match=reason):
        layers.layers(graph.read(tmp_path / "model.onnx"))


def test_weights_that_are_not_float32_are_refused(tmp_path: Path) -> None:
    doubles = model([4], [op("MatMul", "x w", "y")], w=drawn(4, 2).astype(np.float64))
    onnx.save(doubles, tmp_path / "model.onnx")
    with pytest.raises(UnknownError, match="MatMul"):
        writer.write(graph.read(tmp_path / "model.onnx"), tmp_path / "model")


def test_a_number_comes_back_from_a_param_to_the_last_bit() -> None:
    scales = np.float32(10) ** RANDOM.integers(-30, 30, 200)
    for value in (RANDOM.standard_normal(200) * scales).astype(np.float32):
        written = writer._param(2, float(value)).partition("=")[2]
        assert np.float32(written) == value
        assert len(written) <= 15, "ncnn cuts off what is longer"
