"""A budget as the user writes it."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from convert.common.errors import InputError
from validate.choice.budget import COST, LATENCY, THROUGHPUT, parse


def test_units_become_milliseconds_and_bytes() -> None:
    found = parse("p99<50ms, P50 <= 0.2 s, memory<1GB")
    assert [(one.figure, one.limit) for one in found.constraints] == [("p99", 50.0), ("p50", 200.0), ("memory", 1e9)]
    assert found.percentile == 99
    assert parse("memory<512MiB").constraints[0].limit == 512 * 2**20
    assert parse("memory<512MB").percentile == 50, "nothing asks for samples"


def test_top1_in_points_and_as_a_part() -> None:
    points = parse("top1>=-0.5").top1
    assert points.keep(Fraction(88, 100)) == Fraction(875, 880)
    assert parse("top1>=99.5%").top1.keep(Fraction(1, 2)) == Fraction(199, 200)
    assert parse("top1>=0").top1.keep(Fraction(88, 100)) == 1
    assert 0 < parse("top1>=-50").top1.keep(Fraction(1, 10)) < Fraction(1, 1000), "more than there is: all hold"


def test_without_one_top1_is_held_to_99_percent() -> None:
    found = parse("p99<50ms")
    assert found.top1.share == Fraction(99, 100)
    assert found.top1 not in found.constraints
    assert parse("").constraints == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p98<50ms", "p98"),
        ("p99>50ms", "at most"),
        ("p99<50", "a unit is needed"),
        ("p99<50MB", "a unit is needed"),
        ("p99<0ms", "above zero"),
        ("memory>1GB", "at most"),
        ("memory<1", "a unit"),
        ("top1>=0.5", "below"),
        ("top1<=-0.5", "at least"),
        ("top1>=101%", "below"),
        ("fast", "no limit"),
        ("p99<50ms, p99<60ms", "one limit"),
        ("images/s>=100", "throughput"),
        ("cost<=0.5", "--objective cost and --price"),
        ("cost>=0.5", "at most"),
        ("cost<=0.5s", "no unit is needed, as in cost<=0.5"),
        ("cost<=0", "above zero"),
        ("p99<1e3ms", "no limit"),
    ],
)
def test_what_is_no_budget_is_refused_in_a_line(text: str, said: str) -> None:
    with pytest.raises(InputError) as found:
        parse(text, LATENCY)
    assert said in found.value.message
    assert "\n" not in found.value.message


def test_a_rate_goes_with_throughput_and_a_latency_does_not() -> None:
    assert parse("images/s>=100, memory<1GB", THROUGHPUT).constraints[0].limit == 100
    with pytest.raises(InputError, match="one request at a time"):
        parse("p99<50ms", THROUGHPUT)


def test_a_cost_knows_the_price() -> None:
    found = parse("cost<=0.5, images/s>=100", COST, 1.2)
    assert [(one.figure, one.limit, one.price, one.most) for one in found.constraints] == [
        ("cost", 0.5, 1.2, True),
        ("images/s", 100, None, False),
    ]
    assert (found.price, parse("", THROUGHPUT).price) == (1.2, None)


@pytest.mark.parametrize(
    ("text", "objective", "price", "said"),
    [
        ("", COST, None, "--objective cost: --price is needed"),
        ("", THROUGHPUT, 1.2, "--price 1.2: only --objective cost"),
        ("", LATENCY, 1.2, "--price 1.2: only --objective cost"),
        ("cost<=0.5", THROUGHPUT, None, "--objective cost and --price"),
        ("p99<50ms", COST, 1.2, "one request at a time"),
        *(("", COST, price, "above zero") for price in (0.0, -1.0, math.inf, math.nan)),
    ],
)
def test_a_price_goes_with_cost_alone(text: str, objective: str, price: float | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse(text, objective, price)
