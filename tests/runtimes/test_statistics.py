from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.bench.statistics import carries, summarize


def test_the_counts_that_carry_a_percentile_are_mlperfs() -> None:
    """64 and 662 stand in MLPerf's inference rules for the 90th and the 99th percentile."""
    fewest = {p: next(n for n in range(2, 1000) if carries(n, p)) for p in (90, 95, 99)}
    assert fewest == {90: 64, 95: 130, 99: 662}


def test_by_hand() -> None:
    found = summarize([5, 1, 4, 2, 3, 9, 8, 7, 6, 10])
    # The second and ninth of ten enclose the median with 1 - 2 x (1 + 10) / 1024 = 97.9 %.
    assert (found["count"], found["median_ms"], found["ci95_ms"]) == (10, 5.5, [2, 9])
    assert found["p90_ms"] is found["p95_ms"] is found["p99_ms"] is None
    found = summarize([1] * 63 + [2] * 7)
    assert (found["p90_ms"], found["p95_ms"]) == (1, None)


def test_too_few_samples_carry_no_interval() -> None:
    assert summarize([1, 2, 3, 4, 5])["ci95_ms"] is None
    assert summarize([])["median_ms"] is None


@given(st.lists(st.floats(1e-3, 1e6), min_size=6, max_size=200))
def test_the_interval_encloses_the_median_and_percentiles_are_samples(samples: list[float]) -> None:
    found = summarize(samples)
    low, high = found["ci95_ms"]
    assert min(samples) <= low <= found["median_ms"] <= high <= max(samples)
    for p in (90, 95, 99):
        assert found[f"p{p}_ms"] in [None, *samples]


def test_the_interval_covers_the_true_median_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        low, high = summarize(rng.exponential(size=31))["ci95_ms"]
        covered += low <= np.log(2) <= high
    assert covered / 400 == pytest.approx(0.96, abs=0.03)
