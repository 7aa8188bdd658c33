"""A folder to ship goes through a narrow door in pieces, without the weights that were drawn, and arrives the same."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.common.errors import InputError
from scripts.packing import holes, pieces


@pytest.fixture
def folder(toy_artifact: Artifact, tmp_path: Path) -> Artifact:
    """The toy as a folder for ONNX, but for its proof."""
    place = tmp_path / "made" / "onnx"
    place.mkdir(parents=True)
    shutil.copy(toy_artifact.onnx, place)
    (place / "README.md").write_text("read me")
    return artifacts.save(place, replace(toy_artifact.manifest, form="onnx", files=artifacts.entries(place)))


def test_pieces_become_the_folder_again(folder: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holes, "_LEAST", 64)
    made = pieces.pack(folder, tmp_path / "pack", 100_000)
    names = [file.name for file in sorted((tmp_path / "pack").iterdir())]
    assert [file.name for file in made] == names[1:]
    assert names[0] == pieces.SUMS
    assert all(file.stat().st_size == 100_000 for file in made[:-1])
    assert 0 < made[-1].stat().st_size <= 100_000
    command = f"sha256sum -c {pieces.SUMS} && cat {pieces.NAME}.* | tar xz"
    subprocess.run(command, shell=True, check=True, cwd=tmp_path / "pack", capture_output=True)
    place = tmp_path / "pack" / "vitbench" / pieces.place(folder)
    assert (place.parents[3] / "setup.py").is_file()
    left = place / f"model.onnx{holes.SUFFIX}"
    assert left.stat().st_size < 0.7 * folder.onnx.stat().st_size
    assert not (place / "model.onnx").exists()
    found = artifacts.load(place)
    assert holes.fill(found) == ["model.onnx"]
    assert found.damage() is None
    assert sorted(file.name for file in place.iterdir()) == ["README.md", "manifest.json", "model.onnx"]


def test_what_was_damaged_on_the_way_is_said(folder: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holes, "_LEAST", 64)
    assert holes.dig(folder, "model.onnx", folder.path)
    folder.onnx.unlink()
    left = folder.path / f"model.onnx{holes.SUFFIX}"
    left.write_bytes(left.read_bytes()[:-1] + b"?")
    with pytest.raises(InputError, match="though its weights were drawn again"):
        holes.fill(folder)


def test_trained_weights_travel(folder: Artifact, tmp_path: Path) -> None:
    weights = replace(folder.manifest.weights, kind="file", source="a.pdparams")
    assert not holes.dig(replace(folder, manifest=replace(folder.manifest, weights=weights)), "model.onnx", tmp_path)
