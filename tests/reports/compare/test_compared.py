"""A cell of both results, in words and numbers."""

from __future__ import annotations

from typing import Any

import pytest

from reports.compare.change import Change
from reports.compare.compared import APART, SAME, SLOWER, UNKNOWN, Compared, amount, not_measured, of_pair, worst
from reports.compare.match import Pair
from runtimes.records.kinds import Latency
from tests.runtimes.records.made import record

CHANGE = Change(0.048, 0.0414, 0.0552, 0.001)


def cell(figure: str, change: Change | None = CHANGE) -> Compared:
    return Compared("latency", "m", "m on ort-cpu", figure, change=change)


@pytest.mark.parametrize(
    ("figure", "text"),
    [("median", "+4.8 % [+4.1, +5.5]"), ("throughput", "+4.8 % [+4.1, +5.5]"), ("accuracy", "+4.80 pp [+4.14, +5.52]")],
)
def test_a_change_in_words(figure: str, text: str) -> None:
    assert amount(cell(figure)) == text
    assert amount(cell(figure, None)) == "-"


@pytest.mark.parametrize(
    ("figure", "low", "high", "expected"),
    [
        ("median", 0.1, 0.25, 0.25),
        ("p99", -0.2, -0.1, -0.1),
        ("throughput", -0.2, 0.5, 0.25),  # four fifths of the images in a second: a quarter more time each
        ("accuracy", -0.03, 0.01, 0.03),
    ],
)
def test_the_worst_that_is_not_excluded(figure: str, low: float, high: float, expected: float) -> None:
    assert worst(cell(figure), Change(0.0, low, high, 0.5)) == pytest.approx(expected)


def test_a_pair_keeps_its_notes_and_gets_more() -> None:
    one, other = (record(Latency, median_ms=5.0, batch=4, runtime_version=name) for name in ("1", "2"))
    found = of_pair(Pair(one, other, notes=("another version",)), "median", 5.0, 6.0)
    assert (found.kind, found.model, found.figure, found.verdict) == ("latency", "m", "median", UNKNOWN)
    assert found.cell.startswith("m on ort-cpu")
    assert found.cell.endswith(", batch 4")
    assert (found.base, found.new, found.change, found.regression) == (5.0, 6.0, None, None)
    noted = found.noted("a", "b", verdict="worse")
    assert (noted.notes, noted.verdict) == (("another version", "a", "b"), "worse")


@pytest.mark.parametrize(
    ("base", "new", "expected"),
    [
        ({}, {}, None),
        ({"status": "unstable"}, {}, None),
        (
            {"status": "failed", "reason": "killed"},
            {"status": "refused", "reason": "no"},
            "BASE: failed: killed; NEW: refused: no",
        ),
        (*[{"status": "failed", "reason": "killed"}] * 2, "BASE and NEW: failed: killed"),
        ({}, {"status": "refused", "reason": None}, "NEW: refused: no reason recorded"),
    ],
)
def test_why_one_of_two_has_no_figure(base: dict[str, Any], new: dict[str, Any], expected: str | None) -> None:
    one, other = (record(Latency, **{"median_ms": 5.0, **fields}) for fields in (base, new))
    assert not_measured(Pair(one, other)) == expected


@pytest.mark.parametrize(("verdict", "judged"), [(UNKNOWN, False), (APART, False), (SAME, True), (SLOWER, True)])
def test_something_can_be_said_of_it_or_not(verdict: str, judged: bool) -> None:
    assert cell("median").noted(verdict=verdict).judged is judged
