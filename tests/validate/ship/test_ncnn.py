"""The toy shipped for ncnn: the files are loaded again, the README's code runs, a changed weight is found."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from convert import artifact as artifacts
from convert.artifact import Artifact
from validate.check.__main__ import main as check
from validate.ship import proof
from validate.ship.__main__ import main as ship

pytest.importorskip("ncnn")


def test_a_folder_for_ncnn(
    toy_artifact: Artifact, toy_toml: Path, toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--model", toy_toml, "--artifacts", toy_root, "--to", "ncnn", "--batch", "2"]
    result = CliRunner().invoke(ship, [*map(str, words), "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    folder = tmp_path / "toy" / "fp32" / "ncnn"
    carried = proof.read(artifacts.load(folder))
    assert [one.loaded for one in carried.said.shown] == ["artifact", "folder"]

    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    names = {"images": carried.inputs.images}
    with monkeypatch.context() as patched:
        patched.chdir(folder)
        exec(code, names)
    assert np.abs(names["logits"] - carried.reference.logits).max() < float(carried.said.tolerance.max_abs or 0)

    weights = np.fromfile(folder / "model.bin", np.float32)
    weights[np.abs(weights).argmax()] *= -1
    weights.tofile(folder / "model.bin")
    manifest = artifacts.load(folder).manifest
    (folder / artifacts.MANIFEST).unlink()
    artifacts.save(folder, replace(manifest, files=artifacts.entries(folder)))  # so that no hash tells
    result = CliRunner().invoke(check, [str(folder)])
    assert result.exit_code == 1, result.output
    assert "logits differ by up to" in result.output
