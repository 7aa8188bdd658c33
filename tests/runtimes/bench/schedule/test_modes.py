"""Modes throughput and server over whole runs, with an executor that makes up its outcomes."""

from __future__ import annotations

import dataclasses
import itertools
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convert.common import typed
from runtimes.bench.plan.plan import Plan
from runtimes.bench.schedule.outcome import VisitOutcome
from runtimes.bench.worker.job import Job
from runtimes.records import store
from runtimes.records.parts import Disturbance
from runtimes.statistics import Noise
from tests.runtimes.bench.made_up import POLICY, Fake, good, measure, numbers

QUIET, SLOW = (4.0, 4.0), (4.0, 5.0)


@pytest.fixture
def in_mode(make_plan: Any) -> Callable[..., Plan]:
    def make(mode: str, *names: str, latencies: bool = False, **policy: Any) -> Plan:
        """One cell of the mode for each name; latencies: and one of mode latency beside it."""
        plan: Plan = make_plan(*names, policy=dataclasses.replace(POLICY, **policy))
        options: dict[str, dict[str, Any]] = {"throughput": {"batches": [1, 2]}, "server": {"percentile": 90}}
        loaded = [dataclasses.replace(cell, mode=mode, mode_options=options[mode]) for cell in plan.cells]
        loaded = [dataclasses.replace(c, options=dataclasses.replace(c.options, threads=1)) for c in loaded]
        cells = (*(plan.cells if latencies else ()), *loaded)
        costs = tuple(plan.estimate.costs[0] for _ in cells)
        return dataclasses.replace(plan, cells=cells, estimate=dataclasses.replace(plan.estimate, costs=costs))

    return make


def rated(images_per_s: float, speed_ms: tuple[float, float] = QUIET, **changes: Any) -> VisitOutcome:
    fields = {"images_per_s": images_per_s, "duration_s": 2.0}
    return VisitOutcome(numbers([10.0] * 6, **fields, **changes), speed_ms=speed_ms)


def searching(chosen: list[VisitOutcome], per_image: float = 10.0) -> Fake:
    """Batch 2 pays. The search sees 100 images per second and 190, and the visits after it what is given."""
    visits = {1: iter([rated(100.0)]), 2: iter([rated(190.0), *chosen])}
    return Fake(lambda job, visit: next(visits[job.batch]))


def test_the_chosen_point_is_measured_anew(in_mode: Any, folder: Path) -> None:
    fake = searching([rated(180.0), rated(184.0)])
    (record,) = measure(in_mode("throughput", "fake-a"), folder, fake)
    assert [job.batch for job in fake.jobs] == [1, 2, 2, 2], "the search, and two fresh processes"
    assert (record.kind, record.status, record.batch, record.streams) == ("throughput", "ok", 2, 1)
    assert record.images_per_s == 182.0, "not what the search saw"
    assert [point.images_per_s for point in record.searched] == [100.0, 190.0]
    low, high = record.ci95_images_per_s
    own_low, own_high = record.run_ci95_images_per_s
    assert low < own_low < 182.0 < own_high < high
    assert record.duration_s == 4.0
    assert store.read(folder)[-1] == record


def test_a_rate_knows_how_far_runs_lie_apart(in_mode: Any, folder: Path) -> None:
    alone, apart = (searching([rated(180.0), rated(184.0)]) for _ in range(2))
    apart.runs = Noise(0.2, 40)
    (narrow,), (wide,) = (measure(in_mode("throughput", "fake-a"), folder, fake) for fake in (alone, apart))
    assert wide.run_ci95_images_per_s == narrow.run_ci95_images_per_s
    assert wide.ci95_images_per_s[0] < 0.9 * narrow.ci95_images_per_s[0]


def test_a_disturbed_visit_to_it_is_repeated_and_left_out(in_mode: Any, folder: Path) -> None:
    fake = searching([rated(150.0, SLOW), rated(180.0), rated(184.0)])
    (record,) = measure(in_mode("throughput", "fake-a"), folder, fake)
    assert len(fake.jobs) == 5
    assert (record.images_per_s, record.status, record.disturbed) == (182.0, "ok", None)
    assert [process.images_per_s for process in record.processes] == [180.0, 184.0]


def test_resume_measures_a_disturbed_rate_again(in_mode: Any, folder: Path) -> None:
    measure(in_mode("throughput", "fake-a"), folder, searching([rated(150.0 + n, SLOW) for n in range(4)]))
    with (folder / "visits.jsonl").open("a") as file:  # a damaged line is no reason to stop
        file.write('{"key": "", "outcome": ' + json.dumps(typed.table(rated(1.0))) + "}\n")
    again = searching([rated(180.0), rated(184.0)])
    (record,) = measure(in_mode("throughput", "fake-a"), folder, again, resume=True)
    assert (record.images_per_s, record.status) == (182.0, "ok")


def test_what_stays_disturbed_is_kept_and_flagged(in_mode: Any, folder: Path) -> None:
    fake = searching([rated(rate, SLOW) for rate in (150.0, 151.0, 152.0, 153.0)])
    (record,) = measure(in_mode("throughput", "fake-a"), folder, fake)
    assert len(fake.jobs) == 6, "each of two repeated once"
    assert (record.status, len(record.processes)) == ("unstable", 2)
    assert "slower than at its best" in record.reason
    out_of_time = searching([rated(rate, SLOW) for rate in (150.0, 151.0)])
    measure(in_mode("throughput", "fake-a", minutes=1e-9), folder, out_of_time)
    assert len(out_of_time.jobs) == 4, "nothing is repeated when the time is over"


def test_a_point_that_fails_is_searched_and_a_chosen_one_that_fails_fails_the_cell(in_mode: Any, folder: Path) -> None:
    dead = VisitOutcome(None, "ended by SIGKILL")
    none = Fake(lambda job, visit: dead)
    (record,) = measure(in_mode("throughput", "fake-a"), folder, none)
    assert (record.status, record.reason) == ("failed", "ended by SIGKILL")
    assert [point.batch for point in record.searched] == [1]
    (record,) = measure(in_mode("throughput", "fake-a"), folder, searching([rated(180.0), dead]))
    assert (record.status, record.reason) == ("failed", "ended by SIGKILL")
    assert len(record.searched) == 2


def test_a_search_that_was_broken_off_goes_on(in_mode: Any, folder: Path) -> None:
    def broken(job: Job, visit: int) -> VisitOutcome:
        if job.batch == 2:
            raise KeyboardInterrupt
        return rated(100.0)

    plan = in_mode("throughput", "fake-a")
    with pytest.raises(KeyboardInterrupt):
        measure(plan, folder, Fake(broken))
    fake = searching([rated(180.0), rated(184.0)])
    (record,) = measure(plan, folder, fake, resume=True)
    assert [job.batch for job in fake.jobs] == [2, 2, 2], "batch 1 is known"
    assert record.images_per_s == 182.0


def test_the_noise_of_rates_is_that_of_undisturbed_latencies(in_mode: Any, folder: Path) -> None:
    """Fake-b's first visit to its latency was disturbed, and 40 % slower: no rate's interval is wider for it."""

    def act(job: Job, visit: int) -> VisitOutcome:
        if job.mode == "throughput":
            return rated(100.0 + 90.0 * (job.batch - 1))
        if (job.runtime, visit) == ("fake-b", 0):
            return VisitOutcome(numbers([14.0] * 6), speed_ms=SLOW)
        return good(job, visit)

    made = measure(in_mode("throughput", "fake-a", "fake-b", latencies=True, target=0.9), folder, Fake(act))
    rates = [record for record in made if record.kind == "throughput"]
    assert len(rates) == 2
    for record in rates:
        assert record.interval.dof == 1 + 2, "of its own two processes, and of two latencies'"
        assert record.interval.between_cv < 0.02


def served(qps_max: float, speed_ms: tuple[float, float] = QUIET) -> VisitOutcome:
    fields = {
        **{"points": [], "percentile": 90, "latency_bound_ms": 30.0, "bound": "as asked for"},
        **{"capacity_qps": 90.0, "unloaded_ms": 10.0, "streams": 1, "loadgen": {}},
    }
    return VisitOutcome(numbers([10.0] * 6, qps_max=qps_max, **fields), speed_ms=speed_ms)


@pytest.mark.parametrize(
    ("visits", "taken", "status"),
    [
        ([served(50.0)], 50.0, "ok"),
        ([served(30.0, SLOW), served(50.0)], 50.0, "ok"),
        ([served(30.0, (4.0, 6.0)), served(40.0, SLOW)], 40.0, "unstable"),
        ([served(40.0, SLOW), served(30.0, (4.0, 6.0))], 40.0, "unstable"),
    ],
)
def test_of_a_servers_visits_the_least_disturbed_is_taken(
    in_mode: Any, folder: Path, visits: list[VisitOutcome], taken: float, status: str
) -> None:
    fake = Fake(lambda job, visit: visits[visit])
    (record,) = measure(in_mode("server", "fake-a"), folder, fake)
    assert len(fake.jobs) == len(visits), "a disturbed one is repeated once"
    assert (record.kind, record.qps_max, record.status) == ("server", taken, status)
    assert statistics.median(process.median_ms for process in record.processes) == 10.0


def test_an_undisturbed_visit_to_a_server_is_preferred_to_an_earlier_one_that_was_slowed_down_less(
    in_mode: Any, folder: Path
) -> None:
    found = served(30.0).numbers
    assert found
    busy = VisitOutcome(dataclasses.replace(found, disturbance=Disturbance(foreign_load=0.9)), speed_ms=QUIET)
    quiet = served(50.0, (4.0, 4.1))
    (record,) = measure(in_mode("server", "fake-a"), folder, Fake(lambda job, visit: [busy, quiet][visit]))
    assert (record.qps_max, record.status) == (50.0, "ok")


def test_a_server_that_crashes_is_recorded(in_mode: Any, folder: Path) -> None:
    (record,) = measure(in_mode("server", "fake-a"), folder, Fake(lambda job, visit: VisitOutcome(None, "SIGSEGV")))
    assert (record.status, record.reason) == ("failed", "SIGSEGV")


def once_crashed(act: Callable[[Job, int], VisitOutcome]) -> Callable[[Job, int], VisitOutcome]:
    """The same after a first visit that crashes."""
    crashes = iter([VisitOutcome(None, "SIGSEGV", crashed=True)])
    visits = itertools.count()
    return lambda job, visit: next(crashes, None) or act(job, next(visits))


def test_a_server_that_crashes_once_is_visited_again(in_mode: Any, folder: Path) -> None:
    (record,) = measure(in_mode("server", "fake-a"), folder, Fake(once_crashed(lambda job, visit: served(50.0))))
    assert (record.status, record.qps_max, record.crashes) == ("ok", 50.0, ("SIGSEGV",))


def test_a_search_goes_on_after_one_crash(in_mode: Any, folder: Path) -> None:
    fake = searching([rated(180.0), rated(184.0)])
    fake.act = once_crashed(fake.act)
    (record,) = measure(in_mode("throughput", "fake-a"), folder, fake)
    assert [job.batch for job in fake.jobs] == [1, 1, 2, 2, 2]
    assert [point.images_per_s for point in record.searched] == [100.0, 190.0]
    assert (record.status, record.crashes) == ("ok", ("SIGSEGV",))


def test_a_rate_has_the_energy_of_the_visits_to_the_chosen_point(in_mode: Any, folder: Path) -> None:
    """360 images in two seconds for 90 and 108 J; what the search saw is not in it."""
    alone = {"foreign_load": 0.01, "own_load": 0.9, "unmeasured": {}}
    windows = [{"joules": joules, "images": 360.0, "seconds": 2.0, "source": "rapl"} for joules in (90.0, 108.0)]
    fake = searching([rated(180.0, disturbance=alone, energy=one) for one in windows])
    (record,) = measure(in_mode("throughput", "fake-a"), folder, fake)
    assert record.energy.joules_per_image == pytest.approx(198 / 720)
    assert record.energy.range_joules == pytest.approx((0.25, 0.3))
    assert (record.energy.watts, record.energy.seconds, record.energy.source) == (49.5, 4.0, "rapl")
    assert store.read(folder)[-1] == record
