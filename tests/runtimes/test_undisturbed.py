"""What samples of a busy machine say of a quiet one."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.system.contention import Contention
from runtimes.undisturbed import CLEAN_FOREIGN, CLEAN_WAITED, clean, corrected, undisturbed

QUIET = Contention()
SHARES = st.floats(0, 2)


def waited(*shares: float) -> list[Contention]:
    return [Contention(share) for share in shares]


def test_a_sample_is_clean_where_neither_waiting_nor_others_were_more_than_on_an_idle_machine() -> None:
    assert clean(Contention(CLEAN_WAITED, CLEAN_FOREIGN))
    assert not clean(Contention(CLEAN_WAITED + 1e-6, 0))
    assert not clean(Contention(0, CLEAN_FOREIGN + 1e-6))


def test_clean_samples_are_taken_as_they_are_and_no_others() -> None:
    found = undisturbed([10.0, 50.0, 11.0, 60.0, 12.0], waited(0, 0.9, 0.05, 0.9, 0))
    assert found is not None
    assert (found.ms, found.used) == (11.0, (0, 2, 4))


def test_what_others_computed_counts_where_nothing_waited() -> None:
    """Two programs share a core's caches, or a hypervisor gave the core to somebody else."""
    met = [QUIET, Contention(0, 0.5), QUIET, Contention(0, 0.5), QUIET]
    found = undisturbed([10.0, 50.0, 11.0, 60.0, 12.0], met)
    assert found is not None
    assert found.used == (0, 2, 4)


def test_two_clean_ones_are_too_few() -> None:
    assert undisturbed([10.0, 10.0, 12.0, 20.0], waited(0, 0, 0.13, 0.9)) is None
    assert undisturbed([10.0, 10.0, 12.0, 20.0], waited(0, 0, 0.06, 0.9)) is not None


def test_clean_ones_that_are_less_than_a_tenth_are_too_few() -> None:
    """Others are not corrected to make up for them: such medians were as wrong as the waiting was long."""
    samples = [10.0] * 4 + [11.0] * 36
    assert undisturbed(samples, waited(*[0.0] * 3, *[0.07] * 37)) is None
    found = undisturbed(samples, waited(*[0.0] * 4, *[0.07] * 36))
    assert found is not None
    assert (found.ms, found.used) == (10.0, (0, 1, 2, 3))


def test_what_is_corrected_is_never_nothing_nor_longer_than_it_was() -> None:
    assert corrected(10.0, Contention(5.0)) == 2.5, "something takes some time"
    assert corrected(10.0, QUIET) == 10.0
    assert corrected(10.0, Contention(0.01, 0.9)) == 10.0, "it waited for nobody"
    assert 8 < corrected(10.0, Contention(0.2)) < 10


def test_where_none_was_left_alone_nothing_can_be_said() -> None:
    assert undisturbed([10.0] * 8, waited(*[0.07] * 8)) is None
    assert undisturbed([10.0] * 8, [Contention(0, 0.5)] * 8) is None
    assert undisturbed([], []) is None


def test_where_nothing_is_known_of_what_they_met_all_count() -> None:
    found = undisturbed([10.0, 50.0, 11.0], [])
    assert found is not None
    assert (found.ms, found.used) == (11.0, (0, 1, 2))


def test_one_sample_is_as_good_as_it_gets() -> None:
    assert undisturbed([10.0], waited(0.1)) is None
    assert undisturbed([10.0], waited(0.05)) is not None


@given(st.lists(st.tuples(st.floats(1, 1000), SHARES, st.floats(0, 1)), min_size=1, max_size=30), st.randoms())
def test_the_order_of_samples_does_not_matter(found: list[tuple[float, float, float]], order: random.Random) -> None:
    """Save between those that met exactly the same, where there is nothing to choose by."""
    distinct = list({max(waiting, foreign): (ms, waiting, foreign) for ms, waiting, foreign in found}.values())
    mixed = order.sample(distinct, len(distinct))
    one, other = (
        undisturbed([ms for ms, _, _ in made], [Contention(waiting, foreign) for _, waiting, foreign in made])
        for made in (distinct, mixed)
    )
    assert (one is None) == (other is None)
    if one and other:
        assert one.ms == other.ms
        assert {distinct[at] for at in one.used} == {mixed[at] for at in other.used}


@given(st.lists(st.tuples(st.floats(1, 1000), SHARES), min_size=1, max_size=30))
def test_the_estimate_lies_among_the_samples(found: list[tuple[float, float]]) -> None:
    times = [ms for ms, _ in found]
    one = undisturbed(times, waited(*[share for _, share in found]))
    if one:
        assert min(times) <= one.ms <= max(times)
        assert set(one.used) <= set(range(len(times)))


@pytest.mark.parametrize(("busy", "within"), [(0.0, 0.01), (0.4, 0.02), (0.8, 0.05)])
def test_bursts_of_another_program_fall_out(busy: float, within: float) -> None:
    """Of samples of 10 ms a share `busy` meets another program that holds a thread up: 0.5 to 0.8 of its waiting is
    missing at the end. The quiet median comes out, and that of all samples does not."""
    rng = np.random.default_rng(3)
    times, met = [], []
    for _ in range(120):
        quiet_ms = 10 * np.exp(rng.normal(0, 0.02))
        held_up = rng.exponential(6.0) if rng.random() < busy else 0.0
        seen_ms = quiet_ms + rng.uniform(0.5, 0.8) * held_up
        times.append(float(seen_ms))
        met.append(Contention(float(held_up / seen_ms)))
    found = undisturbed(times, met)
    assert found is not None
    assert found.ms == pytest.approx(10, rel=within)
    if busy == 0.8:
        assert np.median(times) > 11.5
