"""Who is measured beside whom, and where the time goes that is left, with an executor that makes up its outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.artifact import Artifact
from runtimes import pairs
from runtimes.bench.plan.plan import Plan
from runtimes.bench.schedule.outcome import VisitOutcome
from runtimes.bench.schedule.state import RunState
from runtimes.bench.worker.job import Job
from tests.runtimes.bench.made_up import NAMES, POLICY, Fake, good, measure, numbers, proven

MANY = 24  # visits, and no cell gets more


def taking(levels: dict[str, float], unlike: float = 0.004) -> Callable[[Job, int], VisitOutcome]:
    """Visits of four turns of two samples, whose names are those of the other cells' visit of that number."""

    def act(job: Job, visit: int) -> VisitOutcome:
        chance = np.random.default_rng([visit, NAMES.index(job.runtime)])
        level = levels[job.runtime] * np.exp(chance.normal(0, unlike))
        turns = [{"name": f"{visit}.{turn}", "count": 2} for turn in range(4)]
        samples = level * np.exp(chance.normal(0, 0.001, 8))
        return VisitOutcome(numbers(samples, turns=turns), speed_ms=(4.0, 4.0), seconds=1.0)

    return act


TURNS = [{"name": f"busy.{turn}", "count": 2} for turn in range(4)]


def visits(fake: Fake) -> Counter[str]:
    return Counter(job.runtime for job in fake.jobs)


def test_time_that_is_left_goes_to_those_that_are_not_told_apart(make_plan: Any, folder: Path) -> None:
    fake = Fake(taking({"fake-a": 10.0, "fake-b": 10.0, "fake-c": 15.0}))
    made = measure(make_plan(*NAMES, policy=replace(POLICY, minutes=60)), folder, fake)
    assert visits(fake) == {"fake-a": MANY, "fake-b": MANY, "fake-c": POLICY.processes}
    assert made[0].runtime == "fake-c", "what is out of the running is done"
    assert {record.runtime: len(record.processes) for record in made} == visits(fake)
    assert {record.status for record in made} == {"ok"}


def test_it_ends_once_they_are_told_apart(make_plan: Any, folder: Path) -> None:
    fake = Fake(taking({"fake-a": 10.0, "fake-b": 10.2, "fake-c": 15.0}))
    made = {
        record.runtime: record
        for record in measure(make_plan(*NAMES, policy=replace(POLICY, minutes=60)), folder, fake)
    }
    found = visits(fake)
    assert POLICY.processes < found["fake-a"] == found["fake-b"] < MANY
    assert found["fake-c"] == POLICY.processes
    ratio = pairs.ratio(made["fake-b"], made["fake-a"])
    assert ratio is not None
    assert ratio.value == pytest.approx(1.02, abs=0.008)
    assert ratio.turns == 4 * found["fake-a"]


def test_what_is_known_at_once_takes_no_more_than_its_minimum(make_plan: Any, folder: Path) -> None:
    fake = Fake(taking({"fake-a": 10.0, "fake-b": 15.0, "fake-c": 20.0}))
    measure(make_plan(*NAMES, policy=replace(POLICY, minutes=60)), folder, fake)
    assert set(visits(fake).values()) == {POLICY.processes}


def test_a_machine_too_busy_to_tell_is_asked_again_while_there_is_time(make_plan: Any, folder: Path) -> None:
    def act(job: Job, visit: int) -> VisitOutcome:
        found = taking({"fake-a": 10.0, "fake-b": 15.0})(job, visit)
        met = [{"waited": 1.5, "foreign": 0.5}] * 8
        return found if visit > 3 else replace(found, numbers=numbers(found.measured.samples_ms, met=met, turns=TURNS))

    fake = Fake(act)
    measure(make_plan("fake-a", "fake-b", policy=replace(POLICY, minutes=60, repeats=0)), folder, fake)
    assert min(visits(fake).values()) > POLICY.processes, "which of them is faster was not known by then"


def test_without_minutes_a_run_ends_by_its_target(make_plan: Any, folder: Path) -> None:
    fake = Fake(taking(dict.fromkeys(NAMES, 10.0)))
    measure(make_plan(*NAMES), folder, fake)
    assert set(visits(fake).values()) == {POLICY.processes}


def test_when_the_minutes_are_over_what_is_open_stays_open(
    monkeypatch: pytest.MonkeyPatch, make_plan: Any, folder: Path
) -> None:
    fake = Fake(taking(dict.fromkeys(NAMES, 10.0)))
    monkeypatch.setattr(RunState, "out_of_time", property(lambda self: len(fake.jobs) >= 15))
    made = measure(make_plan(*NAMES, policy=replace(POLICY, minutes=60)), folder, fake)
    assert set(visits(fake).values()) == {5}
    assert {record.status for record in made} == {"ok"}


def test_each_batch_size_has_a_top_of_its_own(make_plan: Any, folder: Path) -> None:
    def act(job: Job, visit: int) -> VisitOutcome:
        close = {"fake-a": 10.0, "fake-b": 10.0 if job.batch == 2 else 15.0}
        return taking(close)(job, visit)

    fake = Fake(act)
    measure(make_plan("fake-a", "fake-b", batches=(1, 2), policy=replace(POLICY, minutes=60)), folder, fake)
    found = Counter((job.runtime, job.batch) for job in fake.jobs)
    assert {found["fake-a", 1], found["fake-b", 1]} == {POLICY.processes}
    assert {found["fake-a", 2], found["fake-b", 2]} == {MANY}


def test_a_cell_that_fails_is_no_rival(make_plan: Any, folder: Path) -> None:
    def act(job: Job, visit: int) -> VisitOutcome:
        if job.runtime == "fake-b" and visit == 3:
            return VisitOutcome(None, "took longer than 120 s and was stopped")
        return taking(dict.fromkeys(NAMES, 10.0))(job, visit)

    fake = Fake(act)
    made = measure(make_plan("fake-a", "fake-b", policy=replace(POLICY, minutes=60)), folder, fake)
    assert {record.runtime: record.status for record in made} == {"fake-a": "ok", "fake-b": "failed"}
    assert visits(fake) == {"fake-a": 4, "fake-b": 4}


def test_what_was_measured_before_it_was_broken_off_counts(make_plan: Any, folder: Path) -> None:
    levels = {"fake-a": 10.0, "fake-b": 10.0, "fake-c": 15.0}

    def broken(job: Job, visit: int) -> VisitOutcome:
        if visit == 5:
            raise KeyboardInterrupt
        return taking(levels)(job, visit)

    plan = make_plan(*NAMES, policy=replace(POLICY, minutes=60))
    with pytest.raises(KeyboardInterrupt):
        measure(plan, folder, Fake(broken))
    fake = Fake(lambda job, visit: taking(levels)(job, visit + 5))
    measure(plan, folder, fake, resume=True)
    assert visits(fake) == {"fake-a": MANY - 5, "fake-b": MANY - 5}


def test_rivals_have_their_turns_together_and_others_do_not(make_plan: Any, folder: Path) -> None:
    fake = Fake(good)
    measure(make_plan(*NAMES, batches=(1, 2)), folder, fake)
    assert all(sorted(table) == list(NAMES) for table in fake.tables)
    batches = [job.batch for job in fake.jobs]
    assert all(len(set(batches[at : at + 3])) == 1 for at in range(0, len(batches), 3))
    assert set(batches) == {1, 2}


def needing(plan: Plan, megabytes: int, free_bytes: int | None) -> Plan:
    costs = tuple(replace(cost, memory_bytes=megabytes << 20) for cost in plan.estimate.costs)
    return replace(plan, estimate=replace(plan.estimate, costs=costs, free_memory_bytes=free_bytes))


@pytest.mark.parametrize(
    ("megabytes", "free_bytes", "sizes"),
    [(150, 1 << 30, [3]), (250, 1 << 30, [2, 1]), (400, 1 << 30, [1, 1, 1]), (400, None, [3])],
)
def test_sessions_that_do_not_fit_into_memory_together_are_not_open_together(
    make_plan: Any, folder: Path, megabytes: int, free_bytes: int | None, sizes: list[int]
) -> None:
    """0.6 of what was free is theirs. Nobody is left out, and who is alone changes."""
    fake = Fake(good)
    policy = replace(POLICY, processes=6, target=0.5)
    measure(needing(make_plan(*NAMES, policy=policy), megabytes, free_bytes), folder, fake)
    rounds = [fake.tables[at : at + len(sizes)] for at in range(0, len(fake.tables), len(sizes))]
    assert len(rounds) == 6
    for tables in rounds:
        assert [len(table) for table in tables] == sizes
        assert sorted(name for table in tables for name in table) == list(NAMES)
    if sizes == [2, 1]:
        assert len({table[0] for table in fake.tables if len(table) == 1}) > 1


def test_on_a_gpu_each_is_alone(make_plan: Any, tmp_path: Path, toy_artifact: Artifact) -> None:
    proven(tmp_path, toy_artifact, dict.fromkeys(NAMES, True), device="GPU")
    plan = make_plan(*NAMES)
    cells = tuple(replace(cell, options=replace(cell.options, device="GPU")) for cell in plan.cells)
    there = {"precision": "fp32", "device": "GPU", "details": {}}
    fake = Fake(lambda job, visit: VisitOutcome(numbers([10.0, 10.01] * 3, effective=there), speed_ms=(4.0, 4.0)))
    made = measure(replace(plan, cells=cells), tmp_path, fake)
    assert [record.status for record in made] == ["ok"] * 3
    assert [len(table) for table in fake.tables] == [1] * 6
