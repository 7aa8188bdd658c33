"""Warm-up and turns, with a clock that moves by what an inference is said to take: no real time passes."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from runtimes.base import DeviceTimes
from runtimes.bench.worker.energy import Meter
from runtimes.bench.worker.latency import Stopwatch
from runtimes.bench.worker.numbers import TurnOf
from runtimes.system.contention import Contention, Moment


@dataclass
class Scripted:
    """Inferences that take what `times_ms` says, while others compute for a share `foreign` of two cores."""

    times_ms: Iterator[float]
    on_device: bool = False
    known: bool = True
    now: float = 0.0
    last: float = 0.0
    waited_s: float = 0.0
    looks: int = 0
    collecting: set[bool] = field(default_factory=set)

    def infer(self) -> None:
        self.last = next(self.times_ms)
        self.now += self.last / 1e3
        self.collecting.add(gc.isenabled())

    def look(self) -> Moment:
        self.looks += 1
        return Moment(self.now, 0.0, {"1": self.waited_s} if self.known else None, None, 2)

    def device_times(self) -> DeviceTimes | None:
        return DeviceTimes(0.1, self.last, 0.2) if self.on_device else None


def watch(scripted: Scripted) -> Stopwatch:
    return Stopwatch(scripted.infer, scripted.device_times, clock=lambda: scripted.now, look=scripted.look)


def repeat(*first: float, then: float) -> Iterator[float]:
    yield from first
    while True:
        yield then


def warm(times_ms: Iterator[float], max_s: float = 5.0, **changes: Any) -> Stopwatch:
    made = watch(Scripted(times_ms, **changes))
    made.warm_up(max_s)
    return made


def test_slow_first_samples_are_the_warm_up_and_those_that_prove_it_over_are_kept() -> None:
    found = warm(repeat(500.0, 300.0, then=100.0)).numbers()
    assert found.warmup_ms == pytest.approx([500.0, 300.0])
    assert found.samples_ms == pytest.approx([100.0] * len(found.samples_ms))
    assert found.samples_ms
    assert found.turns == (TurnOf("", len(found.samples_ms)),), "a turn of nobody else's name"
    assert found.steady is True
    assert found.device_times_ms is None


def test_what_never_gets_steady_is_kept_and_flagged() -> None:
    def growing() -> Iterator[float]:
        time_ms = 100.0
        while True:
            yield time_ms
            time_ms *= 1.05

    made = warm(growing(), max_s=2.0)
    made.turn("t.1", 0.3)
    found = made.numbers()
    assert found.steady is False
    assert sum(found.warmup_ms) >= 2000
    assert found.samples_ms


def test_the_first_inference_of_a_turn_does_not_count() -> None:
    """It finds caches full of what other sessions left there."""
    made = watch(Scripted(repeat(140.0, *[100.0] * 3, 130.0, then=100.0)))
    made.turn("t.1", 0.29)
    made.turn("t.2", 0.29)
    found = made.numbers()
    assert found.samples_ms == pytest.approx([100.0] * 6)
    assert found.turns == (TurnOf("t.1", 3), TurnOf("t.2", 3))


def test_a_turn_has_one_sample_at_least() -> None:
    made = watch(Scripted(repeat(then=400.0)))
    made.turn("t.1", 0.3)
    assert made.kept_ms == pytest.approx([400.0])


def test_of_inferences_that_take_long_the_first_counts_and_is_all() -> None:
    scripted = Scripted(repeat(then=3000.0))
    made = watch(scripted)
    made.turn("t.1", 0.3)
    assert made.kept_ms == pytest.approx([3000.0])
    assert scripted.now == pytest.approx(3.0)


def test_each_sample_knows_what_it_met() -> None:
    scripted = Scripted(repeat(then=100.0))

    def infer() -> None:
        scripted.infer()
        scripted.waited_s += 0.05 if scripted.now > 0.35 else 0.0

    made = Stopwatch(infer, scripted.device_times, clock=lambda: scripted.now, look=scripted.look)
    made.turn("t.1", 0.45)
    met = made.numbers().met
    assert met == (Contention(), Contention(), *[Contention(0.5)] * 3)


def test_short_samples_share_a_reading() -> None:
    scripted = Scripted(repeat(then=1.0))
    made = watch(scripted)
    made.turn("t.1", 0.3)
    assert len(made.kept_ms) == len(made.numbers().met) >= 300
    assert scripted.looks < 12


def test_where_the_system_tells_nothing_nothing_is_claimed() -> None:
    made = warm(repeat(then=100.0), known=False)
    made.turn("t.1", 0.3)
    found = made.numbers()
    assert found.samples_ms
    assert found.met == ()


def test_the_devices_own_times_leave_the_warm_up_out() -> None:
    slow = [800.0, 700.0, 600.0, 500.0, 400.0, 300.0, 250.0, 200.0, 150.0]
    found = warm(repeat(*slow, then=100.0), max_s=60.0, on_device=True).numbers()
    assert found.warmup_ms == pytest.approx(slow)
    assert vars(found.device_times_ms) == pytest.approx({"h2d_ms": 0.1, "compute_ms": 100.0, "d2h_ms": 0.2})


def test_the_machines_counters_are_read_around_each_turn() -> None:
    made = warm(repeat(then=100.0))
    made.turn("t.1", 0.3)
    made.turn("t.2", 0.3)
    assert len(made.spans) == 3
    assert all(before.clock_s <= after.clock_s for before, after in made.spans)


def test_the_collector_rests_and_wakes_even_after_an_error() -> None:
    scripted = Scripted(iter([1.0, 1.0]))
    with pytest.raises(StopIteration):
        watch(scripted).warm_up(5.0)
    assert scripted.collecting == {False}
    assert gc.isenabled()


def test_energy_is_that_of_what_the_turns_keep() -> None:
    """Ten watts: the warm-up and the first inference of a turn are neither in the joules nor in the images."""
    scripted = Scripted(repeat(then=125.0))
    meter = Meter(
        "rapl",
        lambda: 10.0 * scripted.now,
        lambda before, after, seconds: after - before,
        batch=4,
        reason=None,
        clock=lambda: scripted.now,
    )
    made = dataclasses.replace(watch(scripted), meter=meter)
    made.warm_up(5.0)
    made.turn("t.1", 0.3)
    made.turn("t.2", 0.5)
    found = made.numbers().energy
    assert found is not None
    assert (found.joules, found.images, found.seconds) == pytest.approx((8.75, 28, 0.875))
