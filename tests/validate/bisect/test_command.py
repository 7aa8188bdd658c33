"""`python -m validate.bisect`: what it prints and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner, Result

from convert.artifact import Artifact
from tests.validate.bisect import planted as faults
from validate.bisect import __main__ as command

Run = Callable[..., Result]


@pytest.fixture
def run(at_once: None, toy_toml: Path, toy_root: Path, toy_artifact: Artifact) -> Run:
    def invoke(*arguments: str, runtime: str = "ort-cpu") -> Result:
        options = ["--model", str(toy_toml), "--artifacts", str(toy_root), "--runtime", runtime, "--threads", "1"]
        return CliRunner().invoke(command.main, [*options, *arguments], prog_name="python -m validate.bisect")

    return invoke


def test_within_bounds(run: Run, tmp_path: Path) -> None:
    result = run("--json", "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    (entry,) = document["bisect"]
    assert (entry["verdict"], entry["fault"], entry["sentence"]) == ("within bounds", None, None)
    assert [row["name"] for row in entry["blocks"]] == ["embedding", "blocks.0", "blocks.1", "head"]
    assert entry["effective"]["precision"] == "fp32"
    assert "nothing is out of bounds" in result.stderr
    assert json.loads((tmp_path / "out" / "bisect.json").read_text()) == document


@pytest.mark.parametrize("as_folder", [False, True])
def test_a_fault_is_named(run: Run, planted: Callable[..., Path], toy_artifact: Artifact, as_folder: bool) -> None:
    file = planted(lambda m: faults.epsilon(m, 2, 1e-5))
    if as_folder:
        (file.parent / "manifest.json").write_text((toy_artifact.path / "manifest.json").read_text())
        file = file.rename(file.with_name("model.onnx")).parent
    result = run("--json", "--onnx", str(file))
    assert result.exit_code == 1
    (entry,) = json.loads(result.stdout)["bisect"]
    fault = entry["fault"]
    assert (entry["verdict"], fault["layer"], fault["operator"]) == ("fault", "blocks.1.norm1", "LayerNormalization")
    assert fault["error"] > fault["bound"]
    assert fault["input_range"][0] < fault["input_range"][1]
    assert "failed: bisect: out of bounds: toy fp32 on ort-cpu: blocks.1.norm1 LayerNormalization" in result.stderr
    assert "blocks.1.norm1 LayerNormalization, error " in result.stderr.replace("\n", "")


def test_not_finite_is_json_all_the_same(run: Run, planted: Callable[..., Path]) -> None:
    result = run("--json", "--onnx", str(planted(lambda m: faults.half_norm(m, 3, 1e5))))
    assert result.exit_code == 1
    assert "NaN" not in result.stdout.replace("NaN or", "")
    assert json.loads(result.stdout, parse_constant=pytest.fail)


@pytest.mark.parametrize("what", ["missing", "no model", "another model"])
def test_a_wrong_onnx_file_is_one_line(run: Run, tmp_path: Path, what: str) -> None:
    file = tmp_path / "other.onnx"
    if what == "no model":
        file.write_bytes(b"no model")
    elif what == "another model":
        x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 3, 32, 32])
        y = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", 3, 32, 32])
        node = onnx.helper.make_node("Relu", ["x"], ["logits"])
        opset = [onnx.helper.make_opsetid("", 17)]
        onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", [x], [y]), opset_imports=opset), file)
    result = run("--onnx", str(file))
    assert result.exit_code == 2, result.output
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert str(file) in result.stderr or "do not belong together" in result.stderr


def test_paddle_runs_no_onnx(run: Run, toy_artifact: Artifact) -> None:
    result = run("--onnx", str(toy_artifact.path), runtime="paddle")
    assert result.exit_code == 2
    assert "it runs the Paddle program, not the file of --onnx" in result.stderr


def test_a_lower_precision_is_held_against_the_same_program(run: Run) -> None:
    """Its artifact has no Paddle program of its own. ONNX Runtime refuses bf16 on a CPU."""
    result = run("--precision", "bf16")
    assert result.exit_code == 1
    assert "ort-cpu has no bf16" in result.stderr


def test_it_is_a_command(toy_toml: Path, toy_root: Path, toy_artifact: Artifact) -> None:
    """In processes of their own, as users start it."""
    options = ["--model", str(toy_toml), "--artifacts", str(toy_root), "--runtime", "ort-cpu", "--limit", "2", "--json"]
    result = subprocess.run([sys.executable, "-m", "validate.bisect", *options], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["bisect"][0]["verdict"] == "within bounds"
