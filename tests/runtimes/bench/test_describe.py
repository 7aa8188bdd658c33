"""What came of a cell, in a line."""

from __future__ import annotations

import pytest

from runtimes.bench import describe
from runtimes.records.kinds import Latency, Server, Throughput
from runtimes.records.parts import ServerPoint
from tests.runtimes.records.made import record


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


@pytest.mark.parametrize(
    ("qps_max", "lowest_valid", "line"),
    [
        (10.0, False, "10.0 requests/s with p99 within 100 ms"),
        (None, True, "no rate with p99 within 100 ms"),
        (None, False, "no rate known with p99 within 100 ms"),
    ],
)
def test_of_a_percentile_that_too_few_requests_carry_nothing_is_told(
    qps_max: float | None, lowest_valid: bool, line: str
) -> None:
    points = (
        ServerPoint(qps_target=10.0, valid=True),
        ServerPoint(qps_target=8.0, valid=lowest_valid, count=160, p50_ms=31.25, p90_ms=64.126),
        ServerPoint(qps_target=4.0, valid=lowest_valid, count=30, p50_ms=28.0),
    )
    served = record(Server, points=points, qps_max=qps_max, percentile=99, latency_bound_ms=100.0)
    assert describe.outcome(served) == line
    told = describe.not_carried(served)
    assert bool(told) == served.unknown == ("known" in line)
    if told:
        assert told == [
            "p99 not carried at 2 of 3 rates: 662 requests need 166 s at 4 requests/s: raise --max-seconds to 166, or"
            " leave it out",
            "30 requests at 4 requests/s carry p50 28 ms",
            "160 requests at 8 requests/s carry p50 31.25 ms and p90 64.13 ms",
        ]


def test_an_interval_that_tells_nothing_is_unknown() -> None:
    rate = record(Throughput, images_per_s=120.9, ci95_images_per_s=(0.9, 15425.8), batch=1)
    assert describe.outcome(rate) == "120.9 images/s (interval unknown) at batch 1, streams 1"
    time = record(Latency, median_ms=10.0, ci95_ms=(0.1, 900.0), count=5)
    assert describe.outcome(time) == "median 10.0 ms (interval unknown), 5 samples"
