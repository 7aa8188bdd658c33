"""What an artifact is known by, and that CONVERTER stands for what is written."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from convert import identity
from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.families.spec import Preprocessing

# The files of the toy's artifact with the tools of `TOOLS`, by CONVERTER.
WRITTEN = {
    1: {
        "model.onnx": "a84b4972bf1ad7ea952079ccb99a96984fd5b1f03259e7edf4a0054025c7bdd3",
        "paddle/inference.json": "6f42d8315b956c53aeef8cabbd4b2c8f3f4ac68d638fde1229e632b4f7ae550a",
        "paddle/inference.pdiparams": "cffbe50cd4186a0b02f6b59d658a11703c249741a737d96c787687b0b687daa8",
    }
}
BF16 = {1: "7853f9973d08e593419be946d9300730bcc5749c0282885ed1fe304f265416ed"}
TOOLS = {"paddlepaddle": "3.3.1", "paddle2onnx": "2.1.0", "onnx": "1.17.0", "onnxscript": "0.7.2"}
COUNT_UP = (
    "what is written for the same input is another file than before, so that artifacts that are there must be made "
    "again: count up CONVERTER in convert/identity.py and write the new hashes down here"
)


def written(artifact: Artifact) -> dict[str, str]:
    return {name: entry.sha256 for name, entry in artifact.manifest.files.items()}


def test_converter_stands_for_what_is_written(toy_artifact: Artifact) -> None:
    if not TOOLS.items() <= toy_artifact.manifest.tools.items():
        pytest.skip("other versions of the tools, which may write another graph")
    assert written(toy_artifact) == WRITTEN[identity.CONVERTER], COUNT_UP


def test_converter_stands_for_a_lower_precision(toy_toml: Path, toy_root: Path, toy_artifact: Artifact) -> None:
    """bf16 alone: int8 depends on what ONNX Runtime computes on this processor."""
    if not TOOLS.items() <= toy_artifact.manifest.tools.items():
        pytest.skip("other versions of the tools, which may write another graph")
    lowered, _ = obtain(Request(str(toy_toml), "seeded:1", "bf16", root=toy_root), print)
    assert written(lowered) == {"model.onnx": BF16[identity.CONVERTER]}, COUNT_UP


@pytest.mark.parametrize(
    "change",
    [
        {"precision": "bf16"},
        {"opset": 18},
        {"weights": ("file", "0")},
        {"tools": {}},
        {"base": "0"},
        {"keep_fp32": ()},
        {"int8_range": "portable"},
        {"smooth": 0.0},
        {"calibration": ()},
        {"preprocessing": Preprocessing(32, 32)},
        {"converter": 0},
        {"image_size": 64},
        {"reader": 1},
    ],
)
def test_each_field_makes_another_artifact(toy_artifact: Artifact, change: dict[str, Any]) -> None:
    found = identity.of(toy_artifact)
    assert dataclasses.replace(found, **change) != found


def test_another_architecture_is_another_artifact(toy_artifact: Artifact) -> None:
    assert toy_artifact.spec
    other = {**toy_artifact.spec.table(), "epsilon": 1e-5}
    changed = Artifact(toy_artifact.path, dataclasses.replace(toy_artifact.manifest, spec=other))
    assert identity.of(changed) != identity.of(toy_artifact)


def test_what_changed_is_said_in_words(toy_artifact: Artifact) -> None:
    found = identity.of(toy_artifact)
    assert found.spec
    spec = dataclasses.replace(found.spec, class_num=3)
    wanted = dataclasses.replace(
        found,
        spec=spec,
        weights=("file", "0"),
        tools={**found.tools, "onnx": "9"},
        opset=18,
        preprocessing=Preprocessing(40, 32),
        converter=2,
    )
    assert identity.changes(toy_artifact, wanted) == [
        "class_num was 7, is 3",
        "its weights were seeded:1",
        f"onnx was {found.tools['onnx']}, is 9",
        "it was calibrated through another preprocessing",
        f"converter was {found.converter}, is 2",
    ]
    assert identity.changes(toy_artifact, found) == []


def test_vitbenchs_own_version_does_not_count(toy_artifact: Artifact) -> None:
    tools = {**toy_artifact.manifest.tools, "vitbench": "0"}
    other = Artifact(toy_artifact.path, dataclasses.replace(toy_artifact.manifest, tools=tools))
    assert identity.of(other) == identity.of(toy_artifact)


@pytest.fixture
def as_before(toy_toml: Path, tmp_path: Path) -> Path:
    """A folder with the toy in FP32 and bf16, whose manifests are written as vitbench wrote them at first."""
    for precision in ("fp32", "bf16"):
        made, _ = obtain(Request(str(toy_toml), "seeded:1", precision, root=tmp_path), print)
        file = made.path / "manifest.json"
        table = json.loads(file.read_text())
        for name in ("format", "converter", "checksum"):
            del table[name]
        table["spec"].pop("family", None)  # bf16 has it from the manifest that was changed just now
        table["tools"]["vitbench"] = "0.0.1"
        table["key"] = "a hash of the sources"
        file.write_text(json.dumps(table))
    return tmp_path


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_an_artifact_of_the_first_format_is_taken_up(toy_toml: Path, as_before: Path, precision: str) -> None:
    before = (as_before / "toy" / precision / "manifest.json").read_text()
    artifact, reused = obtain(Request(str(toy_toml), "seeded:1", precision, root=as_before), print)
    assert reused
    assert (artifact.manifest.format, artifact.manifest.converter) == (1, 1)
    assert (artifact.path / "manifest.json").read_text() == before
