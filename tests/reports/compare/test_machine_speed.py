"""How the machine changed between two runs: by how much, and how surely."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from reports.compare import machine_speed
from reports.compare.machine_speed import UNKNOWN, Shift, shift
from reports.compare.match import Pair
from runtimes.records.kinds import Latency, Parity
from runtimes.records.parts import Process
from tests.runtimes.records.made import record


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


def measured(*speeds: tuple[float, ...] | None, **fields: Any) -> Latency:
    return record(Latency, median_ms=5.0, processes=tuple(Process(speed_ms=one) for one in speeds), **fields)


def test_readings_around_all_processes_of_all_cells_count() -> None:
    base = [measured((4.0, 4.0), None, (4.0, 4.0)), measured((4.0, 0.0), (4.0,), device=None)]
    new = [measured((0.5, 0.5)), measured((0.5, 0.5))]
    pairs = [Pair(one, other) for one, other in zip(base, new, strict=True)]
    assert machine_speed.of(pairs) == shift([4.0] * 6, [0.5] * 4)
    other = Shift(0.5, 0.1)
    assert machine_speed.of(pairs, other) != other
    assert machine_speed.of(pairs[:1], other) == other, "two readings are too few"
    assert machine_speed.of([Pair(base[0], base[0])], other) == shift([4.0] * 4, [4.0] * 4), "four are enough"
    assert machine_speed.of([Pair(record(Parity), record(Parity))], other) == other


def test_of_another_device_nothing_is_told() -> None:
    cpu, gpu = measured((4.0,) * 4), measured((5.0,) * 4, device="GPU")
    other = Shift(0.5, 0.1)
    for pair in (Pair(gpu, gpu), Pair(cpu, gpu), Pair(gpu, cpu)):
        assert machine_speed.of([pair], other) == UNKNOWN
        assert machine_speed.of([pair, Pair(cpu, cpu)], other) == shift([4.0] * 4, [4.0] * 4)
    assert machine_speed.of([], other) == UNKNOWN


@pytest.mark.parametrize(("log", "words"), [(0.01, "1.0% slower"), (-0.01, "1.0% faster"), (0.0099, ""), (-0.0099, "")])
def test_one_percent_is_worth_a_word(log: float, words: str) -> None:
    found = Shift(log, 0.0)
    assert words in found.note
    assert bool(found.note) == found.differs(Shift(0.0, 0.0)) == Shift(0.0, 0.0).differs(found) == bool(words)


@pytest.mark.parametrize(("factor", "corrected"), [(1.29, True), (1.31, False), (1 / 1.29, True), (1 / 1.31, False)])
def test_beyond_what_the_probe_was_tried_for_nothing_is_taken_out(factor: float, corrected: bool) -> None:
    found = shift([4.0] * 4, [4.0 * factor] * 4)
    assert found.too_large != corrected
    assert ("taken out" in found.note) == corrected
    assert ("beyond the 30% that the speed probe was tried for" in found.note) != corrected


def test_where_nothing_tells_one_percent_for_each_run_is_assumed_and_nothing_taken_out() -> None:
    assert UNKNOWN.log == 0.0
    assert UNKNOWN.error == pytest.approx(0.01 * 2**0.5)
