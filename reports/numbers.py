"""Numbers as text: as many digits as the measurement carries, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

from reports.language import say
from runtimes.bench import describe
from runtimes.bench.describe import LEAST_MS
from runtimes.records.kinds import Latency
from runtimes.records.parts import Interval

NONE = "-"


def last_digit(value: float, interval: Sequence[float] | None = None) -> int:
    """The exponent of ten of the last digit worth showing: -1 for tenths, 0 for ones, 1 for tens.

    interval: 95 % confidence interval (low, high) of the value, in its unit. Its half width is rounded by the rule of
    the Particle Data Group (Review of Particle Physics, Introduction, "Rounding"): two digits of it where the leading
    ones are 100 to 354, or 950 to 999 (which become 1000), else one. Without an interval, or with one of no width,
    three digits of the value. The value's first digit is always shown.
    """
    first = Decimal(repr(value)).adjusted()
    half = (interval[1] - interval[0]) / 2 if interval else 0
    if not half > 0:
        return first - 2
    width = Decimal(repr(half))
    leading = width.scaleb(-width.adjusted())
    return min(first, width.adjusted() - (leading < Decimal("3.55")))


def at(value: float, digit: int, rounding: str = ROUND_HALF_EVEN) -> str:
    """The value rounded to the digit 10 ** `digit`, never in scientific notation."""
    return f"{Decimal(repr(value)).quantize(Decimal(1).scaleb(digit), rounding):f}"


def measured(value: float | None, interval: Sequence[float] | None = None) -> str:
    """A measured value with the digits that its 95 % interval carries; "-" where there is none."""
    return NONE if value is None else at(value, last_digit(value, interval))


def spread(value: float | None, interval: Sequence[float] | None) -> str:
    """The interval itself, to the value's last digit. Rounded outwards: it never claims more than was measured."""
    if value is None or not interval:
        return NONE
    digit = last_digit(value, interval)
    return f"{at(interval[0], digit, ROUND_FLOOR)}–{at(interval[1], digit, ROUND_CEILING)}"


def milliseconds(value: float | None, interval: Sequence[float] | None = None, unit: str = "") -> str:
    """`measured` for a time in ms: one that needs microseconds has them, with its unit. unit: what stands after ms."""
    if value is not None and 0 < value < LEAST_MS:
        return f"{_micro(value, last_digit(value, interval))} µs"
    return measured(value, interval) + unit * (value is not None)


def milliseconds_spread(value: float | None, interval: Sequence[float] | None) -> str:
    """`spread` likewise, in the unit that the value has."""
    if value is not None and interval and not describe.tells(interval):
        return say("unknown")
    if value is None or not interval or not 0 < value < LEAST_MS:
        return spread(value, interval)
    digit = last_digit(value, interval)
    return f"{_micro(interval[0], digit, ROUND_FLOOR)}–{_micro(interval[1], digit, ROUND_CEILING)} µs"


def _micro(value: float, digit: int, rounding: str = ROUND_HALF_EVEN) -> str:
    """A thousand times the value, rounded to the digit that `at` takes."""
    return f"{Decimal(at(value, digit, rounding)).scaleb(3):f}"


def overlap(one: Sequence[float] | None, other: Sequence[float] | None) -> bool:
    """Whether two intervals share a point. Without an interval nothing can be told apart: True."""
    return not one or not other or (one[0] <= other[1] and other[0] <= one[1])


def own_interval(latency: Latency) -> Interval | None:
    """The 95 % interval (ms) of a run alone; records made before it was told apart have one interval."""
    return latency.run_ci95_ms or latency.ci95_ms


def rivals(one: Latency, other: Latency) -> tuple[Interval | None, Interval | None]:
    """The intervals (ms) by which two latencies are held against each other.

    What runs differ in strikes all cells of a run alike, so there the run's own intervals count.
    """
    if (one.machine, one.run) == (other.machine, other.run):
        return own_interval(one), own_interval(other)
    return one.ci95_ms, other.ci95_ms


def tiny(value: float | None) -> str:
    """A difference, two digits of it: `4.1e-6`, `0.031`, `12`."""
    if not value:
        return NONE if value is None else "0"
    digits, power = f"{value:.1e}".split("e")  # rounded first: 9.96e-6 is 1.0e-5
    exponent = int(power)
    return at(value, min(exponent - 1, 0)) if exponent >= -3 else f"{digits}e{exponent}"


def closeness(value: float | None, places: int) -> str:
    """A cosine or a fraction of agreement, cut after some decimals and not rounded: only what is 1 reads 1."""
    if value is None:
        return NONE
    return "1" if value == 1 else at(value, -places, ROUND_FLOOR).rstrip("0").rstrip(".")
