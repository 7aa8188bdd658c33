"""Medians, intervals and percentiles of samples from several processes."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.records.parts import IntervalMethod
from runtimes.records.samples import LatencySummary
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
    widest,
)
from runtimes.system.contention import Contention
from runtimes.undisturbed import RULE

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
    assert sure(found.interval).method == "Student's t over processes, log scale"
    assert found.samples_ms == (5, 1, 4, 2, 3, 9, 8, 7, 6, 10)
    found = summarize([[1] * 63 + [2] * 7])
    assert (found.p90_ms, found.p95_ms) == (1, None)
    assert found.interval == IntervalMethod(method="bootstrap of the samples of one process", dof=0, processes=1)
    many = summarize([list(range(1, 501)), list(range(501, 1001))])
    assert (many.p90_ms, many.p95_ms, many.p99_ms) == (900, 950, 990)


def test_outliers_are_counted_within_their_process() -> None:
    steady = [10.0, 10.1, 9.9, 10.05, 9.95, 10.02]
    assert summarize([steady, [2 * t for t in steady]]).outliers == 0, "another level is no outlier"
    assert summarize([[*steady, 12.0], steady]).outliers == 1
    assert summarize([[5.0] * 9 + [6.0]]).outliers == 0, "without any spread nothing can be said"


@pytest.mark.parametrize(("mads", "outliers"), [(2.9, 0), (3.1, 1), (-2.9, 0), (-3.1, 1)])
def test_an_outlier_is_further_than_three_scaled_deviations(mads: float, outliers: int) -> None:
    """Of nine samples around 10 the median of their distances is 1, which is 0.6745 standard deviations."""
    samples = [7.0, 8, 9, 9.5, 10, 10.5, 11, 12, 13]
    assert summarize([[*samples, *samples, 10 + mads / 0.6745]]).outliers == outliers


def test_too_few_samples_carry_no_interval() -> None:
    assert summarize([[1, 2, 3, 4, 5]]).ci95_ms is None
    with pytest.raises(ValueError, match="no samples"):
        summarize([])
    assert bootstrap_median([1, 2, 3, 4, 5]) is None
    assert bootstrap_median([1, 2, 3, 4, 5, 6]) is not None
    assert relative_half_width(5.0, None) == math.inf
    assert relative_half_width(10.0, [9.0, 12.0]) == pytest.approx(0.15)


def test_the_bootstrap_is_that_of_percentiles_and_the_same_each_time() -> None:
    assert bootstrap_median([5.0] * 9) == (5.0, 5.0), "other kinds divide by the spread"
    samples = np.random.default_rng(2).normal(100, 5, 40).tolist()
    found = sure(bootstrap_median(samples))
    assert found == bootstrap_median(samples)
    # Of 40 samples the 14th and the 27th enclose the median with 96 %.
    low, high = sorted(samples)[13], sorted(samples)[26]
    assert found == pytest.approx((low, high), rel=0.01)


def test_the_wider_of_two_intervals_is_the_runs_own() -> None:
    alike = [[9.0, 10, 11, 9.5, 10.5, 10.2]] * 2
    inside = sure(bootstrap_median([*alike[0], *alike[1]]))
    assert sure(summarize(alike).run_ci95_ms) == inside, "processes that agree to the last digit have none"
    apart = [[10.0] * 6, [11.0] * 6]
    low, high = sure(interval(10.5, [10.0, 11.0], Noise())[0])
    assert summarize(apart).run_ci95_ms == (low, high)
    assert low < 10 < 11 < high


def test_the_median_is_that_of_undisturbed_samples_and_percentiles_are_of_all() -> None:
    clean, held_up = Contention(0.01), Contention(0.8)
    processes = [[10.0] * 40 + [20.0] * 25, [10.2] * 40 + [20.0] * 25]
    found = summarize(processes, met=[[clean] * 40 + [held_up] * 25] * 2)
    assert (found.median_ms, found.undisturbed, found.rule) == (10.1, 80, RULE)
    assert summarize(processes).rule is None
    assert (found.seen_ms, found.count) == (10.2, 130), "of all samples"
    assert (found.p90_ms, found.p95_ms) == (20.0, 20.0)
    assert len(found.waited) == len(found.foreign) == len(found.samples_ms) == 130
    assert (found.waited[0], found.waited[45]) == (0.01, 0.8)
    assert sure(found.interval).between_cv == pytest.approx(math.log(1.02) / math.sqrt(2)), "of undisturbed medians"
    low, high = sure(found.run_ci95_ms)
    assert low < 10.1 < high < 12


def width(found: LatencySummary) -> float:
    return relative_half_width(sure(found.median_ms), found.run_ci95_ms)


def test_where_nothing_is_undisturbed_all_samples_count_and_it_is_said() -> None:
    found = summarize([[10.0, 20.0, 30.0]] * 2, Noise(0.01, 4), met=[[Contention(0.15)] * 3] * 2)
    assert (found.median_ms, found.seen_ms, found.undisturbed) == (20.0, 20.0, 0)
    unknown = summarize([[10.0, 20.0, 30.0]] * 2, Noise(0.01, 4))
    assert (unknown.median_ms, unknown.undisturbed, unknown.waited) == (20.0, None, ())


def test_a_process_that_was_disturbed_all_the_time_leaves_the_interval_to_the_others() -> None:
    met = [[Contention()] * 6, [Contention(0.9)] * 6, [Contention()] * 6]
    found = summarize([[10.0] * 6, [30.0] * 6, [10.2] * 6], met=met)
    assert (found.median_ms, found.undisturbed) == (10.1, 12)
    assert sure(found.interval).processes == 2


@pytest.mark.parametrize(("busy", "expected"), [(0.0, 92), (0.4, 90), (0.7, 85)])
def test_the_interval_covers_the_quiet_median_on_a_busy_machine_too(busy: float, expected: int) -> None:
    """A share `busy` of samples meets another program, and 0.5 to 0.8 of what a thread waits is missing at the end."""
    covered, total, widths = 0, 100, []
    for seed in range(total):
        rng = np.random.default_rng(seed)
        run: list[list[float]] = []
        met: list[list[Contention]] = []
        for _ in range(4):
            level = 10 * math.exp(rng.normal(0, 0.01))
            waited = np.where(rng.random(25) < busy, rng.exponential(5.0, 25), 0.0)
            times = level * np.exp(rng.normal(0, 0.015, 25)) + rng.uniform(0.5, 0.8, 25) * waited
            run.append(times.tolist())
            met.append([Contention(float(share)) for share in waited / times])
        found = summarize(run, Noise(0.01, 20), met=met)
        low, high = sure(found.run_ci95_ms)
        covered += low <= 10 <= high
        widths.append(width(found))
    assert covered >= expected
    assert np.median(widths) < 0.05


def test_the_wider_of_some_intervals() -> None:
    assert widest((1.0, 3.0), None, (2.0, 4.0)) == (1.0, 4.0)
    assert widest(None, (2.0, 4.0)) == (2.0, 4.0)
    assert widest(None) is widest() is None


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
    assert moderated(Noise(), Noise()) == Noise() == noise([]) == noise([[5.0], []]) == Noise(0.0, 0)
    few = moderated(Noise(0.03, 2), Noise(0.01, 1))
    assert few.dof == 3
    assert few.between_cv == pytest.approx(math.sqrt((2 * 0.03**2 + 0.01**2) / 3))
    assert interval(5.0, [5.0], Noise())[0] is None, "one process alone says nothing of others"


def test_half_a_width_by_hand() -> None:
    """Student's quantile with four degrees of freedom is 2.7764."""
    assert Noise(0.02, 4).half_width(1) == pytest.approx(2.7764 * 0.02, rel=1e-4)
    assert Noise(0.02, 4).half_width(9) == pytest.approx(2.7764 * 0.02 / 3, rel=1e-4)
    assert Noise(0.02, 4).half_width(0) == Noise(0.02, 0).half_width(5) == math.inf
    found, how = interval(5.0, [4.0, 4.0, 7.0], Noise(0.02, 4))
    assert how.dof == 6
    half = Noise(sure(how.between_cv), 6).half_width(3)
    assert found == pytest.approx((5 * math.exp(-half), 5 * math.exp(half)))


def test_what_is_assumed_of_runs_where_no_earlier_one_tells() -> None:
    """2 % between runs with four degrees of freedom, and 0.7 % beyond the probe (docs/measuring.md); in quadrature."""
    assumed, beyond = 2.7764 * 0.02, 1.96 * 0.007
    for own in (0.0, 0.1):
        half = math.sqrt(own**2 + assumed**2 + beyond**2)
        found = across_runs(5.0, (5 * math.exp(-own), 5 * math.exp(own)), Noise())
        assert found == pytest.approx((5 * math.exp(-half), 5 * math.exp(half)), rel=1e-4)
    lopsided = sure(across_runs(5.0, (4.0, 5.0), Noise()))
    assert 5.0 / lopsided[0] > lopsided[1] / 5.0


@pytest.mark.parametrize("processes", [2, 6])
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
