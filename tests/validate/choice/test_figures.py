"""What a measurement says of a budget, and of who is slower."""

from __future__ import annotations

import math

import numpy as np
import pytest

from runtimes.records.kinds import Latency
from runtimes.records.parts import Turn
from runtimes.statistics import carries
from tests.runtimes.records.made import record
from tests.validate.choice.made_up import WAVE, latency, throughput
from validate.choice import figures
from validate.choice.budget import COST, LATENCY, THROUGHPUT, Constraint, parse
from validate.choice.figures import Estimate


def limit(text: str) -> Constraint:
    return parse(text, THROUGHPUT if text.startswith("images") else LATENCY).constraints[0]


def read(found: Latency, text: str) -> Estimate:
    estimate = figures.read(found, limit(text))
    assert estimate
    return estimate


@pytest.mark.parametrize(("runs", "most"), [(1e-6, 0.96), (0.01, 1.0)])
def test_a_new_measurement_keeps_a_percentile_in_nine_of_ten(runs: float, most: float) -> None:
    """A budget right at the upper end, as tight as it can be: whoever is let through keeps it again. runs: how far runs
    lie apart, which their interval knows."""
    random, kept, half = np.random.default_rng(0), 0, 1.96 * math.sqrt(2) * runs
    for _ in range(600):
        one, other = (random.lognormal(3.0, 0.1, 700) * random.lognormal(0.0, runs) for _ in range(2))
        median = float(np.median(one))
        found = latency(median, samples_ms=tuple(one), ci95_ms=(median * (1 - half), median * (1 + half)))
        kept += bool(np.percentile(other, 99, method="inverted_cdf") <= read(found, "p99<50ms").high)
    assert 0.88 <= kept / 600 <= most


def test_too_few_samples_carry_no_percentile() -> None:
    found = read(latency(10.0, count=300), "p99<50ms")
    assert math.isinf(found.high)
    assert "300 samples do not carry p99" in found.why
    assert not figures.surely_keeps(found, limit("p99<50ms"))
    assert figures.surely_keeps(read(latency(10.0, count=300), "p90<50ms"), limit("p90<50ms"))


@pytest.mark.parametrize(("percentile", "count"), [(50, 11), (90, 64), (95, 130), (99, 662)])
def test_a_percentile_is_read_where_a_record_has_it_and_not_before(percentile: int, count: int) -> None:
    text = f"p{percentile}<50ms"
    carried, short = (read(latency(10.0, count=samples), text) for samples in (count, count - 1))
    assert math.isfinite(carried.high)
    assert math.isinf(short.high)
    assert short.low > 0, "whoever is far too slow falls by fewer samples"
    assert not figures.surely_keeps(short, limit(text))
    assert carries(count, percentile) > carries(count - 1, percentile)


def test_the_point_value_is_not_enough_and_a_miss_has_to_be_clear() -> None:
    found = read(latency(10.0, ci95_ms=(9.0, 11.0)), "p50<10.5ms")
    assert found.value == 10.0
    assert not figures.surely_keeps(found, limit("p50<10.5ms"))
    assert not figures.clearly_misses(found, limit("p50<9.5ms"))
    assert figures.clearly_misses(found, limit("p50<8.9ms"))
    assert figures.surely_keeps(found, limit("p50<11ms"))


def test_disturbed_samples_drop_nobody() -> None:
    samples = tuple([10.0] * 100 + [90.0] * 100)
    busy = latency(10.0, samples_ms=samples, waited=(0.0,) * 100 + (0.8,) * 100, foreign=(0.0,) * 200)
    assert not figures.clearly_misses(read(busy, "p90<50ms"), limit("p90<50ms"))
    assert not figures.surely_keeps(read(busy, "p90<50ms"), limit("p90<50ms")), "users would meet them"
    own = latency(10.0, samples_ms=samples, waited=(0.0,) * 200, foreign=(0.0,) * 200)
    assert figures.clearly_misses(read(own, "p90<50ms"), limit("p90<50ms"))


def test_p50_is_of_all_samples_too() -> None:
    """The record's median is that of the quiet machine: users meet the other one."""
    samples = tuple([10.0] * 100 + [90.0] * 150)
    busy = read(latency(10.0, samples_ms=samples, waited=(0.0,) * 100 + (0.8,) * 150, foreign=(0.0,) * 250), "p50<50ms")
    assert busy.value == 90.0
    assert not figures.surely_keeps(busy, limit("p50<50ms"))
    assert not figures.clearly_misses(busy, limit("p50<50ms")), "what others did to it says nothing against it"


def test_memory_and_rates() -> None:
    assert figures.surely_keeps(read(latency(1.0, 900), "memory<1GB"), limit("memory<1GB"))
    near = read(latency(1.0, 990), "memory<1GB")
    assert not figures.surely_keeps(near, limit("memory<1GB"))
    assert not figures.clearly_misses(near, limit("memory<1GB"))
    assert figures.clearly_misses(read(latency(1.0, 1100), "memory<1GB"), limit("memory<1GB"))
    rate = figures.read(throughput(100.0), limit("images/s>=95"))
    assert rate
    assert figures.surely_keeps(rate, limit("images/s>=95"))
    assert not figures.surely_keeps(rate, limit("images/s>=99"))
    assert figures.clearly_misses(rate, limit("images/s>=110"))
    assert figures.excess(rate, limit("images/s>=194")) == pytest.approx(0.5)


def test_a_cost_is_held_against_the_low_end_of_the_rate() -> None:
    def cost(most: float) -> Constraint:
        return parse(f"cost<={most}", COST, 0.9).constraints[0]

    found = figures.read(throughput(100.0), cost(2.5))
    assert found
    assert (found.value, found.low, found.high) == pytest.approx((2.5, 2.5 / 1.03, 2.5 / 0.97))
    assert figures.surely_keeps(found, cost(2.58))
    assert not figures.surely_keeps(found, cost(2.55)), "a new measurement may cost more"
    assert not figures.clearly_misses(found, cost(2.45))
    assert figures.clearly_misses(found, cost(2.4))
    assert figures.read(latency(10.0), cost(2.5)) is None
    assert figures.cost(throughput(100.0), None) is None


def test_who_is_slower_by_turns_by_intervals_and_not_at_all() -> None:
    found = figures.clearly_slower(latency(20.0), latency(10.0))
    assert found
    assert found.value == pytest.approx(2.0)
    assert figures.clearly_slower(latency(10.1), latency(10.0)) is None
    apart = figures.slower(latency(20.0), latency(10.0, turns=()))
    assert apart
    assert apart.value == pytest.approx(2.0)
    assert apart.turns == 0
    near = figures.slower(latency(10.3), latency(10.0, turns=()))
    assert near
    assert near.sign == 0, "runs lie that far apart, however sure each is of its own figure"
    assert figures.clearly_slower(throughput(50.0), throughput(100.0))
    assert figures.clearly_slower(throughput(98.0), throughput(100.0)) is None


def test_on_a_busy_machine_only_who_is_slower_by_far_is_slower() -> None:
    def busy(ms: float) -> Latency:
        turns = tuple(Turn(name=f"t.{at}", ms=ms * part, met=0.9) for at, part in enumerate(WAVE))
        return latency(ms, turns=turns)

    assert figures.clearly_slower(busy(20.0), busy(10.0)) is None
    assert figures.clearly_slower(busy(900.0), busy(10.0))


def test_a_pace_of_nothing_is_the_last() -> None:
    assert figures.pace(record(Latency, status="failed", reason="crashed")) == math.inf


def test_the_difference_of_paired_outcomes() -> None:
    reference = "1" * 90 + "0" * 10
    value, low, high = figures.paired("0" * 5 + "1" * 86 + "0" * 9, reference)
    assert value == pytest.approx(-0.04)
    assert low < value < high < 0.03
    same = figures.paired(reference, reference)
    assert same[0] == 0
    assert same[1] < 0 < same[2], "images that agree tell something, and not everything"
    assert figures.paired("--", "11") == (0.0, -1.0, 1.0)
    assert figures.paired("1-0", "110")[0] == 0, "what one could not read is no difference"
