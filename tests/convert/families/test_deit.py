"""DeiT with its distillation token: a family that is one file, converted for real and held against numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common.errors import InputError
from convert.families.deit import DistilledVisionTransformerSpec
from convert.images.inputs import seeded as seeded_images
from convert.weights import seeded
from convert.weights.resolve import resolve
from convert.zoo import MODELS, PUBLISHED
from tests.conftest import TOY_TOML
from tests.vit_numpy import forward


@pytest.fixture(scope="module")
def toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("deit") / "toy.toml"
    path.write_text(TOY_TOML.replace('name = "toy"', 'name = "toy_deit"\nfamily = "deit"'))
    return path


@pytest.fixture(scope="module")
def artifact(toml: Path) -> Artifact:
    return obtain(Request(str(toml), "seeded:3", root=toml.parent), print)[0]


def logits(artifact: Artifact, images: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")  # as the adapter, for processors without VNNI
    session = onnxruntime.InferenceSession(str(artifact.onnx), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["logits"], {"x": images})[0])


def test_the_model_is_the_mean_of_two_heads_on_two_tokens(artifact: Artifact) -> None:
    spec = artifact.spec
    assert isinstance(spec, DistilledVisionTransformerSpec)
    assert spec.tokens == 16 + 2
    state = {name: tensor.read() for name, tensor in seeded.tensors(3, spec).items()}
    assert {"dist_token", "head_dist.weight", "head_dist.bias"} <= set(state)
    images = np.random.default_rng(0).standard_normal((3, 3, 32, 32), dtype=np.float32)
    expected = forward(spec, state, images)
    np.testing.assert_allclose(logits(artifact, images), expected, atol=2e-5 * np.abs(expected).max())


def test_all_of_its_last_block_is_computed(artifact: Artifact) -> None:
    """Two tokens are read there, so it is not cut to one."""
    assert artifact.manifest.macs.computed == artifact.manifest.macs.total


def test_it_is_found_again_and_lowered(artifact: Artifact, toml: Path) -> None:
    assert obtain(Request(str(toml), root=toml.parent), print)[1]
    lowered, _ = obtain(Request(str(toml), precision="int8", root=toml.parent), print)
    images = seeded_images(artifact.preprocessing, 16, seed=7).images
    exact, found = logits(artifact, images), logits(lowered, images)
    assert 0 < np.sqrt(np.square(found - exact).mean() / np.square(exact).mean()) < 0.05
    assert lowered.manifest.multiplying
    assert lowered.manifest.multiplying.lowered == 1 + 2 * 4 + 2


@pytest.mark.parametrize("name", [name for name in MODELS if name.startswith("DeiT")])
def test_parameters_are_as_published(name: str) -> None:
    shapes = MODELS[name].state_shapes()
    tokens = ("pos_embed", "cls_token", "dist_token")
    count = sum(int(np.prod(shape)) for tensor, shape in shapes.items() if tensor not in tokens)
    assert f"{count / 1e6:.2f}" == f"{PUBLISHED[name].mparams:.2f}"


def test_there_are_no_jax_files_of_it(tmp_path: Path) -> None:
    file = tmp_path / "deit.npz"
    np.savez(file, head=np.zeros(1, np.float32))
    with pytest.raises(InputError, match=r"missing pos_embed.*unexpected head"):
        resolve(str(file), MODELS["DeiT_tiny_distilled_patch16_224"])
