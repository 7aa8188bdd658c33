"""What a record may not say, and what it says of itself."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from runtimes.records.kinds import Accuracy, Latency, Record, Server, Throughput
from runtimes.records.parts import NOT_REPORTED, Effective, ServerPoint, Turn
from tests.runtimes.records.made import record


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Latency, "ci95_ms"),
        (Latency, "run_ci95_ms"),
        (Throughput, "ci95_images_per_s"),
        (Throughput, "run_ci95_images_per_s"),
        (Accuracy, "top1_ci95"),
        (Accuracy, "top5_ci95"),
    ],
)
def test_an_interval_has_two_ends_in_order(kind: type[Record], name: str) -> None:
    fields: dict[str, Any] = {"median_ms": 5.0} if kind is Latency else {}
    for sound in ((0.0, 0.5), (0.0, 0.0), (2.0, 2.0), (0.5, 9.0), None):
        assert getattr(record(kind, **fields, **{name: sound}), name) == sound
    for wrong in ((-0.1, 0.5), (0.6, 0.5), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match=f"^{name} = .* is no interval"):
            record(kind, **fields, **{name: wrong})


@pytest.mark.parametrize(
    ("status", "measured"), [("ok", 1), ("unstable", 1), ("failed", 0), ("refused", 0), ("unavailable", 0)]
)
def test_what_was_measured_has_a_median_above_zero(status: str, measured: int) -> None:
    assert record(Latency, status=status, median_ms=0.01).measured is bool(measured)
    for median in (None, 0.0, -1.0):
        if measured:
            with pytest.raises(ValueError, match=f"status {status} with median_ms = {median}"):
                record(Latency, status=status, median_ms=median)
        else:
            assert record(Latency, status=status, median_ms=median).median_ms == median


def test_a_record_that_names_no_format_is_of_the_first() -> None:
    assert record(Latency, median_ms=1.0).format == 1


@pytest.mark.parametrize(
    ("fields", "reached"),
    [
        ({"passed": True}, True),
        ({"passed": False}, False),
        ({"passed": False, "doubt": "chance", "top1": 0.9, "reference_top1": 0.1, "keep": 0.9}, False),
        ({"passed": None}, False),
        ({"doubt": "chance", "top1": 0.45, "reference_top1": 0.5, "keep": 0.9}, True),
        ({"doubt": "chance", "top1": 0.44, "reference_top1": 0.5, "keep": 0.9}, False),
        ({"doubt": "chance", "top1": 0.49, "reference_top1": 0.5}, False),  # all of it
        ({"doubt": "chance", "top1": 0.5, "reference_top1": 0.5}, True),
        ({"doubt": "chance", "top1": 0.0}, True),
        ({"doubt": "chance"}, True),
        ({"doubt": "chance", "reference_top1": 0.5}, False),
        ({"doubt": "chance", "top1": 0.5, "reference_top1": 0.5, "status": "failed"}, False),
    ],
)
def test_an_accuracy_reached_its_part_in_doubt_or_not(fields: dict[str, Any], reached: bool) -> None:
    assert record(Accuracy, **fields).reached is reached


def test_it_is_open_which_rate_keeps_a_bound_where_none_is_known_to_and_at_some_nothing_was_carried() -> None:
    points = tuple(
        ServerPoint(qps_target=rate, valid=valid) for rate, valid in ((1.0, True), (2.0, False), (3.0, None))
    )
    assert [one.qps_target for one in record(Server, points=points).uncarried] == [2.0]
    assert record(Server, points=points).unknown
    assert not record(Server, points=points, qps_max=1.0).unknown
    assert not record(Server, points=points[:1]).unknown


@pytest.mark.parametrize(
    ("device", "details", "elsewhere"),
    [
        ("CPU", {}, False),
        (NOT_REPORTED, {}, True),
        (NOT_REPORTED, {"processes_seen": 0}, True),
        (NOT_REPORTED, {"processes_seen": 1}, False),
    ],
)
def test_a_server_that_is_not_seen_here_computed_elsewhere(device: str, details: Any, elsewhere: bool) -> None:
    computed = record(Latency, median_ms=5.0, effective=Effective(device=device, details=details))
    assert computed.elsewhere is elsewhere
    assert record(Latency, median_ms=5.0).elsewhere is False


@pytest.mark.parametrize(
    "wrong", [{"ms": 0.0}, {"ms": math.inf}, {"ms": math.nan}, {"met": -0.1}, {"met": math.inf}, {"ms": -1.0}]
)
def test_a_turn_has_a_time_and_a_share(wrong: dict[str, Any]) -> None:
    Turn(name="a.1", ms=0.5, met=0.0)
    with pytest.raises(ValueError, match=r"turn a\.1: ms = "):
        replace(Turn(name="a.1", ms=5.0, met=0.5), **wrong)
