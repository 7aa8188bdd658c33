"""Parity on the toy: it holds on every runtime, and whatever is planted to break it is found and named."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

from convert import isolate
from convert.artifact import MANIFEST, Artifact
from convert.files import sha256_file
from runtimes import registry
from runtimes.base import Options
from runtimes.infer import Pass
from validate import check as checks
from validate import inputs, parity, reference
from validate.check import Case, Checked, check, passes

FP32_ON_CPU = {"precision": "fp32", "device": "CPU", "details": {}}


@pytest.fixture
def case(toy_artifact: Artifact) -> Case:
    images = inputs.seeded(toy_artifact.preprocessing, 5) + inputs.edge_cases(toy_artifact.preprocessing)
    return Case(
        toy_artifact, registry.get("ort-cpu"), Options(), images, (1, 4), reference.obtain(toy_artifact, images)
    )


Change = Callable[[np.ndarray, Pass], np.ndarray]


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """`check` of a runtime that answers with the reference's logits after `change(logits, pass)`."""

    def run(case: Case, change: Change, effective: dict[str, Any] = FP32_ON_CPU) -> dict[str, Any]:
        def infer(artifact: Artifact, runtime: str, options: Options, images: np.ndarray, ways: Any) -> Any:
            logits = case.reference.logits.astype(np.float32)
            return [change(logits[list(way.order)].copy(), way) for way in ways], effective

        monkeypatch.setattr(checks, "infer", infer)
        return check(case).record

    return run


@pytest.mark.parametrize("name", ["paddle", "ort-cpu", "openvino"])
def test_it_holds_on_every_runtime(case: Case, name: str) -> None:
    record = check(replace(case, runtime=registry.get(name))).record
    assert record["passed"] is True, record["reason"]
    assert record["batch_invariant"] is True
    assert record["reference"] == "paddle float64, plain kernels, batch 1"
    bounds = record["tolerance"]
    assert 0 < record["max_abs"] <= bounds["max_abs"] / 2
    assert 0 < bounds["needed"] < bounds["factor"] / 2
    assert 0 < bounds["paddle_max_abs"] < 1e-6 * bounds["largest_logit"]
    assert record["worst_image"] in case.inputs.names
    assert (record["nonfinite"], record["top1_agreement"], record["top1_flips"]) == (0, 1, 0)
    assert record["snr_db"] > 110
    assert 0 <= record["kl"] < 1e-9
    assert record["p50_abs"] <= record["p99_abs"] <= record["p999_abs"] <= record["max_abs"]
    assert record["effective"]["precision"] == "fp32"
    json.dumps(record, allow_nan=False)


def test_images_go_alone_in_each_batch_in_another_order_and_as_identical_rows() -> None:
    assert [(way.batch, list(way.order)) for way in passes(3, (1, 2))] == [
        (1, [0, 1, 2]),
        (2, [0, 1, 2]),
        (2, [2, 1, 0]),
        (2, [0, 0]),
    ]
    assert [way.batch for way in passes(3, (4,))] == [1, 4, 4, 4], "alone, asked for or not"
    assert [(way.batch, list(way.order)) for way in passes(2, (1,))] == [(1, [0, 1]), (1, [1, 0])]


def nan(logits: np.ndarray, way: Pass) -> np.ndarray:
    logits[1, 0] = np.nan
    logits[1, 1] = -np.inf
    return logits


def shifted(logits: np.ndarray, way: Pass) -> np.ndarray:
    """By 5e-5 of the largest logit: no FP32 runtime is there, and a bound of 1e-4 would let it pass."""
    return logits + np.float32(2.5e-4)


def swapped(logits: np.ndarray, way: Pass) -> np.ndarray:
    """Images 0 and 1 change places in a batch that has them."""
    order = list(way.order)
    if way.batch == 4 and 1 in order:
        rows = [order.index(0), order.index(1)]
        logits[rows] = logits[rows[::-1]]
    return logits


def first_rows_swapped(logits: np.ndarray, way: Pass) -> np.ndarray:
    """What a runtime does that mixes up the first two rows of every batch."""
    for start in range(0, len(logits) - 1, 4):
        if way.batch == 4:
            logits[[start, start + 1]] = logits[[start + 1, start]]
    return logits


def mixed(logits: np.ndarray, way: Pass) -> np.ndarray:
    """Within the bound one way alone and the other way in a batch: only the rows' comparison can tell."""
    return logits + np.float32(-1.2e-6 if way.batch == 4 else 1.2e-6) * np.abs(logits).max()


def unlike(logits: np.ndarray, way: Pass) -> np.ndarray:
    """Identical rows of a batch come out differently; other batches are right."""
    if len(set(way.order)) == 1:
        logits[2] += np.float32(1e-4) * np.abs(logits).max()
    return logits


@pytest.mark.parametrize(
    ("change", "reason", "invariant"),
    [
        (nan, "8 logits are NaN or infinite (4 NaN, 4 infinite) (worst: ", None),
        (shifted, "logits differ by up to", True),
        (swapped, " at batch 4 differs from itself alone by", False),
        (swapped, "(it has the logits of seeded ", False),
        (first_rows_swapped, "an image's logits depend on what it shares a batch with", False),
        (mixed, "an image's logits depend on what it shares a batch with", False),
        (unlike, "seeded 0 at batch 4 differs from itself alone by", False),
    ],
)
def test_a_planted_fault_is_named(
    faked: Callable[..., dict[str, Any]], case: Case, change: Change, reason: str, invariant: bool
) -> None:
    record = faked(case, change)
    assert (record["passed"], record["status"], record["batch_invariant"]) == (False, "failed", invariant)
    assert reason in record["reason"]
    json.dumps(record, allow_nan=False)


def test_what_is_not_finite_is_counted_by_kind_and_the_image_named(
    faked: Callable[..., dict[str, Any]], case: Case
) -> None:
    def overflow(logits: np.ndarray, way: Pass) -> np.ndarray:
        if way.batch == 1:
            logits[list(way.order).index(5), 3] = np.inf
        return logits

    record = faked(case, overflow)
    assert (record["nonfinite"], record["nan"], record["inf"], record["max_abs"]) == (1, 0, 1, None)
    assert (record["worst_image"], record["tolerance"]["needed"]) == ("all black", None)


class TestAlikeImages:
    """A seeded model tells images hardly apart: their logits correlate by 0.98 and more."""

    @pytest.fixture
    def alike(self, case: Case) -> Case:
        first = case.reference.logits[0]
        logits = first + np.random.default_rng(0).standard_normal((10, 7)) * 1e-4 * case.reference.largest
        noise = np.random.default_rng(1).standard_normal(logits.shape) * 3e-7 * case.reference.largest
        assert np.corrcoef(logits)[0, 1] > 0.999999
        return replace(case, reference=reference.Reference(logits, (logits + noise).astype(np.float32)))

    def test_a_swap_is_found(self, faked: Callable[..., dict[str, Any]], alike: Case) -> None:
        record = faked(alike, swapped)
        assert record["batch_invariant"] is False
        assert "(it has the logits of seeded" in record["reason"]
        assert faked(alike, lambda logits, way: logits)["passed"]

    def test_also_in_a_precision_that_allows_more_than_they_differ(
        self, faked: Callable[..., dict[str, Any]], alike: Case
    ) -> None:
        coarse = replace(alike, options=Options("bf16"))
        effective = FP32_ON_CPU | {"precision": "bf16"}
        record = faked(coarse, swapped, effective)
        assert record["max_abs"] < record["tolerance"]["max_abs"]
        assert record["batch_invariant"] is False
        assert "(it has the logits of seeded" in record["reason"]

    def test_the_same_photo_twice_is_no_swap(self, faked: Callable[..., dict[str, Any]], alike: Case) -> None:
        logits = alike.reference.logits.copy()
        logits[1] = logits[0]
        twice = replace(alike, reference=reference.Reference(logits, alike.reference.paddle))
        assert faked(twice, swapped)["passed"]


def test_a_flip_within_the_bound_is_a_tie_and_no_fault(faked: Callable[..., dict[str, Any]], case: Case) -> None:
    logits = case.reference.logits.copy()
    first, second = np.argsort(-logits[2])[:2]
    logits[2, second] = logits[2, first] - 1e-7
    tied = replace(case, reference=reference.Reference(logits, (logits + 1e-6).astype(np.float32)))

    def flip(found: np.ndarray, way: Pass) -> np.ndarray:
        if 2 in way.order:
            found[list(way.order).index(2), second] += np.float32(1e-6)
        return found

    record = faked(tied, flip)
    assert (record["passed"], record["top1_flips"], record["top1_ties"]) == (True, 1, 1)
    assert record["top1_agreement"] == 0.9
    (one,) = record["flips"]
    assert (one["image"], one["expected"], one["found"], one["tie"]) == ("seeded 2", first, second, True)
    assert one["margin"] == pytest.approx(1e-7)
    assert parity._top1(record) == "90% (1 flipped, 1 of them a tie)"


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({"precision": "bf16"}, "ort-cpu computed in bf16 instead of fp32"),
        ({"device": "GPU.1"}, "ort-cpu ran on GPU.1 instead of CPU"),
    ],
)
def test_another_precision_or_device_than_asked_for_is_no_pass(
    faked: Callable[..., dict[str, Any]], case: Case, found: dict[str, str], reason: str
) -> None:
    record = faked(case, lambda logits, way: logits, FP32_ON_CPU | found)
    assert (record["passed"], record["reason"]) == (False, reason)


def test_a_runtime_that_crashes_is_recorded(monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    def crash(*_: object) -> None:
        raise isolate.JobError("the process was ended by SIGSEGV")

    monkeypatch.setattr(checks, "infer", crash)
    checked = check(case)
    record = checked.record
    assert (record["status"], record["passed"], record["nonfinite"]) == ("failed", False, None)
    assert record["reason"] == "ort-cpu did not run it: the process was ended by SIGSEGV"
    assert checked.outputs == ()


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "validate.parity", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_the_command(toy_toml: Path, toy_artifact: Artifact, toy_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    common = ("--model", str(toy_toml), "--artifacts", str(toy_root), "--out", str(folder), "--runtime", "ort-cpu")
    result = command(*common, "--batch", "1,3", "--json")
    assert result.returncode == 0, result.stderr
    (record,) = json.loads(result.stdout)["records"]
    assert (record["passed"], record["batches"], record["inputs"]["count"]) == (True, [1, 3], 13)
    assert record["inputs"]["source"] == "8 seeded images and 5 edge cases"
    assert json.loads((folder / "results.jsonl").read_text()) == record
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
    files = {
        **toy_artifact.manifest["files"],
        "model.onnx": {"bytes": file.stat().st_size, "sha256": sha256_file(file)},
    }
    artifact = Artifact(folder, {**toy_artifact.manifest, "files": files})
    (folder / MANIFEST).write_text(json.dumps(artifact.manifest))
    return artifact


def test_a_failure_is_found_kept_and_reproduced(changed: Artifact, case: Case, tmp_path: Path) -> None:
    failing = replace(case, artifact=changed)
    checked: Checked = check(failing)
    assert checked.record["passed"] is False
    assert checked.record["max_abs"] < 1e-4 * case.reference.largest, "a bound of 1e-4 would not see it"
    kept = parity._keep(tmp_path / "run", failing, checked)
    assert kept == "failures/toy-fp32-ort-cpu"
    moved = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "run" / kept, moved)
    shutil.rmtree(changed.path)
    result = command("--repro", str(moved), "--json")
    assert result.returncode == 1, result.stderr
    (record,) = json.loads(result.stdout)["records"]
    for name in ("reason", "max_abs", "cosine", "worst_image", "tolerance", "inputs", "batches", "artifact"):
        assert record[name] == checked.record[name]
    assert record["command"] == f"python -m validate.parity --repro {moved}"
    assert result.stderr.splitlines()[-1] == f"failed: parity: toy fp32 on ort-cpu: {record['reason']}"


def test_a_failure_says_where_to_look(case: Case, tmp_path: Path) -> None:
    record = {"model": "toy", "runtime": "ort-cpu", "nonfinite": 0, "failure_folder": "failures/toy"}
    again = f"toy on ort-cpu, again: python -m validate.parity --repro {tmp_path}/failures/toy"
    assert parity._hints(tmp_path, record, "BISECT") == ["toy on ort-cpu, where it breaks: BISECT", again]
    assert parity._hints(tmp_path, {**record, "nonfinite": None, "failure_folder": None}, "BISECT") == []
    assert len(parity._hints(tmp_path, {**record, "runtime": "paddle"}, "BISECT")) == 1


def test_what_cannot_be_kept_loses_no_record(
    changed: Artifact, case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "failures").write_text("a file where the folder should be")
    failing = replace(case, artifact=changed)
    assert parity._keep(tmp_path, failing, check(failing)) is None
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
        assert record["inputs"]["source"] == "8 photos of val_list.txt and 5 edge cases"


def test_a_reason_with_brackets_is_shown_whole(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    record = check(case).record | {"passed": False, "reason": "no [bold] kernel [Errno 2]"}
    parity._show([record])
    assert "no [bold] kernel [Errno 2]" in capsys.readouterr().err
