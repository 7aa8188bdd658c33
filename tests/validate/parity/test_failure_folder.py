"""A failure's folder: it holds all that is needed, says how, and gives the same verdict again."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convert.artifact import Artifact
from convert.common.errors import InputError
from convert.images import inputs
from runtimes import registry
from runtimes.base import Options
from runtimes.infer import Pass
from runtimes.records import blank
from runtimes.records.kinds import Parity
from validate.parity import failure_folder
from validate.parity.check import Case, Checked
from validate.parity.reference import Reference


@pytest.fixture
def case(toy_artifact: Artifact) -> Case:
    images = inputs.seeded(toy_artifact.preprocessing, 2)
    logits = np.arange(14, dtype=np.float64).reshape(2, 7)
    reference = Reference(logits, logits.astype(np.float32))
    options = Options(threads=1, batches=(1, 2), cache="/somewhere/else")
    return Case(toy_artifact, registry.get("ort-cpu"), options, images, (1, 2), reference)


@pytest.fixture
def checked(toy_artifact: Artifact) -> Checked:
    started = blank.start(Parity, toy_artifact, registry.get("ort-cpu"), Options())
    record = replace(started, status="failed", reason="{off} by 3", passed=False)
    outputs = (np.ones((2, 7), np.float32), np.full((2, 7), 2, np.float32))
    return Checked(record, (Pass(1, range(2)), Pass(2, range(2)[::-1])), outputs)


def test_it_comes_back_as_it_was(tmp_path: Path, case: Case, checked: Checked) -> None:
    folder = failure_folder.write(tmp_path / "run", case, checked)
    assert folder == tmp_path / "run" / "failures" / "toy-fp32-ort-cpu"
    found = failure_folder.read(folder)
    np.testing.assert_array_equal(found.inputs.images, case.inputs.images)
    np.testing.assert_array_equal(found.reference.logits, case.reference.logits)
    np.testing.assert_array_equal(found.reference.paddle, case.reference.paddle)
    assert (found.inputs.names, found.inputs.source) == (case.inputs.names, case.inputs.source)
    assert (found.runtime, found.batches) == (case.runtime, case.batches)
    assert found.options == Options(threads=1, batches=(1, 2)), "a cache elsewhere is no part of it"
    assert (found.artifact.sha256, found.artifact.damage()) == (case.artifact.sha256, None)
    np.testing.assert_array_equal(np.load(folder / "outputs.npy"), np.concatenate(checked.outputs))
    table = json.loads((folder / "case.json").read_text())
    assert table["passes"] == [{"batch": 1, "order": [0, 1]}, {"batch": 2, "order": [1, 0]}]
    assert table["record"]["failure_folder"] == "failures/toy-fp32-ort-cpu"
    text = (folder / "README.md").read_text()
    assert "{off} by 3" in text
    assert f"python -m validate.parity --repro {folder}" in text


def test_a_model_is_linked_and_not_copied(tmp_path: Path, case: Case, checked: Checked) -> None:
    folder = failure_folder.write(tmp_path, case, checked)
    for name in ("model.onnx", "paddle/inference.json", "paddle/inference.pdiparams", "manifest.json"):
        assert (folder / "model" / name).samefile(case.artifact.path / name)


def test_where_it_cannot_be_linked_it_is_copied_and_a_large_one_is_said(
    tmp_path: Path, case: Case, checked: Checked, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, os.strerror(18))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(failure_folder, "_LARGE", case.artifact.onnx.stat().st_size)
    folder = failure_folder.write(tmp_path, case, checked)
    assert not (folder / "model" / "model.onnx").samefile(case.artifact.onnx)
    assert failure_folder.read(folder).artifact.damage() is None
    told = capsys.readouterr().err.splitlines()
    assert any(line.startswith("copying model.onnx (0.0 GB)") for line in told)
    assert not any("manifest.json" in line for line in told)


def test_the_same_case_replaces_its_folder_and_another_one_does_not(
    tmp_path: Path, case: Case, checked: Checked
) -> None:
    first = failure_folder.write(tmp_path, case, checked)
    worse = Checked(replace(checked.record, reason="worse"), checked.passes, ())
    assert failure_folder.write(tmp_path, case, worse) == first
    assert not (first / "outputs.npy").exists(), "it gave no answer this time"
    other = Case(**{**vars(case), "inputs": inputs.seeded(case.artifact.preprocessing, 2, seed=7)})
    second = failure_folder.write(tmp_path, other, checked)
    assert second.name == "toy-fp32-ort-cpu-2"
    assert failure_folder.write(tmp_path, other, checked) == second
    assert "worse" in (first / "README.md").read_text()
    assert sorted(path.name for path in first.parent.iterdir()) == [first.name, second.name]


def test_no_room_is_a_clear_line(tmp_path: Path, case: Case, checked: Checked) -> None:
    (tmp_path / "failures").write_text("a file where the folder should be")
    with pytest.raises(InputError, match=r"toy-fp32-ort-cpu: cannot be written"):
        failure_folder.write(tmp_path, case, checked)


class TestDamage:
    @pytest.fixture
    def folder(self, tmp_path: Path, case: Case, checked: Checked) -> Path:
        folder = failure_folder.write(tmp_path, case, checked)
        shutil.copytree(folder, tmp_path / "copied")  # links would lead to the toy itself
        return tmp_path / "copied"

    @pytest.mark.parametrize("name", ["case.json", "inputs.npy", "expected.npy", "paddle_fp32.npy", "model/model.onnx"])
    def test_a_missing_file_is_named(self, folder: Path, name: str) -> None:
        (folder / name).unlink()
        with pytest.raises(InputError, match=rf"{Path(name).name} is missing"):
            failure_folder.read(folder)

    @pytest.mark.parametrize("name", ["case.json", "inputs.npy", "expected.npy", "model/model.onnx"])
    def test_a_damaged_file_is_no_traceback(self, folder: Path, name: str) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:-3] + b"\xff")
        with pytest.raises(InputError, match="--repro"):
            failure_folder.read(folder)

    def test_a_file_of_another_check_is_seen(self, folder: Path) -> None:
        np.save(folder / "expected.npy", np.zeros((3, 7)))
        with pytest.raises(InputError, match="damaged"):
            failure_folder.read(folder)

    def test_nothing_is_unpickled(self, folder: Path) -> None:
        np.save(folder / "inputs.npy", np.array([{}], dtype=object), allow_pickle=True)
        with pytest.raises(InputError, match="damaged"):
            failure_folder.read(folder)

    def test_a_table_that_is_none(self, folder: Path) -> None:
        for text in ("[]", "{}", "null", '{"options": 3}'):
            (folder / "case.json").write_text(text)
            with pytest.raises(InputError, match="damaged"):
                failure_folder.read(folder)
