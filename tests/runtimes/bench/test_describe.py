"""What came of a cell, in a line."""

from __future__ import annotations

import pytest

from runtimes.bench import describe
from runtimes.records.kinds import Latency


@pytest.mark.parametrize(
    ("median", "interval", "line"),
    [
        (5.04, [5.01, 5.14], "median 5.0 ms [5.0, 5.1], 7 samples"),
        (0.0421, [0.0412, 0.0449], "median 42.1 µs [41.2, 44.9], 7 samples"),
        (0.0007, None, "median 0.7 µs (too few for an interval), 7 samples"),
    ],
)
def test_a_short_time_is_told_in_microseconds(median: float, interval: list[float] | None, line: str) -> None:
    common = {"model": "m", "precision": "fp32", "runtime": "ort-cpu", "device": "CPU", "artifact": "a"}
    numbers = {"status": "ok", "reason": None, "effective": None, "command": "", "count": 7}
    record = Latency(**common, **numbers, median_ms=median, ci95_ms=interval)  # type: ignore[arg-type]
    assert describe.outcome(record) == line
