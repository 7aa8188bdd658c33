"""Mode server: the rules on paper, and LoadGen in front of a session that sleeps."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common import typed
from convert.common.errors import InputError
from runtimes import statistics
from runtimes.base import Effective, Options, Runtime, Session
from runtimes.bench.worker import loadgen, server
from runtimes.bench.worker.job import PERCENTILES, Effort, Job
from runtimes.bench.worker.loadgen import Trial
from runtimes.bench.worker.numbers import ServerNumbers
from runtimes.bench.worker.visit import Opened
from runtimes.records.parts import ServerPoint

LOG = {"result_completed_samples_per_sec": 9.5, "result_scheduled_samples_per_sec": 10.5}


class Sleeper(Session):
    inputs = outputs = ()

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.closed = False

    def _run(self, images: np.ndarray) -> np.ndarray:
        self.threads.add(threading.get_ident())
        time.sleep(0.002)
        return images

    def effective(self) -> Effective:
        return Effective("fp32", "CPU", {})

    def close(self) -> None:
        self.closed = True


class Twinned(Sleeper):
    def __init__(self) -> None:
        super().__init__()
        self.twins: list[Sleeper] = []

    def twin(self) -> Session:
        self.twins.append(Sleeper())
        return self.twins[-1]


def visit(
    session: Session, batch: int = 1, streams: int | None = None, max_s: float = 4.0, **options: Any
) -> ServerNumbers:
    def refuse(*_: Any) -> Session:
        raise AssertionError("no other session is needed")

    fake = Runtime("fake", "json", ("numpy",), ("fp32",), lambda: ["CPU"], refuse)
    opened = Opened(session, None, fake, np.zeros((batch, 3, 2, 2), np.float32))  # type: ignore[arg-type]
    effort = Effort(0.02, 3, max_s, 0.1)  # 4 s are enough for 64 requests at every rate, also on a busy machine
    job = Job("a", "fake", batch, Options(streams=streams), "server", effort, mode_options=options)
    return server.measure(opened, job)


def test_the_counts_are_those_of_mlperfs_rule() -> None:
    assert (server.needed(90), server.needed(99)) == (64, 662)


@given(st.integers(1, 2000), st.sampled_from(PERCENTILES))
def test_a_count_carries_a_percentile_here_where_it_does_in_the_statistics(count: int, percentile: int) -> None:
    assert (count >= server.needed(percentile)) == statistics.carries(count, percentile)


def test_a_point_gets_what_its_percentile_needs_or_what_time_allows() -> None:
    effort = Effort(2.5, 3, 30.0)
    assert server.extent(100.0, 99, effort) == (2.5, 662)
    assert server.extent(10.0, 99, effort) == (2.5, 300)
    assert server.extent(10.0, 90, effort) == (2.5, 64)
    assert server.extent(10.0, 90, Effort(2.5, 100, 30.0)) == (2.5, 100)
    assert server.extent(10.0, 90, Effort(2.5, 3, 1.0)) == (1.0, 10)


def test_percentiles_are_null_where_the_count_does_not_carry_them() -> None:
    few = server.point(10.0, Trial(tuple(map(float, range(63))), False, LOG), 90, 1000.0)
    assert (few.p50_ms, few.p90_ms, few.p99_ms) == (31.0, None, None)
    assert (few.valid, few.met, few.count) == (False, False, 63)
    some = server.point(10.0, Trial(tuple(map(float, range(64))), True, LOG), 90, 57.0)
    assert (some.p90_ms, some.p99_ms, some.valid, some.met) == (57.0, None, True, True)
    assert (some.qps_target, some.qps, some.loadgen_valid) == (10.0, 9.5, True)
    assert not server.point(10.0, Trial(tuple(map(float, range(64))), True, LOG), 90, 56.9).met
    assert not server.point(10.0, Trial(tuple(map(float, range(64))), True, LOG), 99, 1000.0).valid
    many = server.point(10.0, Trial(tuple(map(float, range(1000))), True, LOG), 99, 1000.0)
    assert (many.p90_ms, many.p99_ms) == (900.0, 990.0)


def explored(meets: float, valid: bool = True) -> tuple[list[float], list[float]]:
    """The rates that were tried, in order, and those of the points, for a machine of 100 that meets up to a rate."""
    tried: list[float] = []

    def at(rate: float) -> ServerPoint:
        tried.append(round(rate, 6))
        return ServerPoint(qps_target=round(rate, 6), valid=valid, met=valid and rate <= meets)

    return tried, [one.qps_target or 0 for one in server.explore(at, 100.0)]


def test_the_gap_between_met_and_missed_is_halved_twice() -> None:
    tried, points = explored(77.0)
    assert tried == [20, 40, 60, 80, 100, 120, 70, 75]
    assert points == sorted(tried)
    assert explored(62.0)[0][-2:] == [70, 65]
    assert explored(115.0)[0][-2:] == [110, 115]


def test_a_miss_below_what_was_met_is_no_limit() -> None:
    tried: list[float] = []

    def at(rate: float) -> ServerPoint:
        tried.append(round(rate, 6))
        return ServerPoint(qps_target=rate, valid=True, met=rate <= 85 and round(rate) != 40)

    server.explore(at, 100.0)
    assert tried[-2:] == [90, 85]


def test_there_is_nothing_to_halve_where_all_or_none_meet_or_nothing_is_known() -> None:
    assert len(explored(1000.0)[0]) == len(explored(0.0)[0]) == len(explored(77.0, valid=False)[0]) == 6


def test_all_rates_in_one_visit() -> None:
    pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen is not installed")
    session = Sleeper()
    found: Any = visit(session, latency_bound_ms=10_000.0, percentile=90)
    json.dumps(typed.table(found), allow_nan=False)
    assert session.threads == {threading.get_ident()}
    assert found.percentile == 90
    assert (found.latency_bound_ms, found.bound) == (10_000.0, "as asked for")
    assert found.loadgen.seeds == loadgen.SEEDS
    assert len(found.points) == len(server.LOADS)  # each meets such a bound
    assert found.rates_s >= sum(one.count / one.qps for one in found.points) * 0.9
    targets = [one.qps_target for one in found.points]
    assert targets == pytest.approx([load * found.capacity_qps for load in server.LOADS])
    assert found.qps_max == found.points[-1].qps
    assert all((one.count or 0) >= 64 and (one.p90_ms or 0) >= (one.p50_ms or 0) for one in found.points[1:])


def test_the_percentile_is_the_one_asked_for_also_where_time_does_not_carry_it() -> None:
    pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen is not installed")
    found: Any = visit(Sleeper(), max_s=0.1, latency_bound_ms=10_000.0)
    assert found.percentile == 99
    assert not any(one.valid or one.met for one in found.points)
    assert found.qps_max is None


def test_no_rate_meets_a_bound_below_one_inference() -> None:
    pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen is not installed")
    found: Any = visit(Sleeper(), latency_bound_ms=0.5, percentile=90)
    assert found.qps_max is None
    assert any(one.valid for one in found.points)
    assert not any(one.met or one.loadgen_valid for one in found.points)


def test_the_bound_that_nobody_gave_is_three_medians() -> None:
    pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen is not installed")
    found: Any = visit(Sleeper(), percentile=90)
    assert found.latency_bound_ms == pytest.approx(3 * found.unloaded_ms)
    assert found.bound == "3 x the median latency of an idle machine"


def test_streams_answer_beside_each_other() -> None:
    pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen is not installed")
    session = Twinned()
    found = visit(session, streams=2, latency_bound_ms=100.0, percentile=90)
    assert found.streams == 2
    assert len(session.twins) == 1
    assert session.twins[0].threads
    assert session.twins[0].closed


def test_what_it_cannot_do_it_says() -> None:
    pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen is not installed")
    with pytest.raises(InputError, match="one image at a time"):
        visit(Sleeper(), batch=4)
    with pytest.raises(InputError, match="fake has no streams of its own"):
        visit(Sleeper(), streams=2)


def test_without_loadgen_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
    with pytest.raises(InputError, match="pip install mlcommons-loadgen"):
        visit(Sleeper())
