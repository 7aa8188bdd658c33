"""The Paddle side and the ONNX side, each by itself, and which tensor is which value."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common.errors import InputError
from convert.images import inputs
from tests.convert.test_build import DATA
from tests.validate.bisect import planted
from validate.bisect import alignment, locations, onnx_graph, paddle_activations, paddle_program
from validate.bisect.alignment import Alignment
from validate.bisect.paddle_activations import PaddleActivations


def test_every_operator_has_its_place(sides: Alignment) -> None:
    found = locations.locate(sides.program)
    named = {sides.name(tensor) + " " + found[operator.index].layer for tensor, operator in sides.own.items()}
    assert {
        "Conv patch_embed.proj",
        "Add pos_embed",
        "LayerNormalization blocks.0.norm1",
        "MatMul blocks.1.attn.qkv",
        "Add blocks.1.attn.qkv",
        "Softmax blocks.1.attn",
        "Mul blocks.1.attn",
        "MatMul blocks.1.attn.proj",
        "Add blocks.1",
        "LayerNormalization blocks.1.norm2",
        "GELU blocks.1.mlp",
        "MatMul blocks.1.mlp.fc2",
        "LayerNormalization norm",
        "MatMul head",
    } <= named


def test_renamed_tensors_are_found_by_structure(sides: Alignment, toy_artifact: Artifact, tmp_path: Path) -> None:
    model = onnx.load(toy_artifact.onnx)
    planted.rename(model)
    onnx.save(model, tmp_path / "renamed.onnx")
    (tmp_path / "renamed").mkdir()
    renamed = alignment.align(onnx_graph.read(tmp_path / "renamed.onnx", tmp_path / "renamed"), sides.program)

    def by_place(sides: Alignment) -> dict[int, int]:
        return {node.index: sides.values[name] for node in sides.graph.nodes for name in node.outputs
                if name in sides.values}  # fmt: skip

    theirs = by_place(renamed)
    assert len(theirs) >= len(by_place(sides)) - 2 * 3  # unbind is Split and Squeezes, known by name only
    assert theirs.items() <= by_place(sides).items()


def test_an_inference_model_of_somebody_else(tmp_path: Path) -> None:
    """Its weights are called linear_0.w_0: blocks are counted."""
    artifact, _ = obtain(Request(str(DATA / "pdmodel"), root=tmp_path), print)
    (tmp_path / "graph").mkdir()
    sides = alignment.align(
        onnx_graph.read(artifact.onnx, tmp_path / "graph"), paddle_program.read(artifact.paddle_program)
    )
    found = locations.locate(sides.program)
    layers = [found[one.index].layer for one in sides.program.operators if one.kind == "matmul"]
    assert layers == [
        "blocks.0.attn (linear_0)",
        "blocks.0.attn",
        "blocks.0.attn",
        "blocks.0.attn (linear_1)",
        "blocks.0.mlp (linear_2)",
        "blocks.0.mlp (linear_3)",
        "linear_4",
    ]


@pytest.mark.usefixtures("at_once")
def test_paddle_gives_its_own_logits_and_follows_what_is_given(toy_artifact: Artifact, tmp_path: Path) -> None:
    images = inputs.seeded(toy_artifact.preprocessing, 3)
    np.save(tmp_path / "images.npy", images.images)
    parsed = paddle_program.read(toy_artifact.paddle_program)
    paddle = PaddleActivations(toy_artifact, tmp_path, threads=1)
    start = next(one for one in parsed.operators if one.kind == "layer_norm")
    stream, normed = start.inputs[0], start.outputs[0]
    given = {parsed.input: tmp_path / "images.npy"}
    truth, own = paddle.compute(given, [stream, normed, parsed.output])
    assert {array.dtype for array in truth.values()} == {np.dtype("f8")}
    assert 0 < np.abs(truth[parsed.output] - own[parsed.output]).max() < 1e-5
    x = np.asarray(truth[stream])
    np.save(tmp_path / "other.npy", 3 * x + 1)
    again, _ = paddle.compute(given | {stream: tmp_path / "other.npy"}, [stream, normed])
    np.testing.assert_allclose(again[stream], x, atol=1e-12)  # from the images, although it is given
    np.testing.assert_allclose(again[normed], truth[normed], atol=1e-4)  # LayerNorm takes scale and shift out


def test_weights_beside_the_model_are_not_copied_into_the_graph(toy_artifact: Artifact, tmp_path: Path) -> None:
    onnx.save_model(
        onnx.load(toy_artifact.onnx), tmp_path / "m.onnx", save_as_external_data=True, location="w", size_threshold=0
    )
    found = []
    for name, file in (("inline", toy_artifact.onnx), ("beside", tmp_path / "m.onnx")):
        (tmp_path / name).mkdir()
        found.append(onnx_graph.read(file, tmp_path / name))
    for side in found:
        assert (side.folder / "model.onnx").stat().st_size < toy_artifact.onnx.stat().st_size / 2
    for name in ("blocks.1.mlp.fc1.weight", "head.bias"):
        inline, beside = (side.array(name) for side in found)
        np.testing.assert_array_equal(inline, beside)


@pytest.mark.parametrize("text", ["", "no json", "{}", '{"program": {"regions": []}}', "[1]"])
def test_a_damaged_program_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "inference.json").write_text(text)
    with pytest.raises(InputError, match="convert the model again"):
        paddle_program.read(tmp_path / "inference.json")


def test_the_cut_program_has_what_is_needed_and_no_more(toy_artifact: Artifact) -> None:
    document = json.loads(toy_artifact.paddle_program.read_text())
    parsed = paddle_program.parse(document)
    norm = next(one for one in parsed.operators if one.kind == "layer_norm")
    entries = paddle_program.block(paddle_activations.cut(document, [norm.inputs[0]], [norm.outputs[0]]))
    kinds = [paddle_program.kind_of(entry) for entry in entries if entry["#"] != "p"]
    assert kinds == ["data", "layer_norm", "fetch"]


def test_nodes_in_any_order_are_understood(sides: Alignment, toy_artifact: Artifact, tmp_path: Path) -> None:
    """ONNX Runtime's converter to FP16 appends its casts at the end."""
    model = onnx.load(toy_artifact.onnx)
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(model.graph.node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    (tmp_path / "reversed.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "reversed").mkdir()
    again = alignment.align(onnx_graph.read(tmp_path / "reversed.onnx", tmp_path / "reversed"), sides.program)
    assert again.values == sides.values
    assert again.own == sides.own


def test_a_circle_is_one_line(tmp_path: Path) -> None:
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 3])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["batch", 3])
    nodes = [onnx.helper.make_node("Add", ["x", "y"], ["z"]), onnx.helper.make_node("Relu", ["z"], ["y"])]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [x], [y])), tmp_path / "circle.onnx")
    with pytest.raises(InputError, match="contains a cycle"):
        onnx_graph.read(tmp_path / "circle.onnx", tmp_path)
