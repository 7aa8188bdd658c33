"""`python -m validate.parity` on the toy: its records, and failures that are kept and can be reproduced."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common.disk.files import sha256_file
from convert.common.disk.json_lines import parse
from convert.common.errors import InputError
from convert.manifest import FileEntry
from convert.model_options import ModelOptions
from runtimes import registry
from runtimes.options import Selection
from runtimes.records import store
from runtimes.records.reading import to_table
from validate.parity import __main__ as parity
from validate.parity import reference, run, table
from validate.parity.check import Case, Checked, check
from validate.parity.inputs import InputOptions
from validate.parity.run import ParityRequest


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "validate.parity", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def request(artifact: Artifact) -> ParityRequest:
    selection = Selection([registry.get("ort-cpu"), registry.get("paddle")], True)
    return ParityRequest(
        "toy.toml", ModelOptions(), artifact, artifact.precision, selection, (1, 4), InputOptions(limit=4)
    )


def test_int8_is_held_to_what_its_scales_reach(toy_toml: Path, toy_artifact: Artifact, toy_root: Path) -> None:
    """No edge cases, and the reference is the FP32 artifact's own."""
    variant = obtain(Request(str(toy_toml), precision="int8", root=toy_root), print)[0]
    images = run.images(request(variant))
    assert images.source == "4 seeded images"
    assert run.images(request(toy_artifact)).source == "4 seeded images and 5 edge cases"
    reference.obtain(variant, images)
    assert not (variant.path / "reference").exists()


def test_the_command(toy_toml: Path, toy_artifact: Artifact, toy_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    common = ("--model", str(toy_toml), "--artifacts", str(toy_root), "--out", str(folder), "--runtime", "ort-cpu")
    result = command(*common, "--batch", "1,3", "--json")
    assert result.returncode == 0, result.stderr
    (record,) = json.loads(result.stdout)["records"]
    assert (record["passed"], record["batches"], record["inputs"]["count"]) == (True, [1, 3], 13)
    assert record["inputs"]["source"] == "8 seeded images and 5 edge cases"
    assert parse((folder / "results.jsonl").read_text()) == record
    assert not (folder / "failures").exists()
    assert "Paddle's FP32" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--batch", "0"), "--batch '0'"),
        (("--precision", "fp8"), "fp8"),
        (("--runtime", "tvm"), "unknown runtime tvm"),
        (("--inputs", "nowhere"), "nowhere: there is no such file or folder"),
        (("--repro", "nowhere"), "the folder says what is checked; leave one out"),
        (None, "case.json is missing: no folder of a failure"),
    ],
)
def test_wrong_usage_is_one_clear_line(
    toy_toml: Path, toy_artifact: Artifact, toy_root: Path, arguments: tuple[str, ...] | None, message: str
) -> None:
    common = ("--model", str(toy_toml), "--artifacts", str(toy_root), "--runtime", "ort-cpu")
    result = CliRunner().invoke(parity.main, ["--repro", "nowhere"] if arguments is None else [*common, *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert message in result.stderr


@pytest.fixture
def changed(toy_artifact: Artifact, tmp_path: Path) -> Artifact:
    """The toy with one weight of one block changed by 1 % in the ONNX file."""
    folder = tmp_path / "changed"
    shutil.copytree(toy_artifact.path, folder, ignore=shutil.ignore_patterns("reference", "cache"))
    file = folder / "model.onnx"
    model = onnx.load(file)
    (weight,) = (one for one in model.graph.initializer if one.name == "blocks.1.mlp.fc1.weight")
    array = numpy_helper.to_array(weight).copy()
    array[0, 0] *= 1.01
    weight.CopyFrom(numpy_helper.from_array(array, weight.name))
    onnx.save(model, file)
    files = {**toy_artifact.manifest.files, "model.onnx": FileEntry(file.stat().st_size, sha256_file(file))}
    return artifacts.save(folder, replace(toy_artifact.manifest, files=files))


def test_a_failure_is_found_kept_and_reproduced(changed: Artifact, case: Case, tmp_path: Path) -> None:
    failing = replace(case, artifact=changed)
    checked: Checked = check(failing)
    assert checked.record.passed is False
    assert cast("float", checked.record.max_abs) < 1e-4 * case.reference.largest, "a bound of 1e-4 would not see it"
    kept = run.keep(tmp_path / "run", failing, checked)
    assert kept == "failures/toy-fp32-ort-cpu"
    moved = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "run" / kept, moved)
    shutil.rmtree(changed.path)
    result = command("--repro", str(moved), "--json")
    assert result.returncode == 1, result.stderr
    (record,) = json.loads(result.stdout)["records"]
    for name in ("reason", "max_abs", "cosine", "worst_image", "tolerance", "inputs", "batches", "artifact"):
        assert record[name] == json.loads(json.dumps(to_table(checked.record)))[name]
    assert record["command"] == f"python -m validate.parity --repro {moved}"
    assert result.stderr.splitlines()[-1] == f"failed: parity: toy fp32 on ort-cpu: {record['reason']}"


def test_a_failure_says_where_to_look(toy_artifact: Artifact, case: Case, tmp_path: Path) -> None:
    record = replace(check(case).record, failure_folder="failures/toy")
    selection = request(toy_artifact)
    broken, again = run.hints(selection, record, tmp_path)
    assert broken.startswith("toy on ort-cpu, where it breaks: python -m validate.bisect --model toy.toml ")
    assert broken.endswith("--runtime ort-cpu")
    assert again == f"toy on ort-cpu, again: python -m validate.parity --repro {tmp_path}/failures/toy"
    assert run.hints(selection, replace(record, nonfinite=None, failure_folder=None), tmp_path) == []
    of_file = replace(selection, chosen=replace(selection.chosen, onnx="other.onnx", name="opt"))
    assert "--name" not in run.hints(of_file, record, tmp_path)[0], "the file's name is not that of bisect's model"
    of_paddle = run.hints(selection, replace(record, runtime="paddle"), tmp_path)
    assert of_paddle[0].startswith("toy on paddle, where it breaks: python -m validate.bisect --model toy.toml ")
    assert of_paddle[1:] == [again.replace("ort-cpu", "paddle")]
    assert run.hints(selection, replace(record, runtime="served"), tmp_path) == [again.replace("ort-cpu", "served")]


def test_as_a_function_it_does_what_the_command_does(toy_artifact: Artifact, tmp_path: Path) -> None:
    records = list(run.run(request(toy_artifact), tmp_path / "run"))
    assert [(record.runtime, record.passed, record.batches) for record in records] == [
        ("ort-cpu", True, (1, 4)),
        ("paddle", True, (1, 4)),
    ]
    assert store.read(tmp_path / "run") == records
    assert " --runtime ort-cpu --batch 1,4 --limit 4" in records[0].command


def test_what_cannot_be_kept_loses_no_record(
    changed: Artifact, case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "failures").write_text("a file where the folder should be")
    failing = replace(case, artifact=changed)
    assert run.keep(tmp_path, failing, check(failing)) is None
    assert "the failure is not kept" in capsys.readouterr().err


def test_a_trained_model_on_photos(shared_data: Path, tmp_path: Path) -> None:
    weights = shared_data / "vit_tiny" / "vit_tiny_patch16_224.safetensors"
    arguments = ["--model", str(weights.with_suffix(".toml")), "--weights", str(weights), "--artifacts", str(tmp_path)]
    arguments += ["--runtime", "paddle,ort-cpu,openvino", "--out", str(tmp_path), "--json"]
    result = command(*arguments, "--inputs", str(shared_data / "photos_500" / "val_list.txt"))
    assert result.returncode == 0, result.stderr
    records = json.loads(result.stdout)["records"]
    assert [record["runtime"] for record in records] == ["paddle", "ort-cpu", "openvino"]
    for record in records:
        assert record["max_abs"] < 4 * record["tolerance"]["paddle_max_abs"] < 1e-4
        assert record["top1_agreement"] == 1
        assert record["inputs"]["source"] == "8 of 500 photos of val_list.txt and 5 edge cases"


def test_a_reason_with_brackets_is_shown_whole(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    record = replace(check(case).record, passed=False, reason="no [bold] kernel [Errno 2]")
    table.show([record])
    assert "no [bold] kernel [Errno 2]" in capsys.readouterr().err


def test_all_of_which_photos(toy_artifact: Artifact) -> None:
    with pytest.raises(InputError, match="--limit 0: all of which photos"):
        InputOptions(limit=0).load(toy_artifact)
