"""The verdict on runs that an executor made up, held against each other by the real comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.artifact import Artifact
from convert.common.errors import CheckFailed, InputError
from convert.common.files import write_json
from runtimes.base import Options
from runtimes.bench.plan.matrix import Cell, Cost, Estimate, Plan, Policy
from runtimes.bench.schedule.executor import Outcome
from runtimes.bench.worker.job import Job
from runtimes.system import environment
from scripts import repeatability
from scripts.repeatability import Judged, Run
from tests.runtimes.bench.made_up import FAKES, NAMES, Fake, measure, numbers, proven

POLICY = Policy(processes=8, min_s=0.01, min_count=8, target=0.5, max_s=10, repeats=0)
CELLS = NAMES[:2]
MISSED = "1 of 1 slower runs are not found"


@pytest.fixture
def make(toy_artifact: Artifact, tmp_path: Path) -> Any:
    """A run of two cells in its folder, whose processes differ by 0.5 %; slower: by what share."""
    cells = tuple(Cell("toy", toy_artifact, FAKES[name], "fp32", Options(batches=(1, 2)), 1) for name in CELLS)
    cost = Cost(1.0, 1.0, 10, 0, "rate")
    plan = Plan(cells, (), POLICY, Estimate((cost, cost), 0, 1, 10, 0, 1 << 30, None))

    def made(name: str, slower: float = 0.0, speed_ms: tuple[float, float] = (4.0, 4.0)) -> None:
        def act(job: Job, visit: int) -> Outcome:
            chance = np.random.default_rng([*name.encode(), visit, CELLS.index(job.runtime)])
            level = 10 * (1 + slower) * np.exp(chance.normal(0, 0.005))
            return Outcome(
                numbers(level * np.exp(chance.normal(0, 0.002, 6))), speed_ms=speed_ms, time_utc=name.partition("-")[2]
            )

        folder = tmp_path / name
        proven(folder, toy_artifact, dict.fromkeys(CELLS, True))
        environment.save(folder)
        records = measure(plan, folder, Fake(act))
        write_json(folder / repeatability.RECORDS, {"records": records})

    return made


def gathered(out: Path, names: Sequence[str], again: int = 0) -> list[Run]:
    return repeatability.gather(out, names, again, ())


def test_runs_that_agree_and_a_slower_model_that_is_found(
    make: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["equal-0", "slower-1", "equal-2"]
    for name in names:
        make(name, 0.05 if "slower" in name else 0.0)
    repeatability.report(tmp_path, gathered(tmp_path, names))
    told = capsys.readouterr().out
    assert "It holds" in told
    assert "slower-1 against equal-0 (exit status 1)" in told
    assert "the slower model +5." in told or "the slower model +4." in told


@pytest.mark.parametrize(
    ("slower", "told"),
    [
        ({"equal-0": 0.05}, ["1 of 1 comparisons of equal runs do not say 'no change'", MISSED]),
        ({}, [MISSED]),
    ],
)
def test_what_does_not_hold_is_told(make: Any, tmp_path: Path, slower: dict[str, float], told: list[str]) -> None:
    names = ["equal-0", "slower-1", "equal-2"]
    for name in names:
        make(name, slower.get(name, 0.0))
    with pytest.raises(CheckFailed) as error:
        repeatability.report(tmp_path, gathered(tmp_path, names))
    assert error.value.message.split("; ")[-len(told) :] == told


def test_intervals_that_cover_too_little_are_told() -> None:
    cell = repeatability.Cell({f"equal-{i}": 10.0 for i in range(10)} | {"slower-0": 99.0})
    cell.intervals = dict.fromkeys(cell.medians, (9.9, 10.1))
    cell.intervals["equal-0"] = (10.05, 10.2)
    assert (cell.common, repeatability.covered({"a": cell})) == (10.0, (9, 10))
    assert repeatability.shortcomings([], {"a": cell}, [], []) == []
    cell.intervals["equal-1"] = (float("nan"), float("nan"))
    assert repeatability.shortcomings([], {"a": cell}, [], []) == ["8 of 10 intervals cover the common median"]


def test_how_far_runs_differ_beyond_their_processes() -> None:
    """By hand: logarithms 0, 0.02 and 0.04 have a variance of 0.0004, of which processes explain 0.0003."""
    cell = repeatability.Cell({f"equal-{i}": 10 * np.exp(0.02 * i) for i in range(3)} | {"slower-0": 99.0})
    cell.errors = dict.fromkeys(cell.medians, 3e-4**0.5) | {"slower-0": 1.0}
    assert cell.runs_cv == pytest.approx(0.01)
    cell.errors["equal-0"] = 0.1
    assert cell.runs_cv == 0.0


def test_a_disturbed_run_is_made_again_or_told(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["equal-0", "equal-1"]
    make("equal-0", speed_ms=(4.0, 5.0))
    make("equal-1")
    with pytest.raises(CheckFailed, match="1 of 2 runs were disturbed"):
        repeatability.report(tmp_path, gathered(tmp_path, names))
    stored, waiting = repeatability.measure, ["equal-0"]

    def remade(out: Path, name: str, words: Sequence[str]) -> Run:
        if not (out / name).exists():
            make(waiting.pop())
        return stored(out, name, words)

    monkeypatch.setattr(repeatability, "measure", remade)
    runs = gathered(tmp_path, names, again=1)
    assert waiting == []
    assert [run.name for run in runs] == names, "in the order of their times"
    assert not any(run.disturbed for run in runs)
    assert (tmp_path / "disturbed-0-equal-0").is_dir()
    assert "to be made again" in capsys.readouterr().err


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
