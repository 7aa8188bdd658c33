"""The verdict on runs that an executor made up, held against each other by the real comparison."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from convert.artifact import Artifact
from reports.compare.compared import Compared
from reports.compare.judge import Comparison
from reports.load import results
from reports.load.results import Results
from runtimes.base import Options
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.plan.plan import CellCost, Plan, PlanEstimate
from runtimes.bench.plan.settings import Policy
from runtimes.bench.schedule.outcome import VisitOutcome
from runtimes.bench.worker.job import Job
from runtimes.records.kinds import Latency
from runtimes.system import environment
from scripts import repeatability
from scripts.common import Finding
from tests.runtimes.bench.made_up import FAKES, NAMES, Fake, measure, numbers, proven

POLICY = Policy(processes=8, min_s=0.01, min_count=8, target=0.5, max_s=10, repeats=0)
CELLS = NAMES[:2]
COVERING, EQUAL, SLOWER_FOUND, QUIET = (
    "intervals that cover the common median",
    "equal runs compared",
    "slower runs compared",
    "runs that were not disturbed",
)

Bench = Callable[..., Results]


@pytest.fixture
def bench(toy_artifact: Artifact, tmp_path: Path) -> Bench:
    """Makes a run of two cells in its folder, whose processes differ by 0.5 %; slower: by what share."""
    cells = tuple(Cell("toy", toy_artifact, FAKES[name], "fp32", Options(batches=(1, 2)), 1) for name in CELLS)
    cost = CellCost(1.0, 1.0, 10, 0, "rate")
    plan = Plan(cells, (), POLICY, PlanEstimate((cost, cost), 0, 1, 10, 0, 1 << 30, None))

    def made(name: str, slower: float = 0.0, speed_ms: tuple[float, float] = (4.0, 4.0)) -> Results:
        def act(job: Job, visit: int) -> VisitOutcome:
            chance = np.random.default_rng([*name.encode(), visit, CELLS.index(job.runtime)])
            level = 10 * (1 + slower) * np.exp(chance.normal(0, 0.005))
            return VisitOutcome(numbers(level * np.exp(chance.normal(0, 0.002, 6))), speed_ms=speed_ms)

        folder = tmp_path / f"{name}-{slower}-{speed_ms[1]}"
        proven(folder, toy_artifact, dict.fromkeys(CELLS, True))
        environment.save(folder)
        measure(plan, folder, Fake(act))
        return dataclasses.replace(results.load(folder), name=name)

    return made


def held(bench: Bench, slower: dict[str, float]) -> dict[str, Finding]:
    """The findings on three runs, by what they are of. slower: by what share, by the run's name."""
    runs = [bench(name, slower.get(name, 0.0)) for name in ("equal-0", "slower-1", "equal-2")]
    return {one.subject: one for one in repeatability.hold(runs)}


def test_runs_that_agree_and_a_slower_model_that_is_found(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    found = held(bench, {"slower-1": 0.05})
    assert {one.verdict for one in found.values()} == {"holds"}
    assert {name: one.found for name, one in found.items()} == {
        COVERING: "4 of 4",
        EQUAL: "1 of 1",
        SLOWER_FOUND: "1 of 1",
        QUIET: "3 of 3",
    }
    assert "slower-1 against equal-0: 3 regressions" in capsys.readouterr().err, "of each cell, and of both as one"


@pytest.mark.parametrize(("slower", "wrong"), [({"equal-0": 0.05}, [EQUAL, SLOWER_FOUND]), ({}, [SLOWER_FOUND])])
def test_what_does_not_hold_is_told(bench: Bench, slower: dict[str, float], wrong: list[str]) -> None:
    found = held(bench, slower)
    assert [found[subject].found for subject in wrong] == ["0 of 1"] * len(wrong)
    assert {found[subject].verdict for subject in wrong} == {"DOES NOT HOLD"}
    assert found[EQUAL].verdict == ("DOES NOT HOLD" if EQUAL in wrong else "holds")


def cell(median_ms: float, low: float = 9.9, high: float = 10.1) -> Latency:
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
    )


def test_intervals_that_cover_too_little_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [cell(10.0, 10.05, 10.2), *[cell(10.0)] * 9]
    assert repeatability.covering(cells) == 9
    monkeypatch.setattr(repeatability, "compare", lambda base, new: comparison())

    def covered(cells: Sequence[Latency]) -> Finding:
        equal = [Results(f"equal-{number}", (one,), {}, {}) for number, one in enumerate(cells)]
        return next(iter(repeatability.hold([*equal, Results("slower-0", (cell(99.0),), {}, {})])))

    assert (covered(cells).found, covered(cells).verdict) == ("9 of 10", "holds")
    cells[1] = dataclasses.replace(cell(10.0), ci95_ms=None)
    assert (covered(cells).found, covered(cells).verdict) == ("8 of 10", "DOES NOT HOLD")


def test_what_was_disturbed_is_measured_again_or_told(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    disturbed, quiet = bench("equal-0", speed_ms=(4.0, 5.0)), bench("equal-0")
    made = iter([disturbed, quiet, disturbed, disturbed])
    monkeypatch.setattr(repeatability, "bench", lambda out, name, effort: next(made))
    first = repeatability.run(tmp_path, "equal-0", ())
    assert not repeatability.disturbed(first)
    assert "measured again" in capsys.readouterr().err
    second = repeatability.run(tmp_path, "equal-1", ())
    assert repeatability.disturbed(second), "it was measured again once, and no more"
    undisturbed = list(repeatability.hold([first, second]))[-1]
    assert (undisturbed.subject, undisturbed.found, undisturbed.verdict) == (QUIET, "1 of 2", "DOES NOT HOLD")


def comparison(*verdicts: str, regressions: int = 0) -> Comparison:
    cells = [Compared("latency", "toy", one, "median", one) for one in verdicts]
    broken = [Compared("parity", "toy", "other", "parity", "worse", regression="it broke")] * regressions
    return Comparison((*cells, *broken), (), (), (), "", frozenset({"median"}))


def test_cannot_tell_is_not_no_change() -> None:
    assert repeatability.agrees(comparison("no change"))
    assert not repeatability.agrees(comparison("no change", "cannot tell"))
    assert not repeatability.agrees(comparison("faster"))
    assert not repeatability.agrees(comparison("no change", regressions=1)), "something else got worse"
    assert not repeatability.regressed(comparison("slower")), "slower by less than the threshold"
    assert repeatability.regressed(comparison("slower", regressions=1))


def test_slower_runs_are_made_among_equal_ones_and_held_against_the_nearest() -> None:
    names = repeatability.order(repeatability.RUNS)
    assert names == repeatability.order(repeatability.RUNS)
    assert len(names) == 13
    assert sorted(names[-3:]) != ["slower-0", "slower-1", "slower-2"]
    made = ["equal-3", "equal-0", "slower-0", "equal-1", "equal-2"]
    equal, slower = repeatability.against([Results(name, (), {}, {}) for name in made])
    assert [(base.name, new.name) for base, new in equal] == [
        ("equal-3", "equal-0"),
        ("equal-0", "equal-1"),
        ("equal-1", "equal-2"),
    ]
    assert [(base.name, new.name) for base, new in slower] == [("equal-0", "slower-0")]
