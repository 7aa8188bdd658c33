from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reports.compare import change
from reports.compare.change import LogEstimate
from runtimes.statistics import Noise, noise
from tests.reports.compare import simulation

ERRORS = st.floats(1e-4, 0.2)
LOGS = st.floats(-3, 3)


def test_the_interval_is_that_of_welch() -> None:
    chance = np.random.default_rng(1)
    base, new = chance.normal(0, 0.02, 5), chance.normal(0.04, 0.05, 8)
    estimates = [change.estimate(math.exp(values.mean()), list(np.exp(values)), Noise()) for values in (base, new)]
    assert all(estimates)
    found = change.change(*cast("tuple[LogEstimate, LogEstimate]", estimates), runs_cv=0.0)
    test = stats.ttest_ind(new, base, equal_var=False)
    interval = test.confidence_interval(0.95)
    assert found.p == pytest.approx(test.pvalue)
    assert (found.low, found.high) == pytest.approx((math.expm1(interval.low), math.expm1(interval.high)))


def test_hochberg() -> None:
    """By hand: 4 x 0.01; 2 x 0.04 is less than 3 x 0.03 and comes after it; 1 x 0.5."""
    assert change.together([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.08, 0.08, 0.5])
    assert change.together([0.04, 0.04, 0.04]) == pytest.approx([0.04, 0.04, 0.04])
    assert change.together([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_many_together_never_make_anything_surer(p: list[float]) -> None:
    adjusted = change.together(p)
    assert all(one >= raw for one, raw in zip(adjusted, p, strict=True))
    order = sorted(range(len(p)), key=lambda place: p[place])
    assert [adjusted[place] for place in order] == sorted(adjusted)


@given(LOGS, LOGS, ERRORS, ERRORS, st.floats(1, 50), st.floats(0, 0.1), st.floats(-0.2, 0.2), ERRORS)
def test_a_change_the_other_way_round(
    base: float, new: float, e1: float, e2: float, dof: float, smallest: float, machine: float, unsure: float
) -> None:
    one, other = LogEstimate(base, e1, dof), LogEstimate(new, e2, dof + 1)
    there = change.change(one, other, smallest, (machine, unsure))
    back = change.change(other, one, smallest, (-machine, unsure))
    assert there.p == pytest.approx(back.p)
    assert 1 + there.high == pytest.approx(1 / (1 + back.low))
    assert there.low <= there.amount <= there.high
    known = change.change(one, other, 0.0, (machine, unsure))
    assert there.p >= known.p - 1e-12  # what is too small makes nothing surer


def test_what_is_too_small_or_the_machines_is_no_change() -> None:
    base, new = LogEstimate(0.0, 0.001, 20), LogEstimate(math.log(1.03), 0.001, 20)

    def p(**fields: Any) -> float:
        return change.change(base, new, **{"runs_cv": 0.0, **fields}).p

    assert p() < 1e-6
    assert p(smallest=0.02) < 0.01
    assert p(smallest=0.03) == pytest.approx(1.0)
    assert p(smallest=0.5) == 1.0
    assert p(machine=(math.log(1.03), 0.0)) == pytest.approx(1.0)
    assert p(machine=(math.log(1.01), 0.02)) > 0.05
    assert p(machine=(math.log(0.96), 0.0)) < 1e-6  # the machine got faster, the cell slower
    found = change.change(base, new, machine=(math.log(1.01), 0.0))
    assert found.amount == pytest.approx(1.03 / 1.01 - 1)
    assert p(runs_cv=0.02) > 0.05


def test_nothing_is_known_of_one_process() -> None:
    assert change.estimate(100.0, [100.0], Noise()) is None
    assert change.estimate(100.0, [], Noise(0.02, 5)) is None
    borrowed = change.estimate(100.0, [100.0], Noise(0.02, 5))
    assert borrowed
    assert borrowed.error == pytest.approx(0.02)
    assumed = change.of_one_process(100.0, [99.0, 101.0])
    assert assumed
    assert assumed.assumed
    assert (assumed.log, assumed.dof) == (math.log(100.0), math.inf)
    assert assumed.error == pytest.approx(math.hypot(math.log(101 / 99) / (2 * 1.959964), 0.02))
    for wrong in ([101.0, 99.0], [0.0, 1.0], [-1.0, 1.0]):
        assert change.of_one_process(100.0, wrong) is None
    assert change.of_one_process(0.5, [0.4, 0.6]) is not None, "half a millisecond is a time"
    exact = change.of_one_process(100.0, [100.0, 100.0])
    assert exact
    assert exact.error == 0.02
    assert change.of_one_process(100.0, None) is None


def test_a_mean_is_surer_than_its_parts() -> None:
    whole = change.mean([LogEstimate(0.0, 0.02, 4), LogEstimate(0.1, 0.02, 4)])
    assert (whole.log, whole.error, whole.dof) == pytest.approx((0.05, 0.02 / math.sqrt(2), 8))
    assert not whole.assumed
    assert change.mean([LogEstimate(0.0, 0.02, 4), LogEstimate(0.1, 0.02, 4, assumed=True)]).assumed


def test_a_difference_of_paired_fractions() -> None:
    found = change.paired(10, 30, 1000, 0.002)
    assert found.amount == pytest.approx(0.02)
    assert found.half_width == pytest.approx(1.96 * math.sqrt(0.04 / 1000 - 0.02**2 / 1000), rel=1e-3)


@pytest.mark.parametrize(("between", "processes"), [(0.02, 2), (0.02, 5), (0.005, 3)])
def test_ten_repeats_of_the_same_matrix_are_no_regression(between: float, processes: int) -> None:
    chance = np.random.default_rng(7)
    found = [simulation.changes(chance, processes, between, simulation.NOTHING) for _ in range(10)]
    assert not any(map(simulation.said, found))
    assert not any(map(simulation.fails, found))
    assert simulation.rate(simulation.said, processes, between, simulation.NOTHING, repeats=100) <= 0.05


@pytest.mark.parametrize(
    ("slower", "between", "processes", "least"),
    [
        ([0.05] * 12, 0.01, 5, 0.6),  # all cells slower: the group shows it
        ([0.05, *[0.0] * 11], 0.005, 10, 0.45),
        ([0.10, *[0.0] * 11], 0.02, 5, 0.9),
    ],
)
def test_a_slow_down_is_found(slower: list[float], between: float, processes: int, least: float) -> None:
    assert simulation.rate(simulation.fails, processes, between, slower, repeats=40, seed=3) >= least


def test_intervals_cover() -> None:
    chance, covered = np.random.default_rng(11), 0
    for _ in range(200):
        runs: list[Any] = []
        for shift in (0.0, 0.05):
            levels = np.exp(shift + chance.normal(0, 0.02, 3))
            others = noise([list(np.exp(chance.normal(0, 0.02, 3))) for _ in range(5)])
            runs.append(change.estimate(float(np.exp(np.log(levels).mean())), list(levels), others))
        found = change.change(*cast("tuple[LogEstimate, LogEstimate]", runs), runs_cv=0.0)
        covered += found.low <= math.expm1(0.05) <= found.high
    assert 0.90 <= covered / 200 <= 0.99
