"""The reference: Paddle in float64 and Paddle's own FP32 beside it, computed once and kept by hash."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.artifact import Artifact
from convert.common import paddle, worker
from convert.common.errors import CheckFailed, InputError
from convert.families.vit import VisionTransformerSpec
from convert.images import inputs
from convert.images.inputs import Inputs
from convert.manifest import FileEntry
from convert.weights import seeded
from tests.vit_numpy import forward
from validate.parity import reference


@pytest.fixture
def images(toy_artifact: Artifact) -> Inputs:
    return inputs.seeded(toy_artifact.preprocessing, 3) + inputs.edge_cases(toy_artifact.preprocessing)


@pytest.fixture
def own(toy_artifact: Artifact, tmp_path: Path) -> Artifact:
    """A copy of the toy that may be changed, with no reference yet."""
    ignored = shutil.ignore_patterns("reference", "cache")
    return Artifact(shutil.copytree(toy_artifact.path, tmp_path / "own", ignore=ignored), toy_artifact.manifest)


def fake(logits: np.ndarray, paddle: np.ndarray) -> Any:
    """Stands for the process that computes: writes these logits."""

    def call(target: str, job: dict[str, str]) -> None:
        assert target == "validate.parity.reference:run_job"
        logits.astype(np.float64).tofile(Path(job["folder"], "float64"))
        paddle.astype(np.float32).tofile(Path(job["folder"], "float32"))

    return call


def test_it_is_the_truth_and_paddles_own_fp32_beside_it(toy_artifact: Artifact, images: Inputs) -> None:
    spec = toy_artifact.spec
    assert isinstance(spec, VisionTransformerSpec)
    # As they stand in the program and in the ONNX file.
    scale, epsilon = float(np.float32(spec.attention_scale)), float(np.float32(spec.epsilon))
    state = {name: tensor.read() for name, tensor in seeded.tensors(1, spec).items()}
    found = reference.obtain(toy_artifact, images)
    expected = forward(replace(spec, qk_scale=scale, epsilon=epsilon), state, images.images)
    assert (found.logits.dtype, found.paddle.dtype) == (np.dtype(np.float64), np.dtype(np.float32))
    np.testing.assert_allclose(found.logits, expected, rtol=0, atol=1e-12)
    assert found.largest == np.abs(found.logits).max()
    assert 1e-8 < found.paddle_max_abs / found.largest < 2e-6


def test_it_is_computed_once(monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact, images: Inputs) -> None:
    first = reference.obtain(toy_artifact, images)
    monkeypatch.setattr(worker, "call", lambda *_: pytest.fail("computed again"))
    again = reference.obtain(toy_artifact, images)
    np.testing.assert_array_equal(again.logits, first.logits)
    np.testing.assert_array_equal(again.paddle, first.paddle)
    assert toy_artifact.damage() is None, "what is kept beside the model is no part of it"


def test_nothing_else_is_left(own: Artifact, images: Inputs) -> None:
    reference.obtain(own, images)
    (kept,) = (own.path / "reference").iterdir()
    assert kept.stat().st_size < own.paddle_params.stat().st_size
    assert kept.stat().st_mode & 0o777 == 0o644


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch, images: Inputs) -> list[str]:
    """How often it was computed, faked: an entry each time."""
    times: list[str] = []
    logits = np.arange(len(images.images) * 7, dtype=np.float64).reshape(-1, 7)

    def call(target: str, job: dict[str, str]) -> None:
        times.append(target)
        fake(logits, logits + 1e-3)(target, job)

    monkeypatch.setattr(worker, "call", call)
    return times


def test_another_program_image_or_method_is_another_reference(
    own: Artifact, images: Inputs, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reference.obtain(own, images).paddle_max_abs == pytest.approx(1e-3, rel=1e-2)
    files = own.manifest.files
    onnx = replace(own.manifest, files={**files, "model.onnx": FileEntry(1, "0")})
    reference.obtain(Artifact(own.path, onnx), images)
    assert len(computed) == 1, "the ONNX file has no part in it"
    weights = replace(own.manifest, files={**files, "paddle/inference.pdiparams": FileEntry(1, "0")})
    reference.obtain(Artifact(own.path, weights), images)
    other = Inputs(images.images + np.float32(1e-3), images.source, images.names)
    reference.obtain(own, other)
    monkeypatch.setattr(reference, "NAME", "another method")
    reference.obtain(own, images)
    assert len(computed) == 4


def test_a_file_of_before_or_a_damaged_one_is_not_taken(own: Artifact, images: Inputs, computed: list[str]) -> None:
    folder = own.path / "reference"
    folder.mkdir()
    np.save(folder / f"{images.sha256}.npy", np.zeros((8, 7), np.float32))  # FP32, as it was kept once
    found = reference.obtain(own, images)
    assert found.logits[1, 1] == 8
    (kept,) = folder.glob("*.npz")
    whole = kept.read_bytes()
    for damaged in (b"", whole[:200], b"PK" + whole[2:300], whole[:-30]):
        kept.write_bytes(damaged)
        computed.clear()
        assert reference.obtain(own, images).logits[1, 1] == 8
        assert len(computed) == 1
    np.savez(kept, logits=np.zeros((2, 7)), paddle=np.zeros((2, 7)))
    assert reference.obtain(own, images).logits[1, 1] == 8


@pytest.mark.parametrize("wrong", ["logits", "paddle"])
def test_without_a_reference_there_is_no_verdict(
    own: Artifact, images: Inputs, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    arrays = {name: np.ones((len(images.images), 7)) for name in ("logits", "paddle")}
    arrays[wrong][0, 0] = np.nan
    monkeypatch.setattr(worker, "call", fake(**arrays))
    with pytest.raises(CheckFailed, match="not finite"):
        reference.obtain(own, images)
    assert list((own.path / "reference").iterdir()) == []


def test_a_crash_of_paddle_is_a_reason(own: Artifact, images: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise worker.JobError("the process was ended by SIGSEGV")

    monkeypatch.setattr(worker, "call", crash)
    with pytest.raises(CheckFailed, match=r"no reference, since Paddle itself cannot run it: .* SIGSEGV"):
        reference.obtain(own, images)
    assert list((own.path / "reference").iterdir()) == []


def test_a_damaged_program_is_named(own: Artifact, images: Inputs) -> None:
    own.paddle_program.write_text("no program")
    with pytest.raises((CheckFailed, InputError), match=r"toy|damaged"):
        reference.obtain(own, images)
    assert list((own.path / "reference").iterdir()) == [], "nothing of float64 is left"


def test_no_room_beside_the_artifact_is_a_clear_line(own: Artifact, images: Inputs) -> None:
    (own.path / "reference").write_text("a file where the folder should be")
    with pytest.raises(InputError, match=r"the reference cannot be kept: .*reference: cannot be written"):
        reference.obtain(own, images)


def test_without_paddle_only_what_is_kept_is_had(
    toy_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paddle, "installed", lambda: False)
    found = Artifact(tmp_path, toy_artifact.manifest)
    shown = inputs.seeded(toy_artifact.preprocessing, 1, seed=3)
    with pytest.raises(InputError, match=r"reference of these inputs.*needs paddlepaddle.*vitbench\[convert\]"):
        reference.obtain(found, shown)
    kept = np.ones((1, 7))
    reference._save(tmp_path / "reference" / f"{reference._key(found, shown)}.npz", reference.Reference(kept, kept))
    assert reference.obtain(found, shown).logits.tolist() == kept.tolist()
