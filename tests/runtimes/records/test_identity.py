"""Which records are of one cell, and which are held against each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runtimes.records.identity import better_measured, cell, compared, differing
from runtimes.records.kinds import ASKED_FOR, Latency, Parity, Server, Throughput
from runtimes.records.parts import NOT_REPORTED, Effective, InputsInfo, SearchPoint
from tests.runtimes.records.made import record

LATENCY = record(Latency, median_ms=5.0, batch=1, threads=2, settings={"a": "1", "b": "2"})


@pytest.mark.parametrize(
    "other",
    [{"batch": 4}, {"threads": 4}, {"streams": 2}, {"settings": {"a": "1"}}, {"runtime": "mnn"}, {"device": None}],
)
def test_an_option_makes_another_cell(other: dict[str, Any]) -> None:
    changed = replace(LATENCY, **other)
    assert cell(LATENCY) != cell(changed)
    assert compared(LATENCY) != compared(changed)
    assert differing(LATENCY, changed) == list(other)


@pytest.mark.parametrize(
    "other",
    [{"median_ms": 6.0}, {"artifact": "b"}, {"runtime_version": "2"}, {"settings": {"b": "2", "a": "1"}}, {"run": "x"}],
)
def test_a_result_or_an_order_makes_none(other: dict[str, Any]) -> None:
    changed = replace(LATENCY, **other)
    assert cell(LATENCY) == cell(changed)
    assert compared(LATENCY) == compared(changed)
    assert differing(LATENCY, changed) == []


def test_machines_replace_nothing_of_each_other_and_are_held_against_each_other() -> None:
    other = replace(LATENCY, machine="b")
    assert cell(LATENCY) != cell(other)
    assert compared(LATENCY) == compared(other)


def test_kinds_are_told_apart() -> None:
    parity = record(Parity, inputs=InputsInfo(source="photos", count=3), batches=(1,))
    assert cell(LATENCY) != cell(parity)
    assert compared(record(Parity)) != compared(record(Throughput))
    assert cell(parity) != cell(replace(parity, inputs=InputsInfo(source="photos", count=4)))


def test_what_is_empty_counts_as_absent() -> None:
    assert cell(replace(LATENCY, settings={}, streams=0)) == cell(replace(LATENCY, settings={}, streams=None))


def test_usual_threads_count_where_none_are_known() -> None:
    unknown = replace(LATENCY, threads=None)
    assert cell(unknown, usual_threads=2) == cell(LATENCY) == cell(LATENCY, usual_threads=4)
    assert cell(unknown, usual_threads=4) != cell(LATENCY)
    assert cell(unknown) != cell(LATENCY)
    assert "threads" not in cell(record(Parity), usual_threads=2)


def test_what_a_search_chose_is_a_result_and_what_was_asked_for_is_not() -> None:
    asked = record(Throughput, batch=4, streams=2, threads=2)
    searched = replace(asked, searched=(SearchPoint(batch=4, streams=2),))
    others: list[dict[str, Any]] = [{"batch": 8}, {"streams": 4}]
    for other in others:
        assert cell(searched) == cell(replace(searched, **other))
        assert cell(asked) != cell(replace(asked, **other))
        assert compared(asked) == compared(replace(asked, **other))
    assert cell(searched) != cell(replace(searched, threads=4))
    assert cell(searched) != cell(asked)


def test_a_bound_that_was_asked_for_is_part_of_the_question_and_the_benchs_own_is_not() -> None:
    asked = record(Server, percentile=99, latency_bound_ms=100.0, bound=ASKED_FOR)
    assert cell(asked) == cell(replace(asked, bound=None)), "one that was refused has no answer yet"
    own = replace(asked, bound="3 x the median latency of an idle machine")
    assert cell(own) == cell(replace(own, latency_bound_ms=110.0)) != cell(asked)
    for other in ({"latency_bound_ms": 50.0}, {"percentile": 90}):
        assert cell(asked) != cell(replace(asked, **other))
        assert compared(asked) != compared(replace(asked, **other))


SERVER = Effective(device=NOT_REPORTED, details={"version": "1", "processes_seen": 1})


@pytest.mark.parametrize(
    ("one", "other", "better"),
    [
        ({}, {"disturbed": "busy"}, True),
        ({}, {"status": "unstable"}, True),
        ({"target": 0.01}, {"target": 0.02}, True),
        ({}, {}, False),
        ({"disturbed": "busy"}, {}, False),
        ({"target": 0.02}, {"target": 0.01}, False),
        ({}, {"disturbed": "busy", "key": "another"}, False),
        ({"key": None}, {"disturbed": "busy", "key": None}, False),
        ({}, {"status": "failed", "median_ms": None}, False),
        ({"effective": SERVER}, {"disturbed": "busy", "effective": SERVER}, True),
        (
            {"effective": SERVER},
            {"disturbed": "busy", "effective": replace(SERVER, details={"version": "2", "processes_seen": 1})},
            False,
        ),
        (
            {"effective": SERVER},
            {"disturbed": "busy", "effective": replace(SERVER, details={"version": "1", "processes_seen": 2})},
            True,
        ),
    ],
)
def test_what_is_better_measured_is_of_the_same_thing(one: Any, other: Any, better: bool) -> None:
    base = {"median_ms": 5.0, "key": "k", "target": 0.01}
    assert better_measured(*(record(Latency, **{**base, **fields}) for fields in (one, other))) is better
