"""Rounds, repeats, stopping and resuming, with an executor that makes up its outcomes; parity by stored records."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.artifact import Artifact
from runtimes.base import Options, Runtime
from runtimes.bench import lines, records, run, store
from runtimes.bench.executor import Outcome
from runtimes.bench.job import Job
from runtimes.bench.plan import Cell, Cost, Estimate, Plan, Policy
from runtimes.bench.visits import VISITS

NAMES = ("fake-a", "fake-b", "fake-c")
FAKES = {
    name: Runtime(name, "json", ("numpy",), ("fp32",), lambda: ["CPU"], lambda artifact, options: None)  # type: ignore[arg-type,return-value]
    for name in NAMES
}
POLICY = Policy(processes=2, min_s=0.04, min_count=8, target=0.05, max_s=10, patience_s=5, repeats=1)


def numbers(samples: Sequence[float], **changes: Any) -> dict[str, Any]:
    """What a visit gives."""
    return {
        "samples_ms": list(samples),
        "warmup_ms": [9.0],
        "steady": True,
        "load_ms": 50.0,
        "first_ms": 7.0,
        "device_times_ms": None,
        "memory": {"before_load_bytes": 100, "after_load_bytes": 300, "peak_bytes": 350, "device_bytes": None},
        "disturbance": {"foreign_load": 0.01, "steal": None, "unmeasured": {"steal": "no counter"}},
        "effective": {"precision": "fp32", "device": "CPU", "details": {}},
        **changes,
    }


@dataclass
class Fake:
    """An executor: `act` makes the outcome of the n-th visit to a job."""

    act: Callable[[Job, int], Outcome]
    jobs: list[Job] = field(default_factory=list)
    patience: list[float] = field(default_factory=list)

    def machine(self) -> str:
        return "m"

    def slowdown(self, probe_ms: Sequence[float]) -> float:
        return max((0.0, *(reading / 4.0 - 1 for reading in probe_ms)))

    def run(self, jobs: Iterable[Job], patience_s: float) -> Iterator[Outcome]:
        for job in jobs:
            self.patience.append(patience_s)
            before = sum((one.runtime, one.batch) == (job.runtime, job.batch) for one in self.jobs)
            self.jobs.append(job)
            yield self.act(job, before)


class Silent:
    def parity(self, text: str) -> None: ...
    def visit(self, cell: Cell, number: int, rounds: int) -> None: ...
    def visited(self, cell: Cell, seconds: float, note: str | None) -> None: ...
    def waiting(self, seconds: float, why: str) -> None: ...
    def record(self, record: store.Record) -> None: ...


def good(job: Job, visit: int) -> Outcome:
    rng = np.random.default_rng([visit, job.batch, NAMES.index(job.runtime)])
    return Outcome(numbers(10 * job.batch * np.exp(rng.normal(0, 0.004, 6))), probe_ms=(4.0, 4.0))


@pytest.fixture
def make_plan(toy_artifact: Artifact, toy_toml: Path) -> Callable[..., Plan]:
    def make(*names: str, batches: tuple[int, ...] = (1,), policy: Policy = POLICY, refused: Any = ()) -> Plan:
        cells = tuple(
            Cell(str(toy_toml), toy_artifact, FAKES[name], "fp32", Options(batches=(1, 2)), batch, weights="seeded:1")
            for name, batch in itertools.product(names, batches)
        )
        costs = tuple(Cost(1.0, 1.0, 10, 0, "rate") for _ in cells)
        return Plan(cells, refused, policy, Estimate(costs, 0, 1, 10, 0, 1 << 30, None), seed=3)

    return make


def proven(folder: Path, artifact: Artifact, passed: dict[str, bool]) -> None:
    """Parity records, as the validator writes them."""
    for name, verdict in passed.items():
        record = records.blank("parity", artifact, FAKES[name], "fp32") | {"inputs": "seeded", "batches": [1, 2]}
        verdicts = {"status": "ok" if verdict else "failed", "reason": None if verdict else "logits differ by 3"}
        store.append(folder, record | verdicts | {"passed": verdict})


@pytest.fixture
def folder(tmp_path: Path, toy_artifact: Artifact) -> Path:
    proven(tmp_path, toy_artifact, dict.fromkeys(NAMES, True))
    return tmp_path


def measure(plan: Plan, folder: Path, fake: Fake, resume: bool = False) -> list[store.Record]:
    return list(run.run(plan, folder, resume, Silent(), fake))


def test_cells_are_visited_in_rounds_of_random_order(make_plan: Any, folder: Path) -> None:
    policy = replace(POLICY, processes=6, min_count=12)
    fake = Fake(good)
    made = measure(make_plan(*NAMES, batches=(1, 2), policy=policy), folder, fake)
    visited = [(job.runtime, job.batch) for job in fake.jobs]
    rounds = [visited[i : i + 6] for i in range(0, len(visited), 6)]
    assert len(visited) == 36
    assert all(sorted(one) == sorted(rounds[0]) for one in rounds), "each cell once in each round"
    assert len({tuple(one) for one in rounds}) > 1, "not always in the same order"
    assert {record["status"] for record in made} == {"ok"}
    assert fake.jobs[0].effort.min_count == 2, "each visit does its share"
    assert fake.jobs[0].effort.min_s == pytest.approx(0.04 / 6)


def test_a_record_holds_every_sample_and_says_where_each_process_begins(make_plan: Any, folder: Path) -> None:
    fake = Fake(good)
    (record,) = measure(make_plan("fake-a"), folder, fake)
    outcomes = [good(job, visit) for visit, job in enumerate(fake.jobs)]
    assert record["samples_ms"] == [s for o in outcomes for s in o.numbers["samples_ms"]]
    assert [p["count"] for p in record["processes"]] == [6] * len(outcomes)
    assert record["median_ms"] == np.median(record["samples_ms"])
    assert record["interval"]["processes"] == len(outcomes)
    assert record["peak_memory_bytes"] == 350
    assert record["memory"] == {"process_bytes": 350, "model_bytes": 250, "loaded_bytes": 200, "device_bytes": None}
    assert record["disturbance"]["steal"] is None
    assert record["disturbance"]["unmeasured"] == {"steal": "no counter"}
    assert (record["load_ms"], record["first_ms"], record["foreign_load"]) == (50, 7, 0.01)
    assert record["command"].startswith("python -m runtimes.bench --model ")
    assert "--min-count 8 --target 0.05" in record["command"]
    assert store.read(folder)[-1] == record


def test_a_cell_goes_on_until_its_interval_is_narrow_enough(make_plan: Any, folder: Path) -> None:
    def noisy(job: Job, visit: int) -> Outcome:
        level = 10 * np.exp(np.random.default_rng(visit).normal(0, 0.05))
        return Outcome(numbers([level] * 6), probe_ms=(4.0, 4.0))

    fake = Fake(noisy)
    (record,) = measure(make_plan("fake-a"), folder, fake)
    low, high = record["ci95_ms"]
    assert len(fake.jobs) > 2
    assert record["status"] == "ok"
    assert (high - low) / 2 / record["median_ms"] <= 0.05
    limited = Fake(noisy)
    (record,) = measure(make_plan("fake-a", policy=replace(POLICY, max_s=0.1)), folder, limited)
    assert record["status"] == "unstable"
    assert "wider than asked for" in record["reason"]
    assert record["median_ms"] > 0, "flagged and kept"
    assert len(limited.jobs) < len(fake.jobs)


def test_minima_of_time_and_count_are_both_reached(make_plan: Any, folder: Path) -> None:
    policy = replace(POLICY, min_count=30, target=0.5)
    (record,) = measure(make_plan("fake-a", policy=policy), folder, Fake(good))
    assert record["count"] >= 30
    (record,) = measure(make_plan("fake-a", policy=replace(POLICY, min_s=0.5, target=0.5)), folder, Fake(good))
    assert sum(record["samples_ms"]) >= 500


def test_a_disturbed_visit_is_repeated_and_left_out(make_plan: Any, folder: Path) -> None:
    def slow_once(job: Job, visit: int) -> Outcome:
        if visit == 0:
            return Outcome(numbers([20.0] * 6), probe_ms=(4.0, 5.0))
        return good(job, visit)

    fake = Fake(slow_once)
    (record,) = measure(make_plan("fake-a"), folder, fake)
    assert len(fake.jobs) == 3
    assert (record["status"], record["disturbed"]) == ("ok", None)
    assert max(record["samples_ms"]) < 11


def test_a_cell_that_stays_disturbed_is_flagged_and_kept(make_plan: Any, folder: Path) -> None:
    busy = {"foreign_load": 0.4, "unmeasured": {}}

    def always(job: Job, visit: int) -> Outcome:
        return Outcome(numbers([10.0, 10.1] * 3, disturbance=busy), probe_ms=(4.0, 4.0))

    fake = Fake(always)
    (record,) = measure(make_plan("fake-a"), folder, fake)
    assert len(fake.jobs) == 4, "two, and each repeated once"
    endless = Fake(
        lambda job, visit: replace(always(job, visit), numbers=numbers([10.0 + visit] * 6, disturbance=busy))
    )
    measure(make_plan("fake-a", policy=replace(POLICY, max_s=0.5)), folder, endless)
    assert len(endless.jobs) == 7, "it ends when the time is over, whatever may be used of it"
    assert record["status"] == "unstable"
    assert record["disturbed"]
    assert record["disturbed"] in record["reason"]
    assert record["count"] == 12


def test_what_crashes_is_recorded_and_the_rest_goes_on(make_plan: Any, folder: Path) -> None:
    def crash(job: Job, visit: int) -> Outcome:
        if job.runtime == "fake-b" and visit == 1:
            return Outcome(None, "the process was ended by SIGSEGV")
        return good(job, visit)

    made = measure(make_plan(*NAMES), folder, Fake(crash))
    by_name = {record["runtime"]: record for record in made}
    assert by_name["fake-b"]["status"] == "failed"
    assert by_name["fake-b"]["reason"] == "the process was ended by SIGSEGV"
    assert by_name["fake-b"]["median_ms"] is None
    assert by_name["fake-a"]["status"] == by_name["fake-c"]["status"] == "ok"


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
    fake = Fake(lambda job, visit: Outcome(numbers([10.0] * 6, **changes), probe_ms=(4.0, 4.0)))
    (record,) = measure(make_plan("fake-a"), folder, fake)
    assert (record["status"], record["reason"], record["median_ms"]) == ("failed", reason, None)


def test_times_that_never_got_steady_are_flagged(make_plan: Any, folder: Path) -> None:
    fake = Fake(lambda job, visit: replace(good(job, visit), numbers=numbers([10.0] * 6, steady=False)))
    (record,) = measure(make_plan("fake-a"), folder, fake)
    assert (record["status"], record["reason"]) == ("unstable", "the times did not get steady")


def test_patience_is_spent_once(make_plan: Any, folder: Path) -> None:
    fake = Fake(lambda job, visit: replace(good(job, visit), waited_s=2.0 if len(fake.jobs) == 1 else 0.0))
    measure(make_plan("fake-a", policy=replace(POLICY, processes=3)), folder, fake)
    assert fake.patience[:3] == [5.0, 3.0, 3.0]


def test_only_what_passed_parity_is_measured(make_plan: Any, tmp_path: Path, toy_artifact: Artifact) -> None:
    proven(tmp_path, toy_artifact, {"fake-a": False, "fake-b": True})
    fake = Fake(good)
    made = measure(make_plan("fake-a", "fake-b"), tmp_path, fake)
    assert made[0]["status"] == "refused"
    assert made[0]["reason"] == "parity failed: logits differ by 3"
    assert {job.runtime for job in fake.jobs} == {"fake-b"}


def test_what_does_not_fit_is_refused_first(make_plan: Any, folder: Path) -> None:
    plan = make_plan("fake-a", "fake-b")
    large = replace(plan, cells=plan.cells[1:], refused=((plan.cells[0], "needs 90 GB of memory"),))
    large = replace(large, estimate=replace(large.estimate, costs=large.estimate.costs[1:]))
    made = measure(large, folder, Fake(good))
    assert [(r["runtime"], r["status"], r["reason"]) for r in made] == [
        ("fake-a", "refused", "needs 90 GB of memory"),
        ("fake-b", "ok", None),
    ]


def test_a_job_carries_its_limits(make_plan: Any, folder: Path) -> None:
    fake = Fake(good)
    measure(make_plan("fake-a"), folder, fake)
    assert fake.jobs[0].memory_limit_bytes == int(0.9 * (1 << 30))
    assert fake.jobs[0].timeout_s == 120.0
    assert Job.from_dict(fake.jobs[0].as_dict()) == fake.jobs[0]


def test_killed_anywhere_and_resumed_every_record_is_there_once(make_plan: Any, folder: Path) -> None:
    """The executor dies at a random visit, again and again; visits that were made are not made again."""
    rng = random.Random(0)
    plan, total, starts = make_plan(*NAMES, batches=(1, 2)), 0, 0
    for attempt in range(200):
        fuse = rng.randrange(1, 4)

        fake = Fake(good)

        def dying(job: Job, visit: int, fuse: int = fuse, fake: Fake = fake) -> Outcome:
            if len(fake.jobs) > fuse:
                raise KeyboardInterrupt
            return good(job, visit)

        fake.act = dying
        try:
            measure(plan, folder, fake, resume=attempt > 0)
        except KeyboardInterrupt:
            total += fuse
            starts += 1
            continue
        total += len(fake.jobs)
        break
    kept = [record for record in store.read(folder) if record["kind"] == "latency"]
    assert starts > 3
    assert len(kept) == len({record["key"] for record in kept}) == 6
    assert {record["status"] for record in kept} == {"ok"}
    assert total == len(lines.read(folder / VISITS)), "no visit was made twice"


def test_a_run_that_is_not_resumed_starts_afresh(make_plan: Any, folder: Path) -> None:
    plan = make_plan("fake-a")
    first = measure(plan, folder, Fake(good))
    fake = Fake(good)
    second = measure(plan, folder, fake)
    assert len(fake.jobs) == len(first[0]["processes"])
    assert len(second[0]["samples_ms"]) == len(first[0]["samples_ms"])
    nothing = Fake(good)
    assert measure(plan, folder, nothing, resume=True) == second
    assert nothing.jobs == []


def test_what_failed_is_tried_again_from_the_start(make_plan: Any, folder: Path) -> None:
    crash = Fake(lambda job, visit: good(job, visit) if visit == 0 else Outcome(None, "ended by SIGKILL"))
    (record,) = measure(make_plan("fake-a"), folder, crash)
    assert record["status"] == "failed"
    again = Fake(good)
    (record,) = measure(make_plan("fake-a"), folder, again, resume=True)
    assert record["status"] == "ok"
    assert len(again.jobs) == 2


def test_when_time_is_over_what_was_undisturbed_counts(make_plan: Any, folder: Path) -> None:
    def slow_at_first(job: Job, visit: int) -> Outcome:
        slow = visit == 0 and job.runtime == "fake-a"
        return Outcome(numbers([20.0] * 6), probe_ms=(4.0, 5.0)) if slow else good(job, visit)

    policy = replace(POLICY, minutes=1e-9, min_count=4, target=0.2)
    fake = Fake(slow_at_first)
    made = {record["runtime"]: record for record in measure(make_plan(*NAMES, policy=policy), folder, fake)}
    assert len(fake.jobs) == 6, "two rounds, and nothing more"
    assert max(made["fake-a"]["samples_ms"]) < 11
    assert made["fake-a"]["disturbed"] is None
    assert made["fake-a"]["interval"]["processes"] == 1
    assert made["fake-a"]["interval"]["dof"] == 2, "known from the others' two processes each"


def test_every_cause_of_a_disturbance_is_told_once_and_at_its_worst(make_plan: Any, folder: Path) -> None:
    hot = {"throttled_share": {"power": 0.9, "heat": 0.3}, "throttle_reasons": [], "foreign_processes": None}
    loads = [{"foreign_load": 0.4, "gpu": hot}, {"foreign_load": 0.2, "gpu": None}]

    def busy(job: Job, visit: int) -> Outcome:
        return Outcome(numbers([10.0] * 6, disturbance={**loads[visit % 2], "unmeasured": {}}), probe_ms=(4.0, 5.0))

    (record,) = measure(make_plan("fake-a", policy=replace(POLICY, repeats=0)), folder, Fake(busy))
    assert record["disturbed"].count("slower than at its best") == 1
    assert "took 40% of the processor" in record["disturbed"]
    assert "20%" not in record["disturbed"]
    assert "clocks held back by heat for 30% of the time" in record["disturbed"], "an earlier visit's GPU counts too"
    assert "power" not in record["disturbed"], "a large GPU stands at its power limit all the time"


def test_on_a_machine_that_is_hardly_ever_quiet_the_interval_is_known_all_the_same(
    make_plan: Any, folder: Path
) -> None:
    def slow_at_first(job: Job, visit: int) -> Outcome:
        return Outcome(numbers([12.0] * 6), probe_ms=(4.0, 5.0)) if visit == 0 else good(job, visit)

    policy = replace(POLICY, minutes=1e-9, min_count=4, target=0.9)
    made = measure(make_plan(*NAMES, policy=policy), folder, Fake(slow_at_first))
    for record in made:
        low, high = record["ci95_ms"]
        assert (record["status"], record["interval"]["processes"]) == ("ok", 1)
        assert (high - low) / 2 / record["median_ms"] > 0.1, "the disturbed visits say how far processes lie apart"


def test_undisturbed_processes_tell_of_undisturbed_ones(make_plan: Any, folder: Path) -> None:
    """Fake-a was disturbed once, the others were not: how far its slow visit lies off is no noise of theirs."""

    def slow_at_first(job: Job, visit: int) -> Outcome:
        slow = visit == 0 and job.runtime == "fake-a"
        return Outcome(numbers([14.0] * 6), probe_ms=(4.0, 5.0)) if slow else good(job, visit)

    policy = replace(POLICY, minutes=1e-9, min_count=4, target=0.9)
    plan = make_plan(*NAMES, batches=(1, 2), policy=policy)
    for record in measure(plan, folder, Fake(slow_at_first)):
        assert record["interval"]["between_cv"] < 0.02
