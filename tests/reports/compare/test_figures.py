"""What each process says of a figure, and what is known of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from reports.compare.change import ASSUMED_BETWEEN_CV
from reports.compare.figures import FIGURES, Noises, of_processes, value
from runtimes.records.kinds import Latency, Record, Throughput
from runtimes.records.parts import IntervalMethod, Process
from runtimes.statistics import bootstrap_median
from tests.runtimes.records.made import record

MEDIAN, P90, RATE = FIGURES["median"], FIGURES["p90"], FIGURES["throughput"]


def latency(*times: list[float], **fields: Any) -> Latency:
    samples = tuple(one for process in times for one in process)
    processes = tuple(Process(count=len(one)) for one in times)
    numbers = {"samples_ms": samples, "processes": processes, "median_ms": float(np.median(samples or 5))}
    return record(Latency, **{**numbers, **fields})


def throughput(*rates: float | None, **fields: Any) -> Throughput:
    processes = tuple(Process(images_per_s=one) for one in rates)
    return record(Throughput, **{"images_per_s": 5.0, "processes": processes, **fields})


def test_a_figure_is_that_of_a_measured_record_of_its_kind() -> None:
    percentiles = {"p90_ms": 6.0, "p95_ms": 7.0, "p99_ms": 8.0}
    one = latency([5.0], **percentiles)
    found = [value(one, FIGURES[name]) for name in ("median", "p90", "p95", "p99", "throughput")]
    assert found == [5.0, 6.0, 7.0, 8.0, None]
    assert value(throughput(), RATE) == 5.0
    assert value(throughput(), MEDIAN) is None
    for wrong in (0.0, -1.0, None):
        assert value(throughput(images_per_s=wrong), RATE) is None
    assert value(throughput(images_per_s=0.5), RATE) == 0.5
    assert value(throughput(status="failed"), RATE) is None
    assert [name for name, figure in FIGURES.items() if figure.more_is_better] == ["throughput"]


def test_samples_are_cut_at_the_ends_of_processes() -> None:
    """Of different lengths, and of another order inside."""
    one = latency([3.0, 1, 2], [9.0], [5.0, 4])
    assert of_processes(one, MEDIAN) == [2.0, 9.0, 4.5]
    many = latency([float(n) for n in range(10, 0, -1)], [7.0])
    assert of_processes(many, P90) == [9.0, 7.0]  # a sample, not a value between two
    assert of_processes(throughput(3.0, 4.0), RATE) == [3.0, 4.0]
    assert of_processes(latency([0.5], [0.25]), MEDIAN) == [0.5, 0.25]


@pytest.mark.parametrize(
    "other",
    [
        latency(),
        latency([1.0, 2], [3.0], processes=(Process(count=2),)),
        latency([1.0, 2], [3.0], processes=(Process(count=2), Process(count=2))),
        latency([1.0, 2], processes=(Process(count=2), Process(count=0))),
        latency([1.0, 2], processes=(Process(count=2), Process())),
        latency([1.0, 2], processes=None),
        latency([1.0, 0.0], [3.0]),
        throughput(3.0, None),
        throughput(3.0, 0.0),
        throughput(processes=None),
    ],
)
def test_what_does_not_fit_together_tells_no_processes(other: Record) -> None:
    assert of_processes(other, RATE if isinstance(other, Throughput) else MEDIAN) == []


def test_a_latency_has_no_rates() -> None:
    assert of_processes(latency([1.0], [2.0]), RATE) == []


def test_a_cell_borrows_from_others_of_its_run_and_not_from_itself() -> None:
    quiet = latency([10.0], [10.0 * math.exp(0.02)], [10.0 * math.exp(0.01)], run="a")
    loud = latency([10.0], [10.0 * math.exp(0.2)], run="a")
    elsewhere = latency([10.0], [20.0], run="b")
    broken = latency([10.0], [90.0], run="a", status="failed")
    noises = Noises([quiet, loud, elsewhere, broken, throughput(1.0, 9.0, run="a")], MEDIAN)
    found = noises.estimate(loud)
    assert found
    assert (found.dof, found.assumed) == (1 + 2, False)
    variance = (1 * (0.2**2 / 2) + 2 * 0.01**2) / 3
    assert found.error == pytest.approx(math.sqrt(variance / 2))
    assert found.log == pytest.approx(math.log(loud.median_ms or 0))
    found = noises.estimate(quiet)
    assert found
    assert found.dof == 2 + 1
    assert noises.estimate(broken) is None


def test_of_others_each_counts_by_its_degrees_of_freedom() -> None:
    one = latency([10.0], [10.0 * math.exp(0.02)], [10.0 * math.exp(0.01)])
    other = latency([10.0], [10.0 * math.exp(0.06)])
    single = latency([10.0])
    found = Noises([one, other, single], MEDIAN).estimate(single)
    assert found
    assert found.dof == 3
    assert found.error == pytest.approx(math.sqrt((2 * 0.01**2 + 0.06**2 / 2) / 3))


def test_what_the_run_knew_is_next_best() -> None:
    how = IntervalMethod(between_cv=0.06, dof=5, processes=4)
    stored = latency([10.0] * 9, interval=how)
    found = Noises([stored], MEDIAN).estimate(stored)
    assert found
    assert found.error == pytest.approx(0.03)
    assert (found.dof, found.assumed) == (5, False)
    for lacking in ({"between_cv": 0.06, "dof": 5}, {"between_cv": 0.06, "processes": 4}, {"dof": 5, "processes": 4}):
        record = latency([10.0] * 9, interval=IntervalMethod(**lacking))
        known = Noises([record], MEDIAN).estimate(record)
        assert known
        assert known.assumed


def test_of_one_process_alone_two_percent_are_assumed_beside_its_samples() -> None:
    samples = np.random.default_rng(1).normal(10, 0.5, 30).tolist()
    alone = latency(samples)
    found = Noises([alone], MEDIAN).estimate(alone)
    interval = bootstrap_median(samples)
    assert found
    assert interval
    assert (found.assumed, found.dof) == (True, math.inf)
    inside = math.log(interval[1] / interval[0]) / (2 * 1.959964)
    assert found.error == pytest.approx(math.hypot(inside, ASSUMED_BETWEEN_CV))
    assert Noises([alone], P90).estimate(latency(samples, p90_ms=11.0)) is None
    assert Noises([], RATE).estimate(throughput()) is None


def test_too_few_samples_of_one_process_leave_the_stored_interval() -> None:
    stored = (9.0, 11.0)
    for samples in ([10.0, 10, 10, 10, 10], [10.0, 10, 10, 10, 10, 0.0]):
        few = latency(samples, ci95_ms=stored, median_ms=10.0)
        found = Noises([few], MEDIAN).estimate(few)
        assert found
        assert found.error == pytest.approx(math.hypot(math.log(11 / 9) / (2 * 1.959964), ASSUMED_BETWEEN_CV))
    six = latency([10.0] * 6, ci95_ms=stored)
    found = Noises([six], MEDIAN).estimate(six)
    assert found
    assert found.error == pytest.approx(ASSUMED_BETWEEN_CV)
