"""Medians, intervals and percentiles of samples from several processes."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.statistics import (
    BEYOND_PROBE_CV,
    Noise,
    across_runs,
    bootstrap_median,
    carries,
    interval,
    moderated,
    noise,
    relative_half_width,
    summarize,
)

T = TypeVar("T")
TIMES = st.floats(1e-3, 1e6)


def sure(found: T | None) -> T:
    assert found is not None
    return found


def test_the_counts_that_carry_a_percentile_are_mlperfs() -> None:
    """64 and 662 stand in MLPerf's inference rules for the 90th and the 99th percentile."""
    fewest = {p: next(n for n in range(2, 1000) if carries(n, p)) for p in (90, 95, 99)}
    assert fewest == {90: 64, 95: 130, 99: 662}


def test_by_hand() -> None:
    found = summarize([[5, 1, 4, 2, 3], [], [9, 8, 7, 6, 10]])
    assert (found.count, found.median_ms) == (10, 5.5)
    assert found.p90_ms is found.p95_ms is found.p99_ms is None
    # Two processes with medians 3 and 8: their logarithms are ln(8/3) apart, the standard deviation is that over the
    # root of 2, the error of their mean a half, and Student's quantile with one degree of freedom 12.706.
    between = math.log(8 / 3) / math.sqrt(2)
    assert sure(found.interval).between_cv == pytest.approx(between)
    assert (sure(found.interval).dof, sure(found.interval).processes) == (1, 2)
    assert sure(found.run_ci95_ms)[1] == pytest.approx(5.5 * math.exp(12.706 * math.log(8 / 3) / 2), rel=1e-3)
    # Mean 3, standard deviation the root of 2; mean 8, the same: the median of both.
    assert found.cv == pytest.approx((math.sqrt(2) / 3 + math.sqrt(2) / 8) / 2)
    found = summarize([[1] * 63 + [2] * 7])
    assert (found.p90_ms, found.p95_ms) == (1, None)


def test_outliers_are_counted_within_their_process() -> None:
    steady = [10.0, 10.1, 9.9, 10.05, 9.95, 10.02]
    assert summarize([steady, [2 * t for t in steady]]).outliers == 0, "another level is no outlier"
    assert summarize([[*steady, 12.0], steady]).outliers == 1
    assert summarize([[5.0] * 9 + [6.0]]).outliers == 0, "without any spread nothing can be said"


def test_too_few_samples_carry_no_interval() -> None:
    assert summarize([[1, 2, 3, 4, 5]]).ci95_ms is None
    with pytest.raises(ValueError, match="no samples"):
        summarize([])
    assert bootstrap_median([1, 2, 3]) is None
    assert relative_half_width(5.0, None) == math.inf
    assert relative_half_width(10.0, [9.0, 12.0]) == pytest.approx(0.15)


@given(st.lists(st.lists(TIMES, min_size=6, max_size=30), min_size=1, max_size=4))
def test_the_interval_encloses_the_median_and_percentiles_are_samples(processes: list[list[float]]) -> None:
    found = summarize(processes, Noise(0.02, 8))
    low, high = sure(found.ci95_ms)
    assert low <= sure(found.median_ms) * (1 + 1e-12)
    assert high >= sure(found.median_ms) * (1 - 1e-12)
    assert found.count == sum(map(len, processes))
    for p in (90, 95, 99):
        assert getattr(found, f"p{p}_ms") in [None, *(sample for one in processes for sample in one)]


@given(st.lists(st.lists(TIMES, max_size=5), max_size=6), st.floats(0.1, 10))
def test_pooled_noise_does_not_depend_on_the_unit(cells: list[list[float]], scale: float) -> None:
    one, other = noise(cells), noise([[scale * value for value in cell] for cell in cells])
    assert one.dof == other.dof == sum(max(0, len(cell) - 1) for cell in cells)
    assert one.between_cv == pytest.approx(other.between_cv, abs=1e-9)


def test_a_cell_borrows_from_its_neighbours_but_is_not_outvoted() -> None:
    quiet, loud = Noise(0.01, 100), Noise(0.1, 4)
    assert moderated(Noise(), quiet) == Noise(0.01, 4)
    assert moderated(loud, Noise()) == loud
    both = moderated(loud, quiet)
    assert both.dof == 8
    assert both.between_cv == pytest.approx(math.sqrt((0.1**2 + 0.01**2) / 2))
    assert moderated(Noise(), Noise()) == Noise()
    assert interval(5.0, [5.0], Noise())[0] is None, "one process alone says nothing of others"


@pytest.mark.parametrize("processes", [2, 3, 6])
def test_the_interval_covers_the_true_median_as_often_as_it_says(processes: int) -> None:
    """Twelve cells in a run; processes differ by 3 %, samples in them by 2 %."""
    rng = np.random.default_rng(processes)
    covered = total = 0
    for _ in range(40):
        run = [
            [(math.exp(rng.normal(0, 0.03)) * np.exp(rng.normal(0, 0.02, 12))).tolist() for _ in range(processes)]
            for _ in range(12)
        ]
        medians = [[float(np.median(one)) for one in cell] for cell in run]
        for index, cell in enumerate(run):
            others = noise(medians[:index] + medians[index + 1 :])
            low, high = sure(summarize(cell, others).run_ci95_ms)
            covered += low <= 1 <= high
            total += 1
    assert covered / total == pytest.approx(0.96, abs=0.025)


@pytest.mark.parametrize(("machine", "known"), [(0.025, 10), (0.01, 0), (0.002, 10)])
def test_the_interval_covers_what_all_runs_have_in_common(machine: float, known: int) -> None:
    """The machine's speed differs by `machine` between runs, of which the probe of so many earlier runs tells."""
    rng = np.random.default_rng(5)
    covered = alone = 0
    for _ in range(200):
        earlier = noise([np.exp(rng.normal(0, machine, known)).tolist()])
        level = math.exp(rng.normal(0, math.hypot(machine, BEYOND_PROBE_CV)))
        run = [(level * math.exp(rng.normal(0, 0.005)) * np.exp(rng.normal(0, 0.01, 20))).tolist() for _ in range(10)]
        found = summarize(run, Noise(0.005, 20), earlier)
        low, high = sure(found.ci95_ms)
        covered += low <= 1 <= high
        low, high = sure(found.run_ci95_ms)
        alone += low <= 1 <= high
    assert covered / 200 >= 0.93
    assert alone / 200 < 0.85
    narrow = [sure(summarize([[1.0] * 9] * 4, Noise(), Noise(cv, 40)).ci95_ms) for cv in (0.0, 0.01, 0.03)]
    assert narrow[0][0] > narrow[1][0] > narrow[2][0]
    steady = across_runs(5.0, (5.0, 5.0), Noise(0.0, 10**9))
    assert steady == pytest.approx([5 * math.exp(side * 1.96 * BEYOND_PROBE_CV) for side in (-1, 1)], rel=1e-4)
    assert across_runs(5.0, None, Noise()) is None


def test_intervals_of_one_process_alone_are_those_of_its_samples() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        low, high = sure(summarize([rng.exponential(size=31).tolist()]).run_ci95_ms)
        covered += low <= np.log(2) <= high
    assert covered / 200 == pytest.approx(0.95, abs=0.04)
