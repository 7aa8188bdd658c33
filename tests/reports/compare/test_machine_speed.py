"""How the machine changed between two runs: by how much, and how surely."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reports.compare import machine_speed
from reports.compare.machine_speed import UNKNOWN, Shift, shift


def test_a_quarter_of_a_change_is_uncertain() -> None:
    found = shift([4.0] * 4, [4.4] * 4)
    assert found == Shift(pytest.approx(math.log(1.1)), pytest.approx(0.25 * math.log(1.1)))  # type: ignore[arg-type]
    assert found.note == "the machine itself was 10.0% slower in NEW, which is taken out of the change"
    assert "4.8% faster" in shift([4.2] * 4, [4.0] * 4).note
    assert shift([4.0] * 4, [4.03] * 4).note == ""


def test_too_few_readings_say_nothing() -> None:
    assert shift([4.0] * 3, [4.4] * 9) == shift([], []) == UNKNOWN


def test_the_noise_of_the_probe_is_in_the_error() -> None:
    """Of two times twenty readings that vary by 2 %: as the shifts of many such pairs do."""
    chance = np.random.default_rng(3)
    found = [shift(*np.exp(chance.normal(0, 0.02, (2, 20))).tolist()) for _ in range(400)]
    assert np.median([one.error for one in found]) == pytest.approx(np.std([one.log for one in found]), rel=0.15)


def test_cells_of_two_runs_met_the_same_machine() -> None:
    assert machine_speed.mean([Shift(0.01, 0.02), Shift(0.03, 0.04)]) == Shift(0.02, 0.03)
    assert Shift(0.03, 0.0).differs(Shift(0.0, 0.0))
    assert not Shift(0.03, 0.0).differs(Shift(0.025, 0.0))
