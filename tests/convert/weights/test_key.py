"""`--weights-key` is part of what an artifact is: kept, recorded, and another one is another artifact."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common.errors import InputError
from convert.families.base import load_spec
from convert.families.vit import VisionTransformerSpec
from convert.model_options import ModelOptions
from tests.conftest import TOY_TOML
from tests.convert.weights.checkpoint_files import drawn


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "toy.toml"
    path.write_text(TOY_TOML)
    spec = load_spec(path)
    assert isinstance(spec, VisionTransformerSpec)
    content = {"model": drawn(spec, 1), "model_ema": drawn(spec, 2)}
    (tmp_path / "both.pdparams").write_bytes(pickle.dumps(content))
    return path


def test_a_key_makes_another_artifact_and_stays(isolated: None, toml: Path) -> None:
    weights = str(toml.parent / "both.pdparams")
    said: list[str] = []

    def made(weights: str | None, key: str | None, precision: str = "fp32") -> tuple[Artifact, bool]:
        request = Request(str(toml), weights, precision, root=toml.parent / "out", weights_key=key)
        return obtain(request, said.append)

    plain, _ = made(weights, None)
    assert plain.manifest.weights.key is None
    assert "--weights-key" not in plain.manifest.command
    assert any("model_ema would fit too (--weights-key model_ema)" in note for note in plain.manifest.notes)
    average, reused = made(None, "model_ema")  # of the file that the artifact has
    assert not reused
    assert average.sha256 != plain.sha256
    assert average.manifest.weights.key == "model_ema"
    assert average.arguments(ModelOptions())["weights_key"] == "model_ema"
    assert made(None, None)[1]
    assert made(weights, "model_ema")[1]
    lowered, _ = made(None, None, "bf16")
    for artifact in (average, lowered):
        assert f"--weights {weights} --weights-key model_ema" in artifact.manifest.command
    (average.path / "model.onnx").unlink()  # made again of the same one
    assert made(None, None)[0].sha256 == average.sha256
    assert made(weights, None)[0].sha256 == plain.sha256  # a file that is named anew is named without a key
    with pytest.raises(InputError, match="--weights-key other: there is no such state dict of this model"):
        made(None, "other")
