"""A model that was converted is known by its name; a model of the zoo as a `.toml`, and with another head."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from convert import artifact as artifacts
from convert import build, making
from convert.__main__ import main
from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common.errors import InputError
from convert.families.base import load_spec
from convert.manifest import LoweringOptions, Manifest
from convert.models import ConvertedModel, InferenceFolder, find
from convert.zoo import MODELS

ZOO = "ViT_base_patch16_224"
PETS = dataclasses.replace(MODELS[ZOO], name="pets", class_num=37)


def test_it_is_the_same_artifact(toy_artifact: Artifact, toy_toml: Path, toy_root: Path) -> None:
    said: list[str] = []
    assert obtain(Request("toy", root=toy_root), said.append) == (toy_artifact, True)
    assert [line for line in said if line] == []
    assert find("toy", toy_root) == ConvertedModel("toy", toy_artifact.spec, str(toy_toml))
    with pytest.raises(InputError, match=r"unknown model toy: .*the name of an artifact that is there"):
        find("toy")


@pytest.fixture
def moved(toy_artifact: Artifact, tmp_path: Path) -> Path:
    """The toy's FP32 artifact alone, in another folder of artifacts."""
    shutil.copytree(toy_artifact.path, tmp_path / "toy" / "fp32", ignore=shutil.ignore_patterns("reference", "cache"))
    return tmp_path


def manifest(root: Path, **changes: Any) -> Artifact:
    found = artifacts.load(root / "toy" / "fp32")
    return artifacts.save(found.path, dataclasses.replace(found.manifest, **changes))


def test_without_its_file_it_is_still_known(moved: Path) -> None:
    there = manifest(moved, defined_in="/nowhere/toy.toml", command="")
    found, reused = obtain(Request("toy", root=moved), lambda text: None)
    assert (found.sha256, reused) == (there.sha256, True)


def test_a_file_that_has_changed_since_is_said(moved: Path, toy_toml: Path, tmp_path: Path) -> None:
    other = tmp_path / "toy.toml"
    other.write_text(toy_toml.read_text().replace("depth = 2", "depth = 3"))
    manifest(moved, defined_in=str(other))
    said: list[str] = []
    found, reused = obtain(Request("toy", root=moved), said.append)
    assert reused
    assert found.spec == load_spec(toy_toml)
    assert any(f"{other} says another model by now; this is the one that was converted" in line for line in said)


def test_an_inference_model_whose_folder_is_gone_is_taken_as_it_is(moved: Path) -> None:
    there = manifest(moved, spec=None, defined_in="/nowhere/exported", reader=2)
    assert obtain(Request("toy", root=moved), lambda text: None) == (there, True)
    with pytest.raises(InputError, match="asked for otherwise than it is, and what it was made of, /nowhere/exported"):
        obtain(Request("toy", root=moved, preprocessing="imagenet"), lambda text: None)
    (there.path / "model.onnx").write_bytes(b"")
    with pytest.raises(InputError, match=r"toy: .*model\.onnx.*, and what it was made of, .* is not here"):
        obtain(Request("toy", root=moved), lambda text: None)


def test_a_folder_of_its_name_is_not_it_unless_it_is_a_model(
    moved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = tmp_path / "here" / "toy"
    photos.mkdir(parents=True)
    monkeypatch.chdir(photos.parent)
    assert isinstance(find("toy", moved), ConvertedModel)
    with pytest.raises(InputError, match="no Paddle inference model in it"):
        find("toy", tmp_path / "none")
    for suffix in ("json", "pdiparams"):
        (photos / f"inference.{suffix}").touch()
    assert isinstance(find("toy", moved), InferenceFolder)


def test_a_folder_that_was_renamed_is_refused(moved: Path) -> None:
    (moved / "toy").rename(moved / "mine")
    with pytest.raises(InputError, match="its manifest calls it toy: name that, or rename the folder"):
        find("mine", moved)


def test_the_template_is_the_model(tmp_path: Path) -> None:
    file = tmp_path / "spec.toml"
    for name, spec in MODELS.items():
        file.write_text(CliRunner().invoke(main, ["--template", name]).stdout, encoding="utf-8")
        assert load_spec(file) == spec
    result = CliRunner().invoke(main, ["--template", ZOO, "--classes", "37", "--name", "pets"])
    file.write_text(result.stdout, encoding="utf-8")
    assert load_spec(file) == PETS


def test_another_head_is_another_model(toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The conversion itself is left out: it is that of any spec."""
    asked: list[tuple[Any, Request]] = []

    def converted(settled: Request, model: Any, *_: Any) -> Manifest:
        asked.append((model, settled))
        raise InputError("enough")

    monkeypatch.setattr(build, "_converted", converted)
    words = [ZOO, "--classes", "37", "--artifacts", str(tmp_path)]
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, f"--classes 37: that is another model than {ZOO}" in result.stderr) == (2, True)
    CliRunner().invoke(main, [*words, "--name", "pets", "--weights", "seeded:1"])
    ((model, settled),) = asked
    assert model == PETS
    options = (toy_artifact.manifest, "seeded:1", LoweringOptions())
    command = f"python -m convert {ZOO} --precision fp32{{}} --name pets --classes 37 --weights seeded:1"
    assert making.command(settled.model, settled.name, *options, settled.classes, Path("artifacts")) == command.format(
        ""
    )
    elsewhere = making.command(settled.model, settled.name, *options, settled.classes, settled.root)
    assert elsewhere == command.format(f" --artifacts {tmp_path}")


def test_and_is_known_by_its_name_too(moved: Path) -> None:
    manifest(moved, model="pets", spec=PETS.table(), defined_in=None)
    (moved / "toy").rename(moved / "pets")
    assert find("pets", moved) == ConvertedModel("pets", PETS, ZOO, 37)


@pytest.mark.parametrize(
    "words", [["toy.toml", "--classes", "3"], ["--template", "toy.toml"], ["--template", "nobody"]]
)
def test_what_has_no_head_to_change_is_refused(words: list[str], toy_toml: Path) -> None:
    result = CliRunner().invoke(main, [word.replace("toy.toml", str(toy_toml)) for word in words])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: --")


def test_the_older_name_of_the_option_stays(toy_artifact: Artifact, toy_root: Path) -> None:
    for option in ("--out", "--artifacts"):
        result = CliRunner().invoke(main, ["toy", option, str(toy_root)])
        assert result.output.splitlines()[-1].startswith(f"{toy_artifact.path}: unchanged"), result.output
