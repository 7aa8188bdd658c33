from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.bench.worker import warmup as steady
from runtimes.bench.worker.warmup import WarmUp


def online(series: list[float], stride: int = 1) -> tuple[int, int] | None:
    """As a loop asks after every `stride` samples: (first kept, samples taken until then)."""
    for taken in range(1, len(series) + 1, stride):
        begin = steady.begins(series[:taken])
        if begin is not None:
            return begin, taken
    return None


def noisy(seed: int, levels: np.ndarray, cv: float) -> list[float]:
    draws = np.random.default_rng(seed).normal(0, cv, len(levels))
    return [float(level) for level in levels * np.exp(draws)]


def test_slow_inferences_need_four_samples_and_all_are_kept() -> None:
    assert online([1000.0, 1010.0, 1005.0]) is None
    assert online([1000.0, 1010.0, 1005.0, 1002.0]) == (0, 4)


def test_a_slow_start_is_left_out_and_what_proved_the_end_is_kept() -> None:
    found = online([300.0, 200.0, *[100.0] * 20])
    assert found is not None
    assert found[0] == 2
    assert found[1] <= 8, "two windows of three samples of 100 ms"
    assert steady.begins([100.0] * 8 + [100.0, 130.0, 100.0]) == 5, "what is off in the middle is no warm-up"


def test_windows_last_a_quarter_of_a_second() -> None:
    assert online([1.0] * 499) is None
    assert online([1.0] * 500) == (0, 500)


@pytest.mark.parametrize("drift", [-1, 1])
def test_a_ramp_is_followed_until_it_is_flat(drift: int) -> None:
    ramp = [100.0 * (1 + 0.5 * drift * math.exp(-i / 10)) for i in range(100)]
    found = online(ramp)
    assert found is not None
    begin, taken = found
    assert abs(ramp[begin] / ramp[-1] - 1) < 0.06, "nine tenths of the ramp are over"
    early, late = statistics.median(ramp[begin : begin + 3]), statistics.median(ramp[taken - 3 : taken])
    assert abs(early / late - 1) <= 0.05


def test_times_that_go_on_moving_are_never_steady() -> None:
    assert online([10.0 * 1.03**i for i in range(100)]) is None
    assert online([1000.0 * 0.93**i for i in range(30)]) is None


@pytest.mark.parametrize("level", [1.0, 10.0, 140.0, 1000.0])
def test_noise_of_four_percent_is_no_reason_to_go_on(level: float) -> None:
    # Within three seconds, or eight samples where they are slow; looked at four times in a window.
    count, stride = max(8, int(3000 / level)), max(1, int(62 / level))
    found = [online(noisy(seed, np.full(count, level), 0.04), stride) for seed in range(50)]
    assert sum(one is not None for one in found) >= 45


def test_two_modes_side_by_side_get_steady() -> None:
    modes = np.where(np.random.default_rng(3).random(400) < 0.5, 10.0, 12.0)
    assert online(noisy(4, modes, 0.01)) is not None


@given(st.lists(st.floats(0.1, 2000.0), max_size=60))
def test_what_is_found_are_two_whole_windows_that_agree(series: list[float]) -> None:
    begin = steady.begins(series)
    if begin is None:
        return
    kept = series[begin:]
    assert len(kept) >= 2, "the second window is whole"
    assert sum(kept) >= 250 * (1 - 1e-9)
    assert sum(series) >= 500 * (1 - 1e-9)
    assert len(series) >= 4


@given(st.lists(st.floats(50.0, 60.0), min_size=20, max_size=40), st.floats(1.2, 3.0))
def test_a_step_between_the_windows_is_seen(noise: list[float], step: float) -> None:
    flat = [55.0] * 10
    assert steady.begins([*noise, *flat, *(step * one for one in [55.0] * math.ceil(250 / (55 * step)))]) is None


def test_a_warm_up_is_as_long_as_times_take_to_settle() -> None:
    warmup, samples = WarmUp(max_s=15.0), [500.0, 300.0, *[100.0] * 8]
    lengths = [warmup.length(samples[:count], sum(samples[:count]) / 1e3) for count in range(1, len(samples) + 1)]
    assert lengths[:6] == [None] * 6
    assert (lengths[6], warmup.settled) == (2, True)


def test_a_warm_up_ends_when_its_time_is_over() -> None:
    warmup, ramp = WarmUp(max_s=2.0), [100.0 * 1.2**n for n in range(12)]
    lengths = [warmup.length(ramp[:count], sum(ramp[:count]) / 1e3) for count in range(1, len(ramp) + 1)]
    first = next(length for length in lengths if length is not None)
    assert (sum(ramp[:first]) / 1e3 >= 2.0, sum(ramp[: first - 1]) / 1e3 < 2.0, warmup.settled) == (True, True, False)


def test_it_is_looked_at_no_more_often_than_could_change_the_answer() -> None:
    warmup = WarmUp(max_s=0.0)
    assert warmup.length([1.0], 0.01) is None, "too early to look, although the time is over"
    assert warmup.length([1.0, 1.0], steady.WINDOW_S) == 2
