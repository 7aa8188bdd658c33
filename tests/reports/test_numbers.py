"""Number formatting: a text says what the interval carries, and no more."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports import numbers
from runtimes.records.kinds import Latency

VALUES = st.floats(1e-3, 1e6)
SHARES = st.floats(0, 1)


@st.composite
def intervals(draw: st.DrawFn) -> tuple[float, tuple[float, float]]:
    """A value above zero and an interval around it."""
    value = draw(VALUES)
    return value, (value * (1 - draw(SHARES)), value * (1 + draw(SHARES)))


@pytest.mark.parametrize(
    ("value", "half", "text"),
    [
        (0.827, 0.119, "0.83"),  # both from the Review of Particle Physics
        (0.827, 0.367, "0.8"),
        (140.123, 1.15, "140.1"),
        (140.123, 0.97, "140.1"),
        (140.123, 4.0, "140"),
        (1376.0975, 134.5, "1380"),
        (3.0, 80.0, "3"),  # the first digit is shown, however wide the interval is
        (15.6985, 0.0255, "15.698"),
    ],
)
def test_the_interval_sets_the_digits(value: float, half: float, text: str) -> None:
    assert numbers.measured(value, (value - half, value + half)) == text


@pytest.mark.parametrize(
    ("width", "text"),
    [(7.08, "3.1"), (7.1, "3"), (2.0, "3.1"), (1.98, "3.1"), (1.99, "3.1"), (0.71, "3.1"), (0.7098, "3.13")],
)
def test_two_digits_of_a_half_width_from_100_to_354(width: float, text: str) -> None:
    """At the borders themselves, where half of a width has no rounding of its own."""
    assert numbers.measured(3.126, (0.0, width)) == text


@pytest.mark.parametrize(
    ("value", "interval", "text"),
    [
        (820.0, None, "820"),
        (5.2914, None, "5.29"),
        (1234.5, None, "1230"),
        (7.0, (7.0, 7.0), "7.00"),
        (None, None, "-"),
    ],
)
def test_without_a_width_three_digits(value: float | None, interval: tuple[float, float] | None, text: str) -> None:
    assert numbers.measured(value, interval) == text


@pytest.mark.parametrize(
    ("value", "interval", "text", "spread"),
    [
        (0.04731, (0.0468, 0.0479), "47.3 µs", "46.8–47.9 µs"),
        (0.00512, (0.0049, 0.0055), "5.12 µs", "4.90–5.50 µs"),
        (0.05, (0.03, 0.09), "50 µs", "30–90 µs"),
        (0.0998, None, "99.8 µs", "-"),
        (0.1, (0.09, 0.11), "0.100", "0.090–0.110"),
        (12.34, (12.3, 12.4), "12.34", "12.30–12.40"),
        (None, None, "-", "-"),
        (0.0, None, "0.000", "-"),
    ],
)
def test_a_short_time_is_shown_in_microseconds(
    value: float | None, interval: tuple[float, float] | None, text: str, spread: str
) -> None:
    assert numbers.milliseconds(value, interval) == text
    assert numbers.milliseconds_spread(value, interval) == spread
    assert numbers.milliseconds(value, interval, " ms") == (text if text[-1] in "s-" else f"{text} ms")


@given(intervals())
def test_a_text_lies_within_the_resolution_of_its_interval(case: tuple[float, tuple[float, float]]) -> None:
    value, interval = case
    unit = Decimal(1).scaleb(numbers.last_digit(value, interval))
    assert abs(Decimal(numbers.measured(value, interval)) - Decimal(repr(value))) <= unit / 2


@given(intervals())
def test_never_more_than_two_digits_of_the_half_width(case: tuple[float, tuple[float, float]]) -> None:
    value, (low, high) = case
    text = numbers.measured(value, (low, high))
    half = Decimal(repr((high - low) / 2))
    if half:
        unit = Decimal(1).scaleb(numbers.last_digit(value, (low, high)))
        assert half / unit < Decimal("35.5") or Decimal(text) < 10 * unit
        assert len(text.partition(".")[2]) == max(0, -unit.adjusted())
    assert "e" not in text.lower()


@given(intervals())
def test_the_printed_interval_covers_the_measured_one_and_the_printed_value(
    case: tuple[float, tuple[float, float]],
) -> None:
    value, interval = case
    low, high = map(Decimal, numbers.spread(value, interval).split("–"))
    assert low <= Decimal(repr(interval[0]))
    assert Decimal(repr(interval[1])) <= high
    assert low <= Decimal(numbers.measured(value, interval)) <= high


def test_intervals_overlap_when_they_touch_or_are_not_known() -> None:
    assert numbers.overlap((1, 2), (2, 3))
    assert numbers.overlap((2, 3), (1, 2))
    assert numbers.overlap((1, 9), (2, 3))
    assert not numbers.overlap((1, 2), (2.001, 3))
    assert not numbers.overlap((2.001, 3), (1, 2))
    assert numbers.overlap(None, (1, 2))
    assert numbers.overlap((1, 2), None)
    assert numbers.overlap(None, None)


def latency(**fields: Any) -> Latency:
    common = {"model": "m", "precision": "fp32", "runtime": "ort-cpu", "device": "CPU", "artifact": "a"}
    numbers = {"status": "ok", "reason": None, "effective": None, "command": "", "median_ms": 5.0}
    return Latency(**{**common, **numbers, **fields})


def test_within_a_run_the_runs_own_intervals_count() -> None:
    wide, own = (4.0, 6.0), (4.9, 5.1)
    record = latency(ci95_ms=wide, run_ci95_ms=own, machine="a", run="1")
    old = latency(ci95_ms=wide, machine="a", run="1")  # made before they were told apart
    assert (numbers.own_interval(record), numbers.own_interval(old)) == (own, wide)
    assert numbers.own_interval(latency()) is None
    assert numbers.rivals(record, old) == (own, wide)
    for other in (replace(record, run="2"), replace(record, machine="b")):
        assert numbers.rivals(record, other) == numbers.rivals(other, record) == (wide, wide)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (4.14e-6, "4.1e-6"),
        (3.2e-4, "3.2e-4"),
        (0.0031, "0.0031"),
        (0.0314, "0.031"),
        (0.1, "0.10"),
        (1.0, "1.0"),
        (12.34, "12"),
        (123.4, "123"),
        (0.0, "0"),
        (None, "-"),
        (9.96e-6, "1.0e-5"),  # rounding carries
        (9.96e-4, "0.0010"),
        (0.0996, "0.10"),
        (9.96, "10"),
    ],
)
def test_a_difference_has_two_digits(value: float | None, text: str) -> None:
    assert numbers.tiny(value) == text


@given(st.floats(0, 1, exclude_max=True))
def test_only_one_reads_one(value: float) -> None:
    assert numbers.closeness(1.0, 7) == "1"
    assert float(numbers.closeness(value, 7)) <= value
    assert numbers.closeness(value, 7) != "1"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (1.0, "1"), (0.99999, "0.999"), (0.5, "0.5"), (0.25, "0.25"), (0.0, "0"), (10.0, "10")],
)
def test_zeros_that_say_nothing_are_left_out(value: float | None, text: str) -> None:
    assert numbers.closeness(value, 3) == text
