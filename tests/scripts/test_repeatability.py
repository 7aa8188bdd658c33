"""The verdict on runs that an executor made up, held against each other by the real comparison."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.artifact import Artifact
from convert.common.errors import InputError
from runtimes.base import Options
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.plan.plan import CellCost, Plan, PlanEstimate
from runtimes.bench.plan.settings import Policy
from runtimes.bench.schedule.executor import VisitOutcome
from runtimes.bench.worker.job import Job
from runtimes.records.kinds import Latency
from runtimes.records.parts import IntervalMethod
from runtimes.system import environment
from scripts import repeatability
from scripts.common import Finding
from scripts.repeatability import Judged, MatrixRun
from tests.runtimes.bench.made_up import FAKES, NAMES, Fake, measure, numbers, proven

POLICY = Policy(processes=8, min_s=0.01, min_count=8, target=0.5, max_s=10, repeats=0)
CELLS = NAMES[:2]
EQUAL, SLOWER_FOUND = "equal runs compared", "slower runs compared"


@pytest.fixture
def make(toy_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A run of two cells in its folder, whose processes differ by 0.5 %; slower: by what share."""
    cells = tuple(Cell("toy", toy_artifact, FAKES[name], "fp32", Options(batches=(1, 2)), 1) for name in CELLS)
    cost = CellCost(1.0, 1.0, 10, 0, "rate")
    made_up: dict[str, Any] = {}

    def measured(out: Path, name: str, words: Sequence[str]) -> MatrixRun:
        return MatrixRun(name, {record.runtime: record for record in made_up[name]})

    monkeypatch.setattr(repeatability, "measure", measured)
    plan = Plan(cells, (), POLICY, PlanEstimate((cost, cost), 0, 1, 10, 0, 1 << 30, None))

    def made(name: str, slower: float = 0.0, speed_ms: tuple[float, float] = (4.0, 4.0)) -> None:
        def act(job: Job, visit: int) -> VisitOutcome:
            chance = np.random.default_rng([*name.encode(), visit, CELLS.index(job.runtime)])
            level = 10 * (1 + slower) * np.exp(chance.normal(0, 0.005))
            return VisitOutcome(
                numbers(level * np.exp(chance.normal(0, 0.002, 6))), speed_ms=speed_ms, time_utc=name.partition("-")[2]
            )

        folder = tmp_path / name
        proven(folder, toy_artifact, dict.fromkeys(CELLS, True))
        environment.save(folder)
        made_up[name] = measure(plan, folder, Fake(act))

    return made


def judged(out: Path, names: Sequence[str]) -> dict[str, Finding]:
    """The findings on these runs, by what they are of."""
    return {one.subject: one for one in repeatability.hold(out, repeatability.gather(out, names, 0, ()))}


def test_runs_that_agree_and_a_slower_model_that_is_found(
    make: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["equal-0", "slower-1", "equal-2"]
    for name in names:
        make(name, 0.05 if "slower" in name else 0.0)
    found = judged(tmp_path, names)
    assert {one.verdict for one in found.values()} == {"holds"}
    assert found[SLOWER_FOUND].found == "1 of 1"
    assert "slower-1 against equal-0 (exit status 1)" in capsys.readouterr().err


@pytest.mark.parametrize(("slower", "wrong"), [({"equal-0": 0.05}, [EQUAL, SLOWER_FOUND]), ({}, [SLOWER_FOUND])])
def test_what_does_not_hold_is_told(make: Any, tmp_path: Path, slower: dict[str, float], wrong: list[str]) -> None:
    names = ["equal-0", "slower-1", "equal-2"]
    for name in names:
        make(name, slower.get(name, 0.0))
    found = judged(tmp_path, names)
    assert [found[subject].found for subject in wrong] == ["0 of 1"] * len(wrong)
    assert {found[subject].verdict for subject in wrong} == {"DOES NOT HOLD"}
    assert found[EQUAL].verdict == ("DOES NOT HOLD" if EQUAL in wrong else "holds")


def cell(median_ms: float, low: float = 9.9, high: float = 10.1, error: float = 0.0) -> Latency:
    """Of two processes that give the median this standard error."""
    return Latency(
        model="toy",
        precision="fp32",
        runtime="mnn",
        device=None,
        artifact=None,
        status="ok",
        reason=None,
        effective=None,
        command="",
        format=2,
        median_ms=median_ms,
        ci95_ms=(low, high),
        interval=IntervalMethod(between_cv=error * 2**0.5, processes=2),
    )


def test_intervals_that_cover_too_little_are_told() -> None:
    cells = [cell(10.0, 10.05, 10.2), *[cell(10.0)] * 9]
    assert repeatability.covering(cells) == 9

    def covered(cells: Sequence[Latency]) -> Finding:
        runs = [MatrixRun(f"equal-{number}", {"mnn": one}) for number, one in enumerate(cells)]
        return repeatability.judge([*runs, MatrixRun("slower-0", {"mnn": cell(99.0)})], [], [])[0]

    assert (covered(cells).found, covered(cells).verdict) == ("9 of 10", "holds")
    cells[1] = dataclasses.replace(cell(10.0), ci95_ms=None)
    assert (covered(cells).found, covered(cells).verdict) == ("8 of 10", "DOES NOT HOLD")


def test_how_far_runs_differ_beyond_their_processes() -> None:
    """By hand: logarithms 0, 0.02 and 0.04 have a variance of 0.0004, of which processes explain 0.0003."""
    cells = [cell(float(10 * np.exp(0.02 * i)), error=3e-4**0.5) for i in range(3)]
    assert repeatability.runs_cv(cells) == pytest.approx(0.01)
    assert repeatability.runs_cv([cell(10.0, error=0.1), *cells[1:]]) == 0.0


def test_what_was_disturbed_is_measured_again_or_told(
    make: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["equal-0", "equal-1"]
    make("equal-0", speed_ms=(4.0, 5.0))
    make("equal-1")
    undisturbed = judged(tmp_path, names)["runs that were not disturbed"]
    assert (undisturbed.found, undisturbed.verdict) == ("1 of 2", "DOES NOT HOLD")
    capsys.readouterr()
    made: list[str] = []
    measured = repeatability.measure

    def remade(out: Path, name: str, words: Sequence[str]) -> MatrixRun:
        made.append(name)
        if made == ["equal-0", "equal-1", "equal-0"]:
            make("equal-0")
        return measured(out, name, words)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeatability, "measure", remade)
        runs = repeatability.gather(tmp_path, names, 1, ())
    assert made == ["equal-0", "equal-1", "equal-0"]
    assert [run.name for run in runs] == names, "in the order of their times"
    assert not any(run.disturbed for run in runs)
    assert "to be measured again" in capsys.readouterr().err


def test_cannot_tell_is_not_no_change() -> None:
    assert Judged("a", "b", [("x", "no change", 0.0)], 0).same
    assert not Judged("a", "b", [("x", "no change", 0.0), ("y", "cannot tell", None)], 0).same
    assert not Judged("a", "b", [("x", "faster", -0.1)], 0).same
    assert not Judged("a", "b", [("x", "no change", 0.0)], 1).same, "something else got worse"
    assert not Judged("a", "b", [("x", "slower", 0.02)], 0).slower, "slower by less than the threshold"
    assert Judged("a", "b", [("x", "slower", 0.05)], 1).slower


def test_slower_runs_are_made_among_equal_ones_and_held_against_the_nearest() -> None:
    names = repeatability.order(10, 3)
    assert names == repeatability.order(10, 3)
    assert sorted(names[-3:]) != ["slower-0", "slower-1", "slower-2"]
    equal, slower = repeatability.against(["equal-3", "equal-0", "slower-0", "equal-1", "equal-2"])
    assert equal == [("equal-3", "equal-0"), ("equal-0", "equal-1"), ("equal-1", "equal-2")]
    assert slower == [("equal-0", "slower-0")]


def test_runs_of_other_settings_are_not_mixed(tmp_path: Path) -> None:
    repeatability.same_settings(tmp_path, {"words": ["mistyped"]})
    repeatability.same_settings(tmp_path, {"words": ["a"]})
    (tmp_path / "equal-0").mkdir()
    (tmp_path / "equal-0" / "visits.jsonl").touch()
    repeatability.same_settings(tmp_path, {"words": ["a"]})
    with pytest.raises(InputError, match="with other options"):
        repeatability.same_settings(tmp_path, {"words": ["b"]})
