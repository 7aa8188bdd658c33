"""Where Paddle is not installed: what is there is taken as it was made, and what would need Paddle says so."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common import paddle
from convert.common.errors import InputError
from convert.images.inputs import seeded
from validate.parity import reference


@pytest.fixture
def root(toy_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with the toy's artifact, which other versions of the tools made."""
    shutil.copytree(toy_artifact.path, tmp_path / "toy" / "fp32")
    tools = {**toy_artifact.manifest.tools, "numpy": "9.9"}
    artifacts.save(tmp_path / "toy" / "fp32", dataclasses.replace(toy_artifact.manifest, tools=tools))
    monkeypatch.setattr(paddle, "installed", lambda: False)
    return tmp_path


def test_an_artifact_is_taken_as_it_was_made(root: Path, toy_toml: Path) -> None:
    told: list[str] = []
    found, reused = obtain(Request(str(toy_toml), root=root), told.append)
    assert reused
    assert found.manifest.tools["numpy"] == "9.9"
    assert [line for line in told if "taken as it was made" in line and "numpy 9.9" in line]


def test_converting_needs_it(root: Path, toy_toml: Path) -> None:
    with pytest.raises(InputError, match=r"converting needs paddlepaddle.*vitbench\[convert\]"):
        obtain(Request(str(toy_toml), "seeded:1", root=root / "elsewhere"), print)
    assert not list((root / "elsewhere").rglob("*.onnx"))


def test_a_reference_that_is_not_stored_cannot_be_had(root: Path) -> None:
    toy = artifacts.load(root / "toy" / "fp32")
    with pytest.raises(InputError, match=r"^toy: the float64 reference .* needs paddlepaddle"):
        reference.obtain(toy, seeded(toy.preprocessing, 3, seed=977))
