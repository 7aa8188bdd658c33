"""Statistics of a cell's raw samples, and nothing that the samples do not carry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

PERCENTILES = (90, 95, 99)


def carries(count: int, percentile: float) -> bool:
    """Whether `count` samples carry a percentile with 99 % confidence.

    MLPerf's early-stopping rule with one sample beyond it allowed: the chance that at most one of `count` samples lies
    above the true percentile must be at most 1 %. It gives 64 samples for p90 and 662 for p99 (MLPerf inference rules,
    "Early stopping").
    """
    return bool(stats.binom.cdf(1, count, 1 - percentile / 100) <= 0.01)


def summarize(samples_ms: Sequence[float]) -> dict[str, Any]:
    """Count, median with its 95 % confidence interval, and percentiles, in milliseconds.

    The interval is the distribution-free one of order statistics (scipy.stats.quantile_test); it is None below six
    samples, which carry none. A percentile is the nearest rank, so a sample that was measured.
    """
    samples = np.asarray(samples_ms, dtype=np.float64)
    if not len(samples):
        return {"count": 0, "median_ms": None, "ci95_ms": None, **{f"p{p}_ms": None for p in PERCENTILES}}
    interval = stats.quantile_test(samples, q=0, p=0.5).confidence_interval(0.95)
    known = bool(np.isfinite([interval.low, interval.high]).all())
    return {
        "count": len(samples),
        "median_ms": float(np.median(samples)),
        "ci95_ms": [float(interval.low), float(interval.high)] if known else None,
        **{
            f"p{p}_ms": float(np.percentile(samples, p, method="inverted_cdf")) if carries(len(samples), p) else None
            for p in PERCENTILES
        },
    }
