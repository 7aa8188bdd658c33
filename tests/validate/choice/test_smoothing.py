"""int8 with several strengths of the smoothing side by side: made, measured, told apart, and the chosen one left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from convert import build
from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common.errors import CheckFailed, InputError
from convert.making import Say
from convert.model_options import ModelOptions
from runtimes import registry
from runtimes.base import Options
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.schedule import aggregate, parity
from runtimes.bench.schedule.state import PendingCell
from runtimes.records import store
from runtimes.records.kinds import Accuracy, Latency
from tests.runtimes.bench.made_up import POLICY
from tests.runtimes.records.made import record
from tests.validate.choice.made_up import latency, runner
from validate.choice import candidates, deliver
from validate.choice.budget import LATENCY
from validate.choice.candidates import Question, gather


@pytest.fixture
def int8(toy_toml: Path, tmp_path: Path) -> Artifact:
    """The toy's int8 in a root of its own."""
    return obtain(Request(str(toy_toml), "seeded:1", "int8", root=tmp_path / "artifacts"), print)[0]


def question(toy_toml: Path, int8: Artifact, strengths: tuple[float, ...] | None = None) -> Question:
    root = int8.path.parents[1]
    return Question(
        str(toy_toml), ModelOptions(), "fp32,int8", root, LATENCY, "ort-cpu", threads=(1,), strengths=strengths
    )


@pytest.fixture
def field(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's int8 was calibrated on drawn images, which a race takes no part with."""
    monkeypatch.setattr(candidates, "_refused", lambda *asked: None)


def test_on_and_off_take_part_the_one_that_is_there_first(
    toy_toml: Path, int8: Artifact, field: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = gather(question(toy_toml, int8), judged=True)
    names = ["ort-cpu fp32, 1 thread", "ort-cpu int8 smoothed at 0.5, 1 thread", "ort-cpu int8 not smoothed, 1 thread"]
    assert [one.name for one in found.runners] == names
    assert [one.later for one in found.runners] == [0, 0, 1]
    usual, off = (found.cell(one).artifact for one in found.runners[1:])
    assert (usual.path, usual.sha256) == (int8.path, int8.sha256)
    assert off.path == int8.path.with_name("int8-smooth-0")
    assert off.manifest.smoothed == ()
    assert "int8-smooth-0" in found.cell(found.runners[2]).name

    only = gather(question(toy_toml, int8, (0.0,)), judged=True)
    assert [one.name for one in only.runners] == [names[0], names[2]]
    assert only.cell(only.runners[1]).artifact.sha256 == off.sha256

    usual_way = build.beside

    def fails(request: Request, present: Artifact, smooth: float, say: Say) -> Artifact:
        if smooth == 0:
            raise InputError("the photos are gone")
        return usual_way(request, present, smooth, say)

    monkeypatch.setattr(build, "beside", fails)
    found = gather(question(toy_toml, int8), judged=True)
    assert [one.name for one in found.runners] == names[:2]
    assert found.out == ("int8 not smoothed: the photos are gone",)


def test_what_is_beside_keeps_all_else_of_the_one_that_is_there(toy_toml: Path, tmp_path: Path) -> None:
    kept = ("blocks.1.mlp.fc2",)
    request = Request(
        str(toy_toml), "seeded:1", "int8", root=tmp_path, keep_fp32=kept, int8_range="portable", smooth=0.0
    )
    off, _ = obtain(request, print)
    asked = Request(str(toy_toml), precision="int8", root=tmp_path)
    assert build.beside(asked, off, 0.0, print) is off
    on = build.beside(asked, off, 0.5, print)
    assert off.manifest.recipe
    assert on.manifest.recipe == replace(off.manifest.recipe, smooth=0.5)
    assert [one.operator for one in on.manifest.kept_fp32 or ()] == list(kept)
    assert on.path == tmp_path / "toy" / "int8-smooth-0.5"
    assert obtain(asked, print)[0].sha256 == off.sha256, "it is still there"


def test_the_chosen_one_becomes_the_models_int8(toy_toml: Path, int8: Artifact) -> None:
    asked = Request(str(toy_toml), precision="int8", root=int8.path.parents[1])
    off = build.beside(asked, int8, 0.0, print)
    cell = Cell(str(toy_toml), off, registry.get("ort-cpu"), "int8", Options("int8"), 1)
    found = deliver.settled(cell)
    assert (found.artifact.path, found.artifact.sha256) == (int8.path, off.sha256)
    assert obtain(asked, print)[0].sha256 == off.sha256
    assert deliver.settled(found) is found
    other = replace(off, manifest=replace(off.manifest, files=int8.manifest.files))
    with pytest.raises(CheckFailed, match="made again it is not what was measured"):
        deliver.settled(replace(cell, artifact=other))


def test_parity_is_checked_of_each(toy_toml: Path, int8: Artifact, field: None, tmp_path: Path) -> None:
    found = gather(question(toy_toml, int8), judged=True)
    cells = [one for one in found.cells if one.precision == "int8"]
    waiting = [PendingCell(one, "", aggregate.blank(one, "", POLICY), None, 0) for one in cells]  # type: ignore[arg-type]
    asked: list[list[str]] = []
    parity.known(waiting, tmp_path, "here", lambda group: asked.append([one.artifact.sha256 for one in group]))
    assert asked == [[one.artifact.sha256] for one in cells]


def test_the_report_is_of_the_one_that_was_chosen(tmp_path: Path) -> None:
    on, off = runner("ort-cpu int8", 10), runner("ort-cpu int8", 9)
    for one, artifact in ((on, "on"), (off, "off")):
        one.final = latency(one.pace, precision="int8", artifact=artifact)
        one.accuracy = record(Accuracy, precision="int8", artifact=artifact)
    for artifact in ("off", "on"):
        store.append(tmp_path, record(Accuracy, precision="int8", artifact=artifact))
    deliver.records(tmp_path, [off, on], off, tmp_path / "final")
    for kind in (Accuracy, Latency):
        assert [one.artifact for one in store.read(tmp_path) if isinstance(one, kind)][-1] == "off"
    count = len(store.read(tmp_path))
    deliver.records(tmp_path, [off, on], off, tmp_path / "final")
    assert len(store.read(tmp_path)) == count, "once"
