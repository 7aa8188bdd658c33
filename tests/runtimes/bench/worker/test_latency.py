"""The loop, with a clock that moves by what the session says an inference takes: no real time passes."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from runtimes.base import DeviceTimes, Effective, Session
from runtimes.bench.worker import latency
from runtimes.bench.worker.job import Effort, Job
from runtimes.bench.worker.numbers import LatencyNumbers
from runtimes.bench.worker.visit import Opened


class Scripted(Session):
    inputs = outputs = ()

    def __init__(self, times_ms: Iterator[float], on_device: bool = False) -> None:
        self.times_ms, self.on_device, self.now, self.last = times_ms, on_device, 0.0, 0.0
        self.collecting: set[bool] = set()

    def _run(self, images: np.ndarray) -> np.ndarray:
        self.last = next(self.times_ms)
        self.now += self.last / 1e3
        self.collecting.add(gc.isenabled())
        return images

    def effective(self) -> Effective:
        return Effective("fp32", "CPU", {})

    def device_times(self) -> DeviceTimes | None:
        return DeviceTimes(0.1, self.last, 0.2) if self.on_device else None


def measure(monkeypatch: pytest.MonkeyPatch, session: Scripted, **effort: Any) -> LatencyNumbers:
    monkeypatch.setattr(time, "perf_counter", lambda: session.now)
    opened = Opened(session, None, None, np.zeros((1, 3, 2, 2), np.float32))  # type: ignore[arg-type]
    return latency.measure(opened, Job("a", "fake", 1, effort=Effort(**effort)))


def repeat(*first: float, then: float) -> Iterator[float]:
    yield from first
    while True:
        yield then


def test_slow_first_samples_are_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure(monkeypatch, Scripted(repeat(500.0, 300.0, then=100.0)), min_s=1.95, min_count=3)
    assert found.warmup_ms == pytest.approx([500.0, 300.0])
    assert found.samples_ms == pytest.approx([100.0] * 20)
    assert found.steady is True
    assert found.device_times_ms is None


def test_both_minima_are_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    by_count = measure(monkeypatch, Scripted(repeat(then=100.0)), min_s=0.0, min_count=30)
    assert len(by_count.samples_ms) == 30
    by_time = measure(monkeypatch, Scripted(repeat(then=100.0)), min_s=4.95, min_count=3)
    assert len(by_time.samples_ms) == 50


def test_the_maximum_time_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure(monkeypatch, Scripted(repeat(then=100.0)), min_s=0.0, min_count=1000, max_s=1.95)
    assert len(found.samples_ms) == 20


def test_slow_inferences_take_four(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure(monkeypatch, Scripted(repeat(then=1000.0)), min_s=2.5, min_count=3)
    assert (len(found.samples_ms), found.warmup_ms) == (4, ())


def test_what_never_gets_steady_is_kept_and_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    def growing() -> Iterator[float]:
        time_ms = 100.0
        while True:
            yield time_ms
            time_ms *= 1.05

    found = measure(monkeypatch, Scripted(growing()), min_s=1.0, min_count=3, max_s=5.0, warmup_max_s=2.0)
    assert found.steady is False
    assert sum(found.warmup_ms) >= 2000
    assert len(found.samples_ms) >= 3


def test_the_devices_own_times_leave_the_warm_up_out(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = [800.0, 700.0, 600.0, 500.0, 400.0, 300.0, 250.0, 200.0, 150.0]
    found = measure(monkeypatch, Scripted(repeat(*slow, then=100.0), on_device=True), min_s=0.0, min_count=3)
    assert found.warmup_ms == pytest.approx(slow)
    assert vars(found.device_times_ms) == pytest.approx({"h2d_ms": 0.1, "compute_ms": 100.0, "d2h_ms": 0.2})


def test_the_collector_rests_and_wakes_even_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Scripted(iter([1.0, 1.0]))
    with pytest.raises(StopIteration):
        measure(monkeypatch, session)
    assert session.collecting == {False}
    assert gc.isenabled()
