"""The manifest's type: what is stored is what is read, and what is no manifest is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convert import artifact as artifacts
from convert import manifest as manifests
from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common import typed
from convert.common.errors import InputError


def test_it_is_stored_and_read(toy_artifact: Artifact) -> None:
    table = manifests.to_table(toy_artifact.manifest)
    assert json.loads((toy_artifact.path / "manifest.json").read_text()) == json.loads(json.dumps(table))
    assert manifests.from_table(json.loads(json.dumps(table))) == toy_artifact.manifest


def test_what_fp32_does_not_have_is_absent(toy_toml: Path, toy_root: Path, toy_artifact: Artifact) -> None:
    lower = {"base", "recipe", "multiplying", "kept_fp32", "signal_to_noise_db", "smoothed", "calibration"}
    assert not lower & set(manifests.to_table(toy_artifact.manifest))
    made, _ = obtain(Request(str(toy_toml), "seeded:1", "int8", root=toy_root), print)
    assert lower <= set(manifests.to_table(made.manifest))


def test_every_field_says_what_it_is() -> None:
    plain = {"model", "precision", "opset", "inputs", "preprocessing", "macs", "parameters", "weights", "multiplying"}
    assert [one.name for one in typed.fields(manifests.Manifest) if not one.meaning and one.name not in plain] == []


def newer(table: dict[str, Any]) -> None:
    table["format"] = manifests.FORMAT + 1


def without_model(table: dict[str, Any]) -> None:
    del table["model"]


def opset_in_words(table: dict[str, Any]) -> None:
    table["opset"] = "seventeen"


def no_channels(table: dict[str, Any]) -> None:
    table["preprocessing"]["mean"] = [0.5]


def impossible_crop(table: dict[str, Any]) -> None:
    table["preprocessing"]["crop"] = 1000


def unknown_family(table: dict[str, Any]) -> None:
    table["spec"]["family"] = "swin"


def no_outputs(table: dict[str, Any]) -> None:
    table["outputs"] = []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (newer, "it is of format 3, and this vitbench reads up to 2"),
        (without_model, "missing required field model"),
        (opset_in_words, "opset: expected int"),
        (no_channels, "preprocessing.mean"),
        (impossible_crop, "crop = 1000 does not fit"),
        (unknown_family, "family = 'swin' is none of"),
        (no_outputs, "IndexError"),
    ],
)
def test_what_is_damaged_is_one_clear_line(
    toy_artifact: Artifact, tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    table = json.loads((toy_artifact.path / "manifest.json").read_text())
    change(table)
    (tmp_path / "manifest.json").write_text(json.dumps(table))
    with pytest.raises(InputError, match=message) as error:
        artifacts.load(tmp_path)
    assert "damaged" in error.value.message
    assert "\n" not in error.value.message


@pytest.mark.parametrize("text", ["[]", "null", "{", "\x00"])
def test_what_is_no_manifest_at_all(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match="damaged"):
        artifacts.load(tmp_path)
