"""An ONNX file from elsewhere is held against the Paddle model that it is said to be."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

from convert import cli
from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common.errors import InputError
from convert.manifest import BaseArtifact
from validate.parity.__main__ import main as parity


@pytest.fixture
def root(toy_artifact: Artifact, toy_root: Path, tmp_path: Path) -> Path:
    """A folder of artifacts with the toy's, its references included."""
    return Path(shutil.copytree(toy_root, tmp_path / "artifacts"))


@pytest.fixture
def optimised(toy_artifact: Artifact, tmp_path: Path) -> Path:
    """The toy as ONNX Runtime optimises it."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "other one.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    onnxruntime.InferenceSession(str(toy_artifact.onnx), options, providers=["CPUExecutionProvider"])
    return tmp_path / "other one.onnx"


def checked(root: Path, *words: object) -> tuple[int, str, dict[str, Any]]:
    """Exit status, what was said, and the record of a runtime."""
    run = ["--artifacts", root, "--runtime", "ort-cpu", "--batch", "1", "--limit", "1", "--out", root.parent / "run"]
    result = CliRunner().invoke(parity, [str(word) for word in (*words, *run, "--json")])
    return result.exit_code, result.stderr, json.loads(result.stdout)["records"][0] if result.stdout else {}


def test_it_passes_and_is_known_by_its_name(optimised: Path, root: Path, toy_artifact: Artifact) -> None:
    status, _, record = checked(root, "--model", "toy", "--onnx", optimised)
    assert (status, record["model"], record["passed"]) == (0, "other_one", True)
    assert f"--onnx {optimised}" in record["command"].replace("'", "")
    assert record["artifact"] != toy_artifact.sha256
    assert record["model_info"]["weights"]["kind"] == "file"
    assert any("not converted by vitbench, and held against toy" in note for note in record["model_info"]["notes"])
    found, reused = obtain(Request("other_one", root=root), lambda text: None)
    assert (found.sha256, reused, found.base.model) == (record["artifact"], True, "toy")
    assert found.fp32 == found, "whoever lowers the graph by himself opens this file, and not the model's"


def test_one_weight_that_differs_is_found(optimised: Path, root: Path) -> None:
    model = onnx.load(str(optimised))
    tensor = max(model.graph.initializer, key=lambda one: len(one.raw_data))
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.01), tensor.name))
    onnx.save(model, str(optimised))
    status, said, record = checked(root, "--model", "toy", "--onnx", optimised, "--name", "wrong")
    assert (status, record["model"], record["passed"]) == (1, "wrong", False), said


def test_another_file_of_that_name_takes_its_place(optimised: Path, root: Path) -> None:
    def asked() -> tuple[Artifact, bool]:
        return obtain(Request("toy", root=root, onnx=str(optimised)), lambda text: None)

    first, _ = asked()
    assert asked() == (first, True)
    model = onnx.load(str(optimised))
    model.producer_name = "another"
    onnx.save(model, str(optimised))
    second, reused = asked()
    assert (reused, second.sha256 != first.sha256) == (False, True)


def test_what_is_not_the_model_is_refused(optimised: Path, root: Path, tmp_path: Path) -> None:
    def refused(match: str, **changes: Any) -> None:
        with pytest.raises(InputError, match=match):
            obtain(Request(**{"model": "toy", "root": root, "onnx": str(optimised), **changes}), lambda text: None)
        assert not list(root.glob("other*/*"))

    refused("no such file", onnx=str(tmp_path / "none.onnx"))
    refused("taken as it is, and not made into bf16", precision="bf16")
    refused("holds a model that was converted: give the file another name", name="toy")
    model = onnx.load(str(optimised))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 9
    onnx.save(model, str(optimised))
    refused(r"its output .* is float32 \['.*', 9\], and the model's is float32 \['batch', 7\]")
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(model, str(optimised))
    refused("its input x is of ONNX's type 10")
    optimised.write_bytes(b"\x08\x07 no model at all")
    refused("no ONNX model that can be read")


def test_many_models_share_no_file(optimised: Path, root: Path) -> None:
    status, said, _ = checked(root, "--model", "all", "--onnx", optimised)
    assert (status, "one file for 7 models" in said) == (2, True)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"unvouched": True}, "toy: the ONNX file as it is, in "),
        ({"base": BaseArtifact("../../other/fp32", "0" * 64)}, "toy: the ONNX file as it is, in "),
        ({"base": BaseArtifact("../fp32", "0" * 64), "precision": "int8"}, "toy: converted, in "),
        ({}, "toy: converted, in "),
    ],
)
def test_what_was_taken_is_not_called_converted(
    toy_artifact: Artifact,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    changes: dict[str, Any],
    line: str,
) -> None:
    made = Artifact(tmp_path, dataclasses.replace(toy_artifact.manifest, **changes))
    monkeypatch.setattr(cli, "obtain", lambda request, say: (made, False))
    cli.obtain_loudly(Request("toy", root=tmp_path))
    assert capsys.readouterr().err.startswith(line)
