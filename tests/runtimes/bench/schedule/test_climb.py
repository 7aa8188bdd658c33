"""The search on surfaces that are formulas: no process, no clock."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.bench.schedule import climb
from runtimes.bench.schedule.climb import GAIN, BestPoint
from runtimes.records.parts import SearchPoint

BATCHES, STREAMS = (1, 2, 4, 8), (1, 2, 4)
Surface = Callable[[int, int], float | None]


@dataclass
class Measured:
    """A surface that counts who looks at it; `noise`: relative standard deviation of a look."""

    surface: Surface
    noise: float = 0.0
    seed: int = 0
    looks: Counter[tuple[int, int]] = field(default_factory=Counter)

    def __call__(self, batch: int, streams: int) -> float | str:
        self.looks[batch, streams] += 1
        rate = self.surface(batch, streams)
        if rate is None:
            return f"no memory for batch {batch} on {streams}"
        drawn = random.Random(f"{self.seed} {batch} {streams} {self.looks[batch, streams]}").gauss(0, self.noise)
        return rate * (1 + drawn)


def find(
    surface: Surface, batches: Sequence[int] = BATCHES, streams: Sequence[int] = STREAMS
) -> tuple[BestPoint, Measured]:
    measured = Measured(surface)
    return climb.best(measured, batches, streams), measured


@pytest.mark.parametrize(
    ("threads", "counts"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])]
)
def test_streams_double_up_to_the_threads(threads: int, counts: list[int]) -> None:
    assert climb.stream_counts(threads) == counts


def test_a_flat_surface_is_left_where_it_is_cheapest() -> None:
    found, measured = find(lambda batch, streams: 100.0)
    assert (found.batch, found.streams, found.images_per_s) == (1, 1, 100.0)
    assert set(measured.looks) == {(1, 1), (1, 2), (2, 1)}, "a look in each direction and no more"


def test_it_climbs_while_it_pays() -> None:
    found, _ = find(lambda batch, streams: min(batch, 4) * min(streams, 2) * 10.0)
    assert (found.batch, found.streams, found.images_per_s) == (4, 2, 80.0)
    assert found.reason is None
    tops = {(row.batch, row.streams) for row in found.searched}
    assert {(8, 2), (4, 4)} <= tops, "that the next step does not pay was measured"


@pytest.mark.parametrize(("gain", "batch"), [(1.04, 1), (1.06, 2)])
def test_a_step_has_to_gain_five_percent(gain: float, batch: int) -> None:
    found, measured = find(lambda batch, streams: 100.0 * (gain if batch == 2 else 1), (1, 2), (1,))
    assert found.batch == batch
    assert set(measured.looks.values()) == {2}, "a close call is looked at twice on both sides"


def test_a_clear_gain_is_measured_once() -> None:
    _, measured = find(lambda batch, streams: 100.0 * batch, (1, 2), (1,))
    assert set(measured.looks.values()) == {1}


def test_streams_are_given_back_where_the_batch_makes_them_useless() -> None:
    # Two streams pay at batch 1; at batch 4 one stream is faster than two.
    table = {(1, 1): 10, (1, 2): 15, (2, 2): 20, (4, 2): 30, (4, 1): 40, (8, 1): 40, (8, 2): 30, (2, 1): 12}
    found, _ = find(lambda batch, streams: float(table.get((batch, streams), 1)), streams=(1, 2))
    assert (found.batch, found.streams) == (4, 1)


def test_a_point_that_fails_ends_its_direction_and_is_recorded() -> None:
    found, measured = find(lambda batch, streams: None if batch > 2 else 10.0 * batch * streams)
    assert (found.batch, found.streams, found.images_per_s) == (2, 4, 80.0)
    assert (8, 4) not in measured.looks
    failed = [row for row in found.searched if row.images_per_s is None]
    assert failed == [SearchPoint(batch=4, streams=4, reason="no memory for batch 4 on 4")]
    assert measured.looks[4, 4] == 1, "what failed is not tried again"


def test_where_the_first_point_fails_there_is_no_rate() -> None:
    found, measured = find(lambda batch, streams: None)
    assert (found.batch, found.streams, found.images_per_s) == (1, 1, None)
    assert found.reason == "no memory for batch 1 on 1"
    assert sum(measured.looks.values()) == 1


def test_a_point_that_fails_on_its_second_look_is_left() -> None:
    looks: Counter[int] = Counter()

    def measure(batch: int, streams: int) -> float | str:
        looks[batch] += 1
        return "killed" if (batch, looks[batch]) == (2, 2) else 98.0 + 2 * batch

    found = climb.best(measure, (1, 2), (1,))
    assert (found.batch, found.images_per_s) == (1, 100.0)
    assert found.searched[-1] == SearchPoint(batch=2, streams=1, reason="killed")


def _in_turn(looks: dict[tuple[int, int], list[float | None]]) -> climb.Measure:
    def measure(batch: int, streams: int) -> float | str:
        rate = looks[batch, streams].pop(0)
        return rate or "killed"

    return measure


def test_a_close_call_is_decided_by_the_medians_of_the_looks() -> None:
    found = climb.best(_in_turn({(1, 1): [100.0, 100.0], (1, 2): [104.0, 112.0]}), (1,), (1, 2))
    assert (found.streams, found.images_per_s) == (2, 108.0)
    assert found.searched[1] == SearchPoint(batch=1, streams=2, images_per_s=108.0)


def test_a_point_that_it_stands_on_and_that_fails_is_left_for_the_next() -> None:
    found = climb.best(_in_turn({(1, 1): [100.0, None], (1, 2): [104.0, 104.0]}), (1,), (1, 2))
    assert (found.streams, found.images_per_s, found.reason) == (2, 104.0, None)


def test_where_both_fail_on_their_second_look_it_goes_back_to_what_held() -> None:
    looks = {(1, 1): [100.0], (1, 2): [150.0, None], (1, 4): [156.0, None]}
    found = climb.best(_in_turn(looks), (1,), (1, 2, 4))  # type: ignore[arg-type]
    assert (found.streams, found.images_per_s, found.reason) == (1, 100.0, None)
    assert [row.reason for row in found.searched] == [None, "killed", "killed"]


@pytest.mark.parametrize(("batches", "streams"), [([], [1]), ([1], [])])
def test_there_has_to_be_a_choice(batches: list[int], streams: list[int]) -> None:
    with pytest.raises(ValueError, match="no batch or no streams"):
        climb.best(lambda batch, streams: 1.0, batches, streams)


def test_the_choices_may_come_in_any_order() -> None:
    found, _ = find(lambda batch, streams: 10.0 * batch * streams, (8, 1, 2, 2, 4), (4, 1, 2))
    assert (found.batch, found.streams) == (8, 4)


def _saturating(best_batch: int, best_streams: int, steepness: float) -> Surface:
    """Rises by `steepness` with each step up to the best, and falls as steeply beyond it."""

    def rate(batch: int, streams: int) -> float:
        steps = [
            abs(axis.index(value) - axis.index(best))
            for axis, value, best in ((BATCHES, batch, best_batch), (STREAMS, streams, best_streams))
        ]
        return 100.0 / steepness ** sum(steps)

    return rate


@given(st.sampled_from(BATCHES), st.sampled_from(STREAMS), st.floats(1.25, 3.0), st.floats(0, 0.03), st.integers(0, 99))
def test_a_hill_is_climbed_through_noise(batch: int, streams: int, steepness: float, noise: float, seed: int) -> None:
    measured = Measured(_saturating(batch, streams, steepness), noise, seed)
    found = climb.best(measured, BATCHES, STREAMS)
    assert (found.batch, found.streams) == (batch, streams)


@given(st.floats(0, 0.04), st.integers(0, 999))
def test_noise_costs_little(noise: float, seed: int) -> None:
    """On a flat surface with noise it stays near the start and looks at nothing more than twice."""
    measured = Measured(lambda batch, streams: 100.0, min(noise, 0.02), seed)
    found = climb.best(measured, BATCHES, STREAMS)
    assert found.batch * found.streams <= 4
    assert max(measured.looks.values()) <= 2


_RATE = st.one_of(st.none(), st.floats(1.0, 1000.0))


@given(st.lists(_RATE, min_size=12, max_size=12))
def test_on_any_surface_no_single_step_gains_five_percent(rates: list[float | None]) -> None:
    table = dict(zip(itertools.product(BATCHES, STREAMS), rates, strict=True))
    found, measured = find(lambda batch, streams: table[batch, streams])
    here = (found.batch, found.streams)
    assert sum(measured.looks.values()) <= 2 * len(table), "it ends"
    assert found.images_per_s == table[here]
    assert sorted((row.batch or 0, row.streams or 0) for row in found.searched) == sorted(measured.looks)
    if table[here] is None:
        assert set(measured.looks) == {(1, 1)}
        return
    row, column = BATCHES.index(here[0]), STREAMS.index(here[1])
    near = [(b, column) for b in (row - 1, row + 1)] + [(row, s) for s in (column - 1, column + 1)]
    for i, j in near:
        if 0 <= i < len(BATCHES) and 0 <= j < len(STREAMS):
            there = table[BATCHES[i], STREAMS[j]]
            assert there is None or there / table[here] - 1 < GAIN  # type: ignore[operator]
