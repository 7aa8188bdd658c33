"""What a measurement says of a budget: a value, and where a new measurement would find it.

A point value within a budget is met anew every other time. So a candidate is dropped early where even the favourable
end misses the budget, and taken where even the other end keeps it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from runtimes import pairs
from runtimes.pairs import PairRatio
from runtimes.records.contender import euros_per_million
from runtimes.records.kinds import Latency, Throughput, TimedRecord
from runtimes.statistics import ASSUMED_PROCESSES, Noise, carries
from runtimes.system.contention import Contention
from runtimes.undisturbed import clean
from validate.accuracy.outcomes import FIRST, UNREADABLE
from validate.choice.budget import COST, MEMORY, PERCENTILES, Constraint

# Of the order statistic that bounds a percentile. What a new measurement finds has an error of the same size as this
# one's, so that 1.88 standard errors are 1.88 / sqrt(2) of their difference: nine in ten.
_SURE = 0.97
# That a look misses a budget: many looks are taken, and who falls does not come back.
_CLEAR = 0.01
# Peaks of memory of processes that do the same lie within this of each other.
_MEMORY_SPREAD = 0.03
# Times the half width of the interval: who is slower is asked of each candidate (as in bench/schedule/modes.py).
_SURER = 1.5
_LEFT = 0.25  # of a turn that others disturbed, at least (as in runtimes/undisturbed.py)
_ASSUMED = Noise(ASSUMED_PROCESSES, 4)  # of a figure of one process


@dataclass(frozen=True)
class Estimate:
    """A figure of a budget. low, high: where a new measurement would find it; high infinite where nothing tells."""

    value: float
    low: float
    high: float
    why: str = ""


def read(record: TimedRecord, constraint: Constraint) -> Estimate | None:
    """What a record says of a constraint; None where it says nothing."""
    if constraint.figure == MEMORY:
        peak = record.peak_memory_bytes
        return None if peak is None else Estimate(peak, peak * (1 - _MEMORY_SPREAD), peak * (1 + _MEMORY_SPREAD))
    if constraint.figure in PERCENTILES:
        return _percentile(record, PERCENTILES[constraint.figure]) if isinstance(record, Latency) else None
    if constraint.figure == COST:
        return cost(record, constraint.price)
    return _rate(record)


def cost(record: TimedRecord, price: float | None) -> Estimate | None:
    """Euros per million images at a price per hour; None of what is no rate."""
    rate = _rate(record)
    if not rate or not price:
        return None
    value, low, high = (euros_per_million(one, price) for one in (rate.value, rate.high, rate.low))
    return Estimate(value, low, high)


def _rate(record: TimedRecord) -> Estimate | None:
    if isinstance(record, Throughput) and record.images_per_s:
        return Estimate(record.images_per_s, *_interval(record.images_per_s, record.ci95_images_per_s))
    return None


def clearly_misses(reading: Estimate, constraint: Constraint) -> bool:
    """Whether even the favourable end misses."""
    return reading.low > constraint.limit if constraint.most else reading.high < constraint.limit


def surely_keeps(reading: Estimate, constraint: Constraint) -> bool:
    """Whether a new measurement keeps it, in nine of ten."""
    return reading.high <= constraint.limit if constraint.most else reading.low >= constraint.limit


def excess(reading: Estimate, constraint: Constraint) -> float:
    """By what part of the limit it is missed, by the unfavourable end where that is known; 0 where it is kept."""
    end = reading.high if constraint.most else reading.low
    worst = end if math.isfinite(end) else reading.value
    return max(0.0, worst / constraint.limit - 1 if constraint.most else 1 - worst / constraint.limit)


def _percentile(record: Latency, percentile: int) -> Estimate | None:
    """By order statistics, which assume nothing of the distribution, and by how far runs lie apart.

    The value and the upper end are of all samples: users meet the disturbed ones too. The lower end, which drops a
    candidate, is of those that nothing disturbed: what others did to it says nothing against it. The upper end is
    infinite where the samples do not carry the percentile, by the rule that records have of it.
    """
    median, samples = record.median_ms, sorted(record.samples_ms)
    if not median or not samples:
        return None
    low, high = _interval(median, record.ci95_ms)
    share, count = percentile / 100, len(samples)
    value = samples[math.ceil(share * count) - 1]
    met = [Contention(*one) for one in zip(record.waited, record.foreign, strict=True)]
    quiet = sorted(ms for ms, one in zip(record.samples_ms, met, strict=True) if clean(one)) if met else samples
    below = int(stats.binom.ppf(_CLEAR, len(quiet), share))  # P(as few below it) is at most 1 %
    least = quiet[below - 1] if 0 < below <= len(quiet) else 0.0
    least *= low / median
    if not carries(count, percentile):
        return Estimate(value, least, math.inf, f"{count} samples do not carry p{percentile}")
    above = int(stats.binom.ppf(_SURE, count, share)) + 1  # the least k for which k samples or more are below: 97 %
    wider = math.hypot(math.log(samples[above - 1] / value), math.log(high / median))
    return Estimate(value, least, value * math.exp(wider))


def _interval(value: float, found: tuple[float, float] | None) -> tuple[float, float]:
    half = _ASSUMED.half_width(1)
    return found or (value * math.exp(-half), value * math.exp(half))


def slower(one: TimedRecord, other: TimedRecord) -> PairRatio | None:
    """How many times as long one takes as another: by turns side by side, else by the intervals in which other runs
    would find them; None where there is nothing to tell it by.

    Where the machine was too busy for `pairs.ratio`, the ratio of what the turns took may be off by what they met of
    others, whichever side it struck: that drops whoever is slower by far.
    """
    if isinstance(one, Latency) and isinstance(other, Latency) and pairs.together(one, other):
        return pairs.ratio(one, other) or _busy(one, other)
    first, second = _pace(one), _pace(other)
    if first is None or second is None:
        return None
    value = first[0] / second[0]
    below = math.hypot(math.log(first[0] / first[1]), math.log(second[2] / second[0]))
    above = math.hypot(math.log(first[2] / first[0]), math.log(second[0] / second[1]))
    return PairRatio(value, (value * math.exp(-below), value * math.exp(above)), 0)


def _busy(one: Latency, other: Latency) -> PairRatio | None:
    theirs = {turn.name: turn for turn in other.turns if turn.name}
    both = [(turn, theirs[turn.name]) for turn in one.turns if turn.name in theirs]
    value = statistics.median(mine.ms / its.ms for mine, its in both)
    left = max(_LEFT, 1 - statistics.median(max(mine.met, its.met) for mine, its in both))
    return PairRatio(value, (value * left, value / left), len(both))


def clearly_slower(one: TimedRecord, other: TimedRecord) -> PairRatio | None:
    """The ratio where one takes longer for sure; None where that is open."""
    found = slower(one, other)
    return found if found and found.longer(_SURER) else None


def pace(record: TimedRecord) -> float:
    """Milliseconds of an image or a request; infinite where there is no number."""
    found = _pace(record)
    return found[0] if found else math.inf


def _pace(record: TimedRecord) -> tuple[float, float, float] | None:
    if isinstance(record, Latency) and record.median_ms:
        return record.median_ms, *_interval(record.median_ms, record.ci95_ms)
    if isinstance(record, Throughput) and record.images_per_s:
        low, high = _interval(record.images_per_s, record.ci95_images_per_s)
        return 1e3 / record.images_per_s, 1e3 / high, 1e3 / low
    return None


def paired(outcomes: str, reference: Sequence[str], quantile: float = 0.975) -> tuple[float, float, float]:
    """The difference of two top-1 over the same images (-1 to 1), and its interval, by the images on which only one is
    right.

    Half an image is added to each of the four counts (Agresti and Min 2005, "Simple improved confidence intervals for
    comparing matched proportions"), so that two that never differ have an interval too. (0, -1, 1) without images.
    """
    both = [pair for pair in zip(outcomes, reference, strict=True) if UNREADABLE not in pair]
    count = len(both)
    if not count:
        return 0.0, -1.0, 1.0
    gained = sum(a == FIRST != b for a, b in both)
    lost = sum(b == FIRST != a for a, b in both)
    total, more, less = count + 2, gained + 0.5, lost + 0.5
    middle = (more - less) / total
    error = math.sqrt(max(0.0, (more + less) / total - middle**2) / total)
    half = float(stats.norm.ppf(quantile)) * error
    return (gained - lost) / count, max(-1.0, middle - half), min(1.0, middle + half)
