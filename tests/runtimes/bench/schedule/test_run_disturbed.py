"""Visits that were disturbed: repeated, left out, or kept and flagged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from runtimes.bench.schedule.outcome import VisitOutcome
from runtimes.bench.worker.job import Job
from runtimes.records import store
from tests.runtimes.bench.made_up import NAMES, POLICY, Fake, good, measure, numbers


def test_a_disturbed_visit_is_repeated_and_left_out(make_plan: Any, folder: Path) -> None:
    def slow_once(job: Job, visit: int) -> VisitOutcome:
        if visit == 0:
            return VisitOutcome(numbers([20.0] * 6), speed_ms=(4.0, 5.0))
        return good(job, visit)

    fake = Fake(slow_once)
    (record,) = measure(make_plan("fake-a"), folder, fake)
    assert len(fake.jobs) == 3
    assert (record.status, record.disturbed) == ("ok", None)
    assert max(record.samples_ms) < 11


def test_a_cell_that_stays_disturbed_is_flagged_and_kept(make_plan: Any, folder: Path) -> None:
    busy = {"foreign_load": 0.4, "unmeasured": {}}

    def always(job: Job, visit: int) -> VisitOutcome:
        return VisitOutcome(numbers([10.0, 10.1] * 3, disturbance=busy), speed_ms=(4.0, 4.0))

    fake = Fake(always)
    (record,) = measure(make_plan("fake-a"), folder, fake)
    assert len(fake.jobs) == 4, "two, and each repeated once"
    endless = Fake(
        lambda job, visit: replace(always(job, visit), numbers=numbers([10.0 + visit] * 6, disturbance=busy))
    )
    measure(make_plan("fake-a", policy=replace(POLICY, max_s=0.5)), folder, endless)
    assert len(endless.jobs) == 7, "it ends when the time is over, whatever may be used of it"
    assert record.status == "unstable"
    assert record.undisturbed is None, "nobody knows where the system does not tell what samples met"
    assert record.disturbed
    assert record.disturbed in record.reason
    assert record.count == 12


def test_resume_measures_again_what_was_disturbed(make_plan: Any, folder: Path) -> None:
    """And nothing else: what is only wide, or did not get steady, is as good as it was asked for."""

    def slow_machine(job: Job, visit: int) -> VisitOutcome:
        unsteady = replace(good(job, visit), numbers=numbers([10.0] * 6, steady=False))
        return replace(good(job, visit), speed_ms=(4.0, 5.0)) if job.runtime == "fake-a" else unsteady

    names = ("fake-a", "fake-b")
    first = measure(make_plan(*names), folder, Fake(slow_machine))
    assert {record.runtime for record in first if record.disturbed} == {"fake-a"}
    again = Fake(good)
    found = measure(make_plan(*names), folder, again, resume=True)
    assert {job.runtime for job in again.jobs} == {"fake-a"}
    assert len(again.jobs) == POLICY.processes
    assert {record.runtime: record.status for record in found} == {"fake-a": "ok", "fake-b": "unstable"}
    nothing = Fake(good)
    assert len(measure(make_plan(*names), folder, nothing, resume=True)) == 2
    assert nothing.jobs == []


def test_resume_goes_on_before_it_measures_anything_again(make_plan: Any, folder: Path) -> None:
    disturbed = Fake(lambda job, visit: replace(good(job, visit), speed_ms=(4.0, 5.0)))
    measure(make_plan("fake-a"), folder, disturbed)
    for expected in ({"fake-b"}, {"fake-a"}, set()):
        fake = Fake(good)
        measure(make_plan("fake-a", "fake-b"), folder, fake, resume=True)
        assert {job.runtime for job in fake.jobs} == expected


def test_what_is_named_is_measured_again_whatever_else_is_left(make_plan: Any, folder: Path) -> None:
    """A node of a cluster has a part of the plan, and cannot tell whether every cell was tried."""
    disturbed = Fake(lambda job, visit: replace(good(job, visit), speed_ms=(4.0, 5.0)))
    (record,) = measure(make_plan("fake-a"), folder, disturbed)
    fake = Fake(good)
    found = measure(make_plan("fake-a", "fake-b"), folder, fake, resume=True, again={record.key})
    assert {job.runtime for job in fake.jobs} == {"fake-a", "fake-b"}
    assert {one.runtime: one.status for one in found} == {"fake-a": "ok", "fake-b": "ok"}


def test_times_that_never_got_steady_are_flagged(make_plan: Any, folder: Path) -> None:
    fake = Fake(lambda job, visit: replace(good(job, visit), numbers=numbers([10.0] * 6, steady=False)))
    (record,) = measure(make_plan("fake-a"), folder, fake)
    assert (record.status, record.reason) == ("unstable", "the times did not get steady")


def test_patience_is_spent_once(make_plan: Any, folder: Path) -> None:
    fake = Fake(lambda job, visit: replace(good(job, visit), waited_s=2.0 if len(fake.jobs) == 1 else 0.0))
    measure(make_plan("fake-a", policy=replace(POLICY, processes=3)), folder, fake)
    assert fake.patience[:3] == [5.0, 3.0, 3.0]


def test_nobody_waits_for_a_quiet_machine_when_time_is_over(make_plan: Any, folder: Path) -> None:
    fake = Fake(good)
    measure(make_plan("fake-a", policy=replace(POLICY, patience_s=30.0, minutes=1e-9)), folder, fake)
    assert set(fake.patience) == {0.0}
    longer = Fake(good)
    measure(make_plan("fake-b", policy=replace(POLICY, patience_s=30.0, minutes=1.0)), folder, longer)
    assert set(longer.patience) == {30.0}


def test_when_time_is_over_what_was_undisturbed_counts(make_plan: Any, folder: Path) -> None:
    def slow_at_first(job: Job, visit: int) -> VisitOutcome:
        slow = visit == 0 and job.runtime == "fake-a"
        return VisitOutcome(numbers([20.0] * 6), speed_ms=(4.0, 5.0)) if slow else good(job, visit)

    policy = replace(POLICY, minutes=1e-9, min_count=4, target=0.2)
    fake = Fake(slow_at_first)
    made = {record.runtime: record for record in measure(make_plan(*NAMES, policy=policy), folder, fake)}
    assert len(fake.jobs) == 6, "two rounds, and nothing more"
    assert max(made["fake-a"].samples_ms) < 11
    assert made["fake-a"].disturbed is None
    assert made["fake-a"].interval.processes == 1
    assert made["fake-a"].interval.dof == 2, "known from the others' two processes each"


def test_when_time_is_over_and_nothing_was_undisturbed_the_processes_count_together(
    make_plan: Any, folder: Path
) -> None:
    def slow(job: Job, visit: int) -> VisitOutcome:
        return VisitOutcome(numbers([20.0 + visit] * 6), speed_ms=(4.0, 5.0 + visit))

    (record,) = measure(make_plan("fake-a", policy=replace(POLICY, minutes=1e-9)), folder, Fake(slow))
    assert record.disturbed
    assert len(record.processes) == 2
    assert set(record.samples_ms) == {20.0, 21.0}


def test_where_the_probe_found_no_moment_the_machines_own_speed_is_not_known(make_plan: Any, folder: Path) -> None:
    """Under a steady load it may have been slow besides, and the median would be taken for that of a quiet machine."""

    def unread(job: Job, visit: int) -> VisitOutcome:
        return replace(good(job, visit), speed_ms=()) if job.runtime == "fake-a" else good(job, visit)

    policy = replace(POLICY, repeats=0)
    made = {record.runtime: record for record in measure(make_plan(*NAMES, policy=policy), folder, Fake(unread))}
    assert made["fake-a"].status == "unstable"
    assert "how fast the machine itself was is not known" in made["fake-a"].disturbed
    assert made["fake-b"].disturbed is None


def test_every_cause_of_a_disturbance_is_told_once_and_at_its_worst(make_plan: Any, folder: Path) -> None:
    hot: dict[str, Any] = {
        "throttled_share": {"power": 0.9, "heat": 0.3},
        "throttle_reasons": [],
        "foreign_processes": None,
    }
    loads: list[dict[str, Any]] = [{"foreign_load": 0.4, "gpu": hot}, {"foreign_load": 0.2, "gpu": None}]

    def busy(job: Job, visit: int) -> VisitOutcome:
        return VisitOutcome(
            numbers([10.0] * 6, disturbance={**loads[visit % 2], "unmeasured": {}}), speed_ms=(4.0, 5.0)
        )

    (record,) = measure(make_plan("fake-a", policy=replace(POLICY, repeats=0)), folder, Fake(busy))
    assert record.disturbed.count("slower than at its best") == 1
    assert "took 40% of the processor" in record.disturbed
    assert "20%" not in record.disturbed
    assert "clocks held back by heat for 30% of the time" in record.disturbed, "an earlier visit's GPU counts too"
    assert "power" not in record.disturbed, "a large GPU stands at its power limit all the time"


def test_on_a_machine_that_is_hardly_ever_quiet_the_interval_is_known_all_the_same(
    make_plan: Any, folder: Path
) -> None:
    def slow_at_first(job: Job, visit: int) -> VisitOutcome:
        return VisitOutcome(numbers([12.0] * 6), speed_ms=(4.0, 5.0)) if visit == 0 else good(job, visit)

    policy = replace(POLICY, minutes=1e-9, min_count=4, target=0.9)
    made = measure(make_plan(*NAMES, policy=policy), folder, Fake(slow_at_first))
    for record in made:
        low, high = record.ci95_ms
        assert (record.status, record.interval.processes) == ("ok", 1)
        assert 0.05 < (high - low) / 2 / record.median_ms < 0.1, "2 % between processes is assumed of any machine"


def test_undisturbed_processes_tell_of_undisturbed_ones(make_plan: Any, folder: Path) -> None:
    """Fake-a was disturbed once, the others were not: how far its slow visit lies off is no noise of theirs."""

    def slow_at_first(job: Job, visit: int) -> VisitOutcome:
        slow = visit == 0 and job.runtime == "fake-a"
        return VisitOutcome(numbers([14.0] * 6), speed_ms=(4.0, 5.0)) if slow else good(job, visit)

    policy = replace(POLICY, minutes=1e-9, min_count=4, target=0.9)
    plan = make_plan(*NAMES, batches=(1, 2), policy=policy)
    for record in measure(plan, folder, Fake(slow_at_first)):
        assert record.interval.between_cv < 0.02


BUSY = {"foreign_load": 0.4, "steal": 0.01, "unmeasured": {}}
CLEAN, MET = {"waited": 0.01, "foreign": 0.0}, {"waited": 0.7, "foreign": 0.4}


def test_on_a_busy_machine_the_samples_that_nobody_disturbed_tell(make_plan: Any, folder: Path) -> None:
    samples, met = [10.0, 17.0, 10.1, 18.0, 9.9, 19.0, 20.0], [CLEAN, MET, CLEAN, MET, CLEAN, MET, MET]
    turns = [{"name": "", "count": 1}, {"name": "t.1", "count": 6}]

    def busy(job: Job, visit: int) -> VisitOutcome:
        found = numbers(samples, met=met, turns=turns, disturbance=BUSY)
        return VisitOutcome(found, speed_ms=(4.0, 4.0), programs={"firefox": 0.3 + 0.1 * visit})

    fake = Fake(busy)
    (record,) = measure(make_plan("fake-a"), folder, fake)
    assert len(fake.jobs) == 2, "nothing is measured again"
    assert (record.status, record.disturbed) == ("ok", None)
    assert (record.median_ms, record.undisturbed, record.seen_ms) == (10.0, 6, 17.0)
    assert record.waited[:2] == (0.01, 0.7)
    assert record.foreign[:2] == (0.0, 0.4)
    assert [turn.name for turn in record.turns] == ["", "t.1"] * 2
    assert record.turns[1].ms < 12, "what was disturbed is corrected"
    assert record.turns[1].met > 0.4
    assert (record.disturbance.foreign_load, record.disturbance.steal) == (0.4, 0.01), "and told all the same"
    assert record.disturbance.programs == {"firefox": 0.4}, "of the visit that was disturbed most"
    assert store.read(folder)[-1] == record


def test_stolen_time_is_a_doubt_whatever_the_samples_say(make_plan: Any, folder: Path) -> None:
    """It is time on no queue: a thread whose core the hypervisor took does not wait for it."""
    stolen = {"steal": 0.15, "unmeasured": {}}
    fake = Fake(
        lambda job, visit: VisitOutcome(numbers([10.0] * 8, met=[CLEAN] * 8, disturbance=stolen), speed_ms=(4.0, 4.0))
    )
    (record,) = measure(make_plan("fake-a"), folder, fake)
    assert record.status == "unstable"
    assert "the hypervisor took 15%" in record.disturbed


def test_where_no_sample_was_left_alone_the_cell_is_flagged(make_plan: Any, folder: Path) -> None:
    fake = Fake(
        lambda job, visit: VisitOutcome(numbers([25.0, 25.2] * 4, met=[MET] * 8, disturbance=BUSY), speed_ms=(4.0, 4.0))
    )
    (record,) = measure(make_plan("fake-a"), folder, fake)
    assert len(fake.jobs) == 4, "each of two repeated once"
    assert record.status == "unstable"
    assert "other processes took 40% of the processor" in record.disturbed
    assert "too few samples alone" in record.disturbed
    assert (record.median_ms, record.undisturbed) == (25.1, 0), "the median is that of all samples"
    assert store.read(folder)[-1] == record
