"""Where the extra `convert` is not installed, artifacts that are there are taken, and nothing else is made."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from convert import identity
from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common.errors import InputError
from convert.images.inputs import seeded
from validate.parity import reference


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("paddle", "paddle2onnx"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    monkeypatch.setattr(identity, "tools", lambda precision: {"onnx": "2.0", "numpy": "9.9"})


@pytest.mark.usefixtures("light")
def test_an_artifact_of_other_versions_is_taken(toy_artifact: Artifact, toy_toml: Path, toy_root: Path) -> None:
    said: list[str] = []
    assert obtain(Request(str(toy_toml), root=toy_root), said.append) == (toy_artifact, True)
    assert said == []


@pytest.mark.usefixtures("light")
def test_one_of_other_weights_is_not(toy_artifact: Artifact, toy_toml: Path, toy_root: Path) -> None:
    with pytest.raises(InputError) as caught:
        obtain(Request(str(toy_toml), "seeded:2", root=toy_root), lambda text: None)
    assert caught.value.message == (
        "converting toy needs paddlepaddle, paddle2onnx, not installed here: pip install 'vitbench[convert]'"
    )
    assert toy_artifact.damage() is None


@pytest.mark.usefixtures("light")
def test_a_reference_that_is_not_stored_cannot_be_had(toy_artifact: Artifact) -> None:
    inputs = seeded(toy_artifact.preprocessing, 3, seed=977)
    with pytest.raises(InputError, match=r"reference of toy.* needs paddlepaddle, not installed here"):
        reference.obtain(toy_artifact, inputs)
