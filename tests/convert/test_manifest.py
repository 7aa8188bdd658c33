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
    table["spec"]["family"] = "mamba"


def changed(*place: Any) -> Callable[[dict[str, Any]], None]:
    """Sets a value: the last argument, at the place that the others name."""
    *way, last, value = place

    def change(table: Any) -> None:
        for step in way:
            table = table[step]
        table[last] = value

    return change


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
        (unknown_family, "family = 'mamba' is none of"),
        (no_outputs, "no input or output"),
        (changed("inputs", 0, "shape", 3, 0), "no input or output has the shape"),
        (changed("outputs", 0, "shape", 1, "classes"), "invalid literal for int"),
        (changed("outputs", 0, "shape", 1, 10**12), "no input or output has the shape"),
        (changed("macs", "total", 2**63), "macs.total"),
        (changed("opset", -3), "opset"),
        (changed("precision", "fp12"), "precision = 'fp12' is none of fp32"),
        (changed("weights", "kind", "found"), "weights.kind"),
        (changed("weights", "source", "a\0b"), "zero byte"),
        (changed("head", "tail"), "head = 'tail' is none of logits"),
        (changed("model", "../../up"), "no folder's name can have '/'"),
        (changed("files", "../../.bashrc", {"bytes": 1, "sha256": ""}), "hidden"),
        (changed("files", "/etc/passwd", {"bytes": 1, "sha256": ""}), "no folder's name"),
        (changed("files", {}), "files does not name model.onnx"),
        (changed("class_names", ["a", "b"]), "2 class_names of 7 classes"),
        (changed("preprocessing", "crop", 24), "preprocessing makes images of 24 pixels, and the input takes 32"),
        (changed("preprocessing", "mean", [float("nan"), 0, 0]), "NaN is no number"),
        (changed("spec", "preprocessing", []), "preprocessing"),
    ],
)
def test_what_is_damaged_is_one_clear_line(
    toy_artifact: Artifact, tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    table = json.loads((toy_artifact.path / "manifest.json").read_text())
    del table["checksum"]  # as older manifests have none
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


def deep(text: str) -> str:
    return text[:-2] + ', "notes": ' + "[" * 100_000


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"resize_short": 36', '"resize_short": 52', 1),
        lambda text: text.replace("seeded:1", "seeded:4"),
        lambda text: text.replace('"logits"', '"features"'),
        lambda text: text.replace('"notes": [', '"notes": ["nothing to see"', 1),
    ],
)
def test_a_manifest_that_somebody_altered_is_not_believed(
    toy_artifact: Artifact, tmp_path: Path, change: Callable[[str], str]
) -> None:
    text = (toy_artifact.path / "manifest.json").read_text()
    assert change(text) != text
    (tmp_path / "manifest.json").write_text(change(text))
    with pytest.raises(InputError, match=r"manifest.json: it was altered since it was written .* convert the model"):
        artifacts.load(tmp_path)


def test_a_manifest_may_be_written_in_another_order(toy_artifact: Artifact, tmp_path: Path) -> None:
    table = json.loads((toy_artifact.path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(dict(reversed(table.items()))))
    assert artifacts.load(tmp_path).manifest == toy_artifact.manifest


def test_brackets_without_end(toy_artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(deep((toy_artifact.path / "manifest.json").read_text()))
    with pytest.raises(InputError, match="damaged"):
        artifacts.load(tmp_path)
