"""Parity on the toy: it holds on every runtime, and whatever is planted to break it is found and named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from convert import isolate
from convert.artifact import Artifact
from convert.errors import CheckFailed, InputError
from convert.spec import Preprocessing
from runtimes import registry
from runtimes.base import Options
from validate import inputs, parity, reference
from validate.inputs import Inputs
from validate.metrics import Difference, compare, worst
from validate.tolerances import tolerance


@pytest.fixture
def seeded(toy_artifact: Artifact) -> Inputs:
    return inputs.seeded(toy_artifact.preprocessing, 5)


def check_faked(monkeypatch: pytest.MonkeyPatch, artifact: Artifact, seeded: Inputs, change: Any) -> dict[str, Any]:
    """`check` of a runtime that answers with the reference's logits after `change(logits, pass)`."""
    expected = reference.logits(artifact, seeded)

    def faked(artifact: Artifact, runtime: str, options: Options, images: np.ndarray, passes: Any) -> Any:
        found = [change(expected[list(one.order)].copy(), one) for one in passes]
        return found, {"precision": "fp32", "device": "CPU", "details": {}}

    monkeypatch.setattr(parity, "infer", faked)
    return parity.check(artifact, registry.get("ort-cpu"), Options(), seeded, [1, 4])


@pytest.mark.parametrize("name", registry.names())
def test_it_holds_on_every_runtime(toy_artifact: Artifact, seeded: Inputs, name: str) -> None:
    record = parity.check(toy_artifact, registry.get(name), Options(), seeded, [1, 4])
    assert record["passed"] is True
    assert record["batch_invariant"] is True
    assert 0 < record["max_abs"] < record["tolerance"]["max_abs"] / 5
    assert (record["nonfinite"], record["top1_agreement"]) == (0, 1)
    assert record["effective"]["precision"] == "fp32"


def nan(logits: np.ndarray, one: Any) -> np.ndarray:
    logits[0, 0] = np.nan
    return logits


def shifted(logits: np.ndarray, one: Any) -> np.ndarray:
    return logits + 3e-4 * np.abs(logits).max()


def swapped(logits: np.ndarray, one: Any) -> np.ndarray:
    return logits[[1, 0, *range(2, len(logits))]] if one.batch == 4 else logits


def mixed(logits: np.ndarray, one: Any) -> np.ndarray:
    """Half the bound one way alone and half of it the other way in a batch: only the rows' comparison can tell."""
    return logits + (0.8e-4 if one.batch == 4 else -0.8e-4) * np.abs(logits).max()


@pytest.mark.parametrize(
    ("change", "reason", "invariant"),
    [
        (nan, "3 logits are NaN or infinite", None),
        (shifted, "logits differ by up to", True),
        (swapped, "logits differ by up to", False),
        (mixed, "an image's logits depend on what it shares a batch with", False),
    ],
)
def test_a_planted_fault_is_named(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact, seeded: Inputs, change: Any, reason: str, invariant: bool
) -> None:
    record = check_faked(monkeypatch, toy_artifact, seeded, change)
    assert (record["passed"], record["status"], record["batch_invariant"]) == (False, "failed", invariant)
    assert reason in record["reason"]


def test_another_precision_than_asked_for_is_no_pass(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact, seeded: Inputs
) -> None:
    expected = reference.logits(toy_artifact, seeded)
    answer = {"precision": "bf16", "device": "CPU", "details": {}}
    monkeypatch.setattr(
        parity, "infer", lambda a, r, o, images, passes: ([expected[list(p.order)] for p in passes], answer)
    )
    record = parity.check(toy_artifact, registry.get("openvino"), Options(), seeded, [1])
    assert (record["passed"], record["reason"]) == (False, "openvino computed in bf16 instead of fp32")


def test_a_runtime_that_crashes_is_recorded(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact, seeded: Inputs
) -> None:
    reference.logits(toy_artifact, seeded)

    def crash(*_: object) -> None:
        raise isolate.JobError("the process was ended by SIGSEGV")

    monkeypatch.setattr(parity, "infer", crash)
    record = parity.check(toy_artifact, registry.get("ort-cpu"), Options(), seeded, [1])
    assert (record["status"], record["passed"], record["nonfinite"]) == ("failed", False, None)
    assert record["reason"] == "ort-cpu did not run it: the process was ended by SIGSEGV"


def test_the_reference_is_computed_once(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact, seeded: Inputs
) -> None:
    first = reference.logits(toy_artifact, seeded)
    monkeypatch.setattr(reference, "infer", lambda *_: pytest.fail("computed again"))
    np.testing.assert_array_equal(reference.logits(toy_artifact, seeded), first)
    assert toy_artifact.damage() is None, "what is kept beside the model is no part of it"


def test_without_a_reference_there_is_no_verdict(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact, toy_root: Path
) -> None:
    other = inputs.seeded(toy_artifact.preprocessing, 2, seed=99)
    monkeypatch.setattr(reference, "infer", lambda *_: ([np.full((2, 7), np.nan, np.float32)], {}))
    with pytest.raises(CheckFailed, match="not finite"):
        reference.logits(toy_artifact, other)


class TestMetrics:
    def test_by_hand(self) -> None:
        expected = np.array([[3, 4, 0], [0, 1, 0]], np.float32)
        found = np.array([[4, 3, 0], [0, 1, 0]], np.float32)
        difference = compare(found, expected)
        assert (difference.max_abs, difference.mean_abs) == (1, 2 / 6)
        assert difference.cosine == pytest.approx(24 / 25)
        assert (difference.top1_agreement, difference.top5_agreement) == (0.5, 1)

    def test_what_is_not_finite_is_counted_before_anything_is_averaged(self) -> None:
        found = np.array([[np.nan, np.inf, 1]], np.float32)
        assert compare(found, np.ones((1, 3), np.float32)) == Difference(2)
        assert worst([Difference(2), compare(np.ones((1, 3)), np.ones((1, 3)))]) == Difference(2)

    def test_shapes_must_agree(self) -> None:
        with pytest.raises(ValueError, match=r"\(2, 3\)"):
            compare(np.zeros((2, 3)), np.zeros((1, 3)))

    @given(hnp.arrays(np.float32, (4, 9), elements=st.floats(-100, 100, width=32)))
    def test_logits_agree_with_themselves(self, logits: np.ndarray) -> None:
        difference = compare(logits, logits)
        assert (difference.nonfinite, difference.max_abs, difference.top1_agreement) == (0, 0, 1)
        assert difference.top5_agreement == 1


def test_the_tolerance_lies_between_fp32_and_bf16() -> None:
    """A trained ViT's logits reach about 15; FP32 runtimes differ by 5e-5 there, bf16 by 5e-2 and more."""
    bounds = tolerance("fp32", 15.0)
    assert bounds.violation(Difference(0, 5e-5, 1e-5, 1.0, 1.0, 1.0)) is None
    assert "differ by up to 0.05" in str(bounds.violation(Difference(0, 5e-2, 1e-2, 0.9999, 1.0, 1.0)))
    assert "cosine 0.999000" in str(bounds.violation(Difference(0, 1e-4, 1e-5, 0.999, 1.0, 1.0)))


class TestInputs:
    def test_seeded_images_look_like_images(self) -> None:
        preprocessing = Preprocessing(64, 64)
        found = inputs.seeded(preprocessing, 4)
        assert found.images.shape == (4, 3, 64, 64)
        assert found.images.dtype == np.float32
        assert -1 <= found.images.min() < -0.5 < 0.5 < found.images.max() <= 1
        spectrum = np.abs(np.fft.rfft(found.images, axis=-1)).mean((0, 1, 2))
        assert spectrum[1:4].mean() > 5 * spectrum[-8:].mean()
        assert np.corrcoef(found.images[0, 0].ravel(), found.images[0, 1].ravel())[0, 1] > 0.5
        assert found.sha256 == inputs.seeded(preprocessing, 4).sha256 != inputs.seeded(preprocessing, 4, 1).sha256

    @pytest.fixture
    def photos(self, tmp_path: Path) -> Path:
        folder = tmp_path / "photos"
        folder.mkdir()
        for i, name in enumerate(["a b.png", "c.png", "d.png"]):
            cv2.imwrite(str(folder / name), np.full((40, 50, 3), 40 * i, np.uint8))
        (folder / "list.txt").write_text("d.png 3\na b.png 1\nc.png\n")
        return folder

    def test_photos(self, photos: Path) -> None:
        preprocessing = Preprocessing(32, 32)

        def levels(path: Path, count: int = 8) -> list[int]:
            images = inputs.photos(path, preprocessing, count).images
            return [round((image.mean() + 1) * 127.5) for image in images]

        assert levels(photos) == [0, 40, 80]
        assert levels(photos, 2) == [0, 40]
        assert levels(photos / "list.txt") == [80, 0, 40]
        assert levels(photos / "c.png") == [40]

    def test_what_are_no_photos(self, photos: Path, tmp_path: Path) -> None:
        empty = tmp_path / "empty"
        empty.mkdir()
        (photos / "z.png").write_bytes(b"no image")
        for path, message in (
            (empty, "no images"),
            (tmp_path / "x", "no such file"),
            (photos, r"z\.png cannot be decoded"),
        ):
            with pytest.raises(InputError, match=message):
                inputs.photos(path, Preprocessing(32, 32), 8)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "validate.parity", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_the_command(toy_toml: Path, toy_artifact: Artifact, toy_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    common = ("--model", str(toy_toml), "--artifacts", str(toy_root), "--out", str(folder))
    result = command(*common, "--runtime", "ort-cpu", "--batch", "1,3", "--json")
    assert result.returncode == 0, result.stderr
    (record,) = json.loads(result.stdout)["records"]
    assert (record["passed"], record["batches"], record["inputs"]["count"]) == (True, [1, 3], 8)
    assert json.loads((folder / "results.jsonl").read_text()) == record
    wrong = {
        ("--batch", "0"): "--batch '0'",
        ("--precision", "fp8"): "fp8",
        ("--runtime", "tvm"): "unknown runtime tvm",
    }
    for arguments, message in wrong.items():
        result = command(*common, *arguments)
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.startswith("error: ")
        assert message in result.stderr
        assert "Traceback" not in result.stderr


def test_a_trained_model_on_photos(shared_data: Path, tmp_path: Path) -> None:
    weights = shared_data / "vit_tiny" / "vit_tiny_patch16_224.safetensors"
    arguments = ["--model", str(weights.with_suffix(".toml")), "--weights", str(weights), "--artifacts", str(tmp_path)]
    result = command(
        *arguments, "--inputs", str(shared_data / "photos_500" / "val_list.txt"), "--out", str(tmp_path), "--json"
    )
    assert result.returncode == 0, result.stderr
    records = json.loads(result.stdout)["records"]
    assert [record["runtime"] for record in records] == ["paddle", "ort-cpu", "openvino"]
    for record in records:
        assert record["max_abs"] < 1e-4
        assert record["top1_agreement"] == 1


def test_a_reason_with_brackets_is_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    record = dict.fromkeys(("max_abs", "cosine", "top1_agreement")) | {"tolerance": {"max_abs": 1e-4}, "passed": False}
    parity._show([record | {"model": "m", "runtime": "r", "precision": "fp32", "reason": "no [bold] kernel [Errno 2]"}])
    assert "no [bold] kernel [Errno 2]" in capsys.readouterr().err
