"""Rounds, stopping, refusing and resuming, with an executor that makes up its outcomes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.artifact import Artifact
from convert.common import typed
from convert.common.disk import json_lines as lines
from runtimes.bench.schedule.outcome import VISITS, VisitOutcome
from runtimes.bench.worker.job import Job
from runtimes.records import store
from runtimes.records.kinds import Latency
from runtimes.records.parts import Memory
from runtimes.statistics import Noise
from tests.runtimes.bench.made_up import NAMES, POLICY, Fake, good, measure, numbers, proven


def test_cells_are_visited_in_rounds_of_random_order(make_plan: Any, folder: Path) -> None:
    policy = replace(POLICY, processes=6, min_count=12)
    fake = Fake(good)
    made = measure(make_plan(*NAMES, batches=(1, 2), policy=policy), folder, fake)
    visited = [(job.runtime, job.batch) for job in fake.jobs]
    rounds = [visited[i : i + 6] for i in range(0, len(visited), 6)]
    assert len(visited) == 36
    assert all(sorted(one) == sorted(rounds[0]) for one in rounds), "each cell once in each round"
    assert len({tuple(one) for one in rounds}) > 1, "not always in the same order"
    assert {record.status for record in made} == {"ok"}
    assert fake.jobs[0].effort.min_count == 2, "each visit does its share"
    assert fake.jobs[0].effort.min_s == pytest.approx(0.04 / 6)


def test_a_record_holds_every_sample_and_says_where_each_process_begins(make_plan: Any, folder: Path) -> None:
    fake = Fake(good)
    (record,) = measure(make_plan("fake-a"), folder, fake)
    outcomes = [good(job, visit) for visit, job in enumerate(fake.jobs)]
    assert record.samples_ms == tuple(s for o in outcomes for s in (o.numbers.samples_ms if o.numbers else ()))
    assert [p.count for p in record.processes] == [6] * len(outcomes)
    assert record.median_ms == np.median(record.samples_ms)
    assert record.interval.processes == len(outcomes)
    assert record.peak_memory_bytes == 350
    assert record.memory == Memory(process_bytes=350, model_bytes=250, loaded_bytes=200)
    assert record.disturbance.steal is None
    assert record.disturbance.unmeasured == {"steal": "no counter"}
    assert (record.load_ms, record.first_ms, record.foreign_load) == (50, 7, 0.01)
    assert record.command.startswith("python -m runtimes.bench --model ")
    assert "--min-count 8 --target 0.05" in record.command
    assert store.read(folder)[-1] == record


def test_a_cell_goes_on_until_its_interval_is_narrow_enough(make_plan: Any, folder: Path) -> None:
    def noisy(job: Job, visit: int) -> VisitOutcome:
        level = 10 * np.exp(np.random.default_rng(visit + 3).normal(0, 0.05))
        return VisitOutcome(numbers([level] * 6), speed_ms=(4.0, 4.0))

    fake = Fake(noisy)
    (record,) = measure(make_plan("fake-a"), folder, fake)
    low, high = record.run_ci95_ms
    assert len(fake.jobs) > 2
    assert record.status == "ok"
    assert (high - low) / 2 / record.median_ms <= 0.05
    limited = Fake(noisy)
    (record,) = measure(make_plan("fake-a", policy=replace(POLICY, max_s=0.1)), folder, limited)
    assert record.status == "unstable"
    assert "wider than asked" in record.reason
    assert record.median_ms > 0, "flagged and kept"
    assert len(limited.jobs) < len(fake.jobs)


def test_a_record_knows_how_far_runs_lie_apart(make_plan: Any, folder: Path) -> None:
    """The run goes on until its own interval is narrow enough, whatever runs differ in."""
    fake = Fake(good, runs=Noise(0.05, 40))
    (record,) = measure(make_plan("fake-a"), folder, fake)
    low, high = (end / record.median_ms for end in record.ci95_ms)
    assert low < 0.93 < record.run_ci95_ms[0] / record.median_ms
    assert record.run_ci95_ms[1] / record.median_ms < 1.07 < high
    assert (record.status, len(fake.jobs)) == ("ok", 2)


def test_minima_of_time_and_count_are_both_reached(make_plan: Any, folder: Path) -> None:
    policy = replace(POLICY, min_count=30, target=0.5)
    (record,) = measure(make_plan("fake-a", policy=policy), folder, Fake(good))
    assert record.count >= 30
    (record,) = measure(make_plan("fake-a", policy=replace(POLICY, min_s=0.5, target=0.5)), folder, Fake(good))
    assert sum(record.samples_ms) >= 500


CRASH = "the process was ended by SIGSEGV"


def crashing(*visits: int) -> Callable[[Job, int], VisitOutcome]:
    """fake-b's process crashes at these visits."""
    return lambda job, visit: (
        VisitOutcome(None, CRASH, crashed=True) if job.runtime == "fake-b" and visit in visits else good(job, visit)
    )


def test_a_process_that_crashes_is_replaced_and_the_crash_recorded(make_plan: Any, folder: Path) -> None:
    fake = Fake(crashing(1))
    by_name = {record.runtime: record for record in measure(make_plan(*NAMES), folder, fake)}
    assert [by_name[name].status for name in NAMES] == ["ok"] * 3
    assert [by_name[name].crashes for name in NAMES] == [(), (CRASH,), ()]
    assert len(by_name["fake-b"].processes) == 2
    assert [job.runtime for job in fake.jobs].count("fake-b") == 3


def test_what_crashes_twice_has_failed_and_the_rest_goes_on(make_plan: Any, folder: Path) -> None:
    fake = Fake(crashing(0, 2))
    by_name = {record.runtime: record for record in measure(make_plan(*NAMES), folder, fake)}
    assert by_name["fake-b"].status == "failed"
    assert by_name["fake-b"].reason == f"{CRASH}, the second process to crash"
    assert by_name["fake-b"].crashes == (CRASH,)
    assert by_name["fake-b"].median_ms is None
    assert by_name["fake-a"].status == by_name["fake-c"].status == "ok"
    (again,) = measure(make_plan("fake-b"), folder, Fake(crashing(1)), resume=True)
    assert (again.status, again.crashes) == ("ok", (CRASH,)), "another chance, with one crash of its own"


def test_a_crash_is_remembered_by_a_run_that_goes_on(make_plan: Any, folder: Path) -> None:
    def broken_off(job: Job, visit: int) -> VisitOutcome:
        if visit:
            raise KeyboardInterrupt
        return crashing(0)(job, visit)

    with pytest.raises(KeyboardInterrupt):
        measure(make_plan("fake-b"), folder, Fake(broken_off))
    (record,) = measure(make_plan("fake-b"), folder, Fake(good), resume=True)
    assert (record.status, record.crashes) == ("ok", (CRASH,))


def test_what_ends_otherwise_has_failed_at_once(make_plan: Any, folder: Path) -> None:
    fake = Fake(lambda job, visit: VisitOutcome(None, "took longer than 120 s and was stopped"))
    (record,) = measure(make_plan("fake-a"), folder, fake)
    assert (record.status, len(fake.jobs)) == ("failed", 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"effective": {"precision": "bf16", "device": "CPU"}}, "fake-a computed in bf16 instead of fp32"),
        ({"effective": {"precision": "fp32", "device": "GPU"}}, "fake-a ran on GPU instead of CPU"),
        ({"discrepancies": ["2 threads instead of 1"]}, "2 threads instead of 1"),
    ],
)
def test_what_ran_as_something_else_gives_no_number(
    make_plan: Any, folder: Path, changes: dict[str, Any], reason: str
) -> None:
    fake = Fake(lambda job, visit: VisitOutcome(numbers([10.0] * 6, **changes), speed_ms=(4.0, 4.0)))
    (record,) = measure(make_plan("fake-a"), folder, fake)
    assert (record.status, record.reason, record.median_ms) == ("failed", reason, None)


def test_only_what_passed_parity_is_measured(make_plan: Any, tmp_path: Path, toy_artifact: Artifact) -> None:
    proven(tmp_path, toy_artifact, {"fake-a": False, "fake-b": True})
    fake = Fake(good)
    made = measure(make_plan("fake-a", "fake-b"), tmp_path, fake)
    assert made[0].status == "refused"
    assert made[0].reason == "parity failed: logits differ by 3"
    assert {job.runtime for job in fake.jobs} == {"fake-b"}


def test_what_does_not_fit_is_refused_first(make_plan: Any, folder: Path) -> None:
    plan = make_plan("fake-a", "fake-b")
    large = replace(plan, cells=plan.cells[1:], refused=((plan.cells[0], "needs 90 GB of memory"),))
    large = replace(large, estimate=replace(large.estimate, costs=large.estimate.costs[1:]))
    made = measure(large, folder, Fake(good))
    assert [(r.runtime, r.status, r.reason) for r in made] == [
        ("fake-a", "refused", "needs 90 GB of memory"),
        ("fake-b", "ok", None),
    ]


def test_a_job_carries_its_limits(make_plan: Any, folder: Path) -> None:
    fake = Fake(good)
    measure(make_plan("fake-a"), folder, fake)
    assert fake.jobs[0].memory_limit_bytes == int(0.9 * (1 << 30))
    assert fake.jobs[0].timeout_s == 120.0
    assert typed.read(Job, typed.table(fake.jobs[0])) == fake.jobs[0]


def test_killed_anywhere_and_resumed_every_record_is_there_once(make_plan: Any, folder: Path) -> None:
    """The executor dies before a random table, again and again; visits that were made are not made again."""
    rng = random.Random(0)
    plan, total, starts = make_plan(*NAMES, batches=(1, 2)), 0, 0
    for attempt in range(200):
        fuse = rng.randrange(2)

        fake = Fake(good)

        def dying(job: Job, visit: int, fuse: int = fuse, fake: Fake = fake) -> VisitOutcome:
            if len(fake.tables) > fuse:
                fake.jobs.pop()
                raise KeyboardInterrupt
            return good(job, visit)

        fake.act = dying
        try:
            measure(plan, folder, fake, resume=attempt > 0)
        except KeyboardInterrupt:
            starts += 1
            continue
        finally:
            total += len(fake.jobs)
        break
    kept = [record for record in store.read(folder) if isinstance(record, Latency)]
    assert starts > 3
    assert len(kept) == len({record.key for record in kept}) == 6
    assert {record.status for record in kept} == {"ok"}
    assert total == len(lines.read(folder / VISITS)), "no visit was made twice"


def test_a_run_that_is_not_resumed_starts_afresh(make_plan: Any, folder: Path) -> None:
    plan = make_plan("fake-a")
    first = measure(plan, folder, Fake(good))
    fake = Fake(good)
    second = measure(plan, folder, fake)
    assert len(fake.jobs) == len(first[0].processes)
    assert len(second[0].samples_ms) == len(first[0].samples_ms)
    nothing = Fake(good)
    assert measure(plan, folder, nothing, resume=True) == second
    assert nothing.jobs == []


def test_what_failed_is_tried_again_from_the_start(make_plan: Any, folder: Path) -> None:
    crash = Fake(lambda job, visit: good(job, visit) if visit == 0 else VisitOutcome(None, "ended by SIGKILL"))
    (record,) = measure(make_plan("fake-a"), folder, crash)
    assert record.status == "failed"
    again = Fake(good)
    (record,) = measure(make_plan("fake-a"), folder, again, resume=True)
    assert record.status == "ok"
    assert len(again.jobs) == 2
