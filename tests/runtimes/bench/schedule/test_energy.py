"""A cell's energy from its visits: what counts, and what is said where nothing does."""

from __future__ import annotations

from typing import Any

import pytest

from runtimes.bench.schedule import energy
from runtimes.bench.schedule.outcome import VisitOutcome
from runtimes.records.energy import Energy
from tests.runtimes.bench.made_up import numbers

ALONE = {"foreign_load": 0.01, "own_load": 0.9}


def visit(joules: float, seconds: float = 2.0, slowdown: float = 0.0, **disturbance: Any) -> VisitOutcome:
    """One of 10 images."""
    windows = {"joules": joules, "images": 10.0, "seconds": seconds, "source": "rapl"}
    return VisitOutcome(numbers([100] * 5, energy=windows, disturbance=ALONE | disturbance), slowdown=slowdown)


def test_joules_over_all_visits_and_how_far_these_lie_apart() -> None:
    assert energy.of([visit(20.0), visit(30.0, seconds=3.0)]) == Energy(
        joules_per_image=2.5, range_joules=(2.0, 3.0), watts=10.0, seconds=5.0, source="rapl"
    )
    alone = energy.of([visit(20.0)])
    assert alone is not None
    assert alone.range_joules is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"foreign_load": 0.4}, "other processes took 40% of the processor meanwhile"),
        ({"steal": 0.1}, "the hypervisor took 10%"),
        ({"own_load": 0.06, "foreign_load": 0.03}, "others computed 50% of what the cell did"),
        ({"own_load": None}, "what other programs computed meanwhile is not known"),
        ({"slowdown": 0.5}, "slow"),
    ],
)
def test_a_disturbed_visit_counts_for_nothing(changes: dict[str, Any], reason: str) -> None:
    disturbed = visit(999.0, **changes)
    found = energy.of([disturbed, disturbed])
    assert found is not None
    assert found.joules_per_image is None
    assert reason in str(found.reason)
    assert str(found.reason).count(reason) == 1, "each reason once"
    found = energy.of([disturbed, visit(20.0)])
    assert found is not None
    assert (found.joules_per_image, found.seconds) == (2.0, 2.0)


def test_visits_that_are_too_short_together_say_so() -> None:
    found = energy.of([visit(1.0, seconds=0.3), visit(1.0, seconds=0.4)])
    assert found == Energy(source="rapl", reason="energy needs 1 s of measuring, and there were 0.7 s")


def test_what_the_visits_could_not_read_is_the_records_reason() -> None:
    unread = VisitOutcome(numbers([100], energy={"source": "rapl", "reason": "no counter"}, disturbance=ALONE))
    assert energy.of([unread, unread]) == Energy(source="rapl", reason="no counter")


def test_a_mode_that_counts_no_energy_has_none() -> None:
    assert energy.of([VisitOutcome(numbers([100]))]) is None
