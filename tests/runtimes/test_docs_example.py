"""The example package of docs/adapters.md does what the page says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from convert.artifact import Artifact
from runtimes import registry

PAGE = (Path(__file__).parents[2] / "docs" / "adapters.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_the_example_passes_parity(
    toy_artifact: Artifact, toy_toml: Path, toy_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, (group, name, value) = (
        block("python"),
        re.findall(r'entry-points\."(.*)"\]\n(\S+) = "(.*)"', block("toml"))[0],
    )
    assert group == registry.ENTRY_POINTS
    assert len([line for line in source.splitlines() if line.strip()]) <= 30
    (tmp_path / "onnx_reference_adapter.py").write_text(source)
    folder = tmp_path / "onnx_reference_adapter-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: onnx-reference-adapter\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    doctor = subprocess.run([sys.executable, "-m", "runtimes", "--json"], capture_output=True, text=True, check=True)
    assert [state["available"] for state in json.loads(doctor.stdout)["runtimes"] if state["name"] == name] == [True]
    result = subprocess.run(
        [
            *(sys.executable, "-m", "validate.parity", "--model", str(toy_toml), "--artifacts", str(toy_root)),
            *("--runtime", name, "--out", str(tmp_path / "run"), "--json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    (record,) = json.loads(result.stdout)["records"]
    assert (record["runtime"], record["passed"], record["effective"]["precision"]) == (name, True, "fp32")
