"""Swin: windows, their shift and their bias in a layer of our own, converted for real and held against numpy."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common.errors import GraphError, InputError
from convert.export import graph
from convert.families.spec import Preprocessing
from convert.families.swin import SwinTransformerSpec
from convert.weights import seeded
from convert.weights.resolve import resolve
from convert.zoo import MODELS, PUBLISHED
from tests.swin_numpy import forward

# Three stages of 16, 4 and 1 windows.
TOY = """
name = "toy_swin"
family = "swin"
img_size = 32
patch_size = 2
class_num = 7
embed_dim = 8
depths = [2, 3, 2]
num_heads = [1, 2, 4]
window_size = 4
mlp_ratio = 2
[preprocessing]
resize_short = 36
crop = 32
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
"""
SPEC = SwinTransformerSpec(
    "x", 32, 7, Preprocessing(36, 32), patch_size=2, embed_dim=8, depths=(2, 2), num_heads=(1, 2), window_size=4
)


@pytest.fixture(scope="module", params=["true", "false"])
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    path = tmp_path_factory.mktemp("swin") / "toy.toml"
    path.write_text(TOY.replace("mlp_ratio = 2", f"mlp_ratio = 2\nshift_single_window = {request.param}"))
    return obtain(Request(str(path), "seeded:3", root=path.parent), print)[0]


def spec_of(artifact: Artifact) -> SwinTransformerSpec:
    assert isinstance(artifact.spec, SwinTransformerSpec)
    return artifact.spec


def drawn(spec: SwinTransformerSpec) -> dict[str, np.ndarray]:
    return {name: tensor.read() for name, tensor in seeded.tensors(3, spec).items()}


def test_the_model_is_that_of_the_paper(artifact: Artifact) -> None:
    spec = spec_of(artifact)
    images = np.random.default_rng(0).standard_normal((3, 3, 32, 32), dtype=np.float32)
    expected = forward(spec, drawn(spec), images)
    session = onnxruntime.InferenceSession(str(artifact.onnx), providers=["CPUExecutionProvider"])
    found = np.asarray(session.run(["logits"], {"x": images})[0])
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())
    other = dataclasses.replace(spec, shift_single_window=not spec.shift_single_window)
    assert np.abs(forward(other, drawn(spec), images) - expected).max() > 1e-3 * np.abs(expected).max()


def test_the_last_shift_is_said_where_there_is_one(artifact: Artifact) -> None:
    notes = [note for note in artifact.manifest.notes if "since 2023-10-18" in note]
    assert len(notes) == spec_of(artifact).shift_single_window


def test_the_graph_holds_no_window_but_their_order(artifact: Artifact) -> None:
    kinds = [node.op_type for node in onnx.load(artifact.onnx).graph.node]
    assert not {"If", "Loop", "SequenceConstruct", "ConcatFromSequence", "Slice", "Concat", "Pad"} & set(kinds)
    blocks = len(list(spec_of(artifact).blocks))
    assert kinds.count("Split") == kinds.count("Softmax") == blocks == 7


def test_another_scale_or_no_bias_is_no_swin(artifact: Artifact) -> None:
    spec, model = spec_of(artifact), onnx.load(artifact.onnx)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    graph.declare(model, {name: shapes[name] for name in spec.state_shapes()})
    graph.check_spec(model, spec)
    with pytest.raises(GraphError, match=r"is scaled by 0\.353\S* instead of 0\.5"):
        graph.check_spec(model, dataclasses.replace(spec, qk_scale=0.5))
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    added = next(node for node in model.graph.node if softmax.input[0] in node.output)
    softmax.input[0] = added.input[0]
    with pytest.raises(GraphError, match="has no bias"):
        graph.check_spec(model, spec)


@pytest.mark.parametrize("name", [name for name in MODELS if name.startswith("Swin")])
def test_parameters_are_as_published(name: str) -> None:
    count = sum(int(np.prod(shape)) for shape in MODELS[name].state_shapes().values())
    # PaddleClas' page gives whole millions, those of 49.6 and 87.8 and 196.5 among them.
    assert round(count / 1e6) == pytest.approx(PUBLISHED[name].mparams, abs=1)


def test_a_pytorch_file_has_its_tables_as_they_are(tmp_path: Path) -> None:
    state = drawn(SPEC)
    turned = {n: a.T.copy() if a.ndim == 2 and not n.endswith("bias_table") else a for n, a in state.items()}
    turned["layers.0.blocks.0.attn.relative_position_index"] = np.zeros((16, 16), np.int64)
    from safetensors.numpy import save_file

    save_file(turned, tmp_path / "swin.safetensors")
    found = resolve(str(tmp_path / "swin.safetensors"), SPEC)
    assert all((tensor.read() == state[name]).all() for name, tensor in found.tensors.items())
    assert any("relative_position_index" in note for note in found.notes)


def test_a_file_of_another_head_or_window_says_so(tmp_path: Path) -> None:
    other = {"class_num": 9, "img_size": 16, "window_size": 2, "preprocessing": Preprocessing(16, 16)}
    np.savez(tmp_path / "swin.npz", **drawn(dataclasses.replace(SPEC, **other)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"class_num = 9.*a table for windows of 2"):
        resolve(str(tmp_path / "swin.npz"), SPEC)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"img_size": 40}, "img_size = 40 is no multiple of 16"),
        ({"depths": (2,)}, "depths are of 1 stages, and num_heads of 2"),
        ({"depths": 2}, "depths must be whole numbers"),
        ({"depths": (2, 0)}, "each of depths must be a whole number above zero"),
        ({"num_heads": (3, 2)}, "are no multiple of 3 heads"),
        ({"window_size": 0}, "window_size must be"),
        ({"shift_single_window": 1}, "shift_single_window must be true or false"),
        ({"mlp_ratio": 1e7}, "the hidden layers must have"),
        ({"embed_dim": 10**6, "mlp_ratio": 0.1}, r"more than 1e\+11 parameters"),
        ({"img_size": 2**15, "patch_size": 1}, "more than 4096 patches a side"),
        ({"qk_scale": -1}, "qk_scale must be a number above zero"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], message: str) -> None:
    size = change.get("img_size", 32)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SPEC, preprocessing=Preprocessing(size, size), **change)  # type: ignore[arg-type]
