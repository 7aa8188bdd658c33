"""Which of two cells is faster, by turns that are made up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from runtimes import pairs
from runtimes.pairs import PairRatio
from runtimes.records.kinds import Latency
from runtimes.records.parts import Turn
from runtimes.statistics import Noise
from tests.runtimes.records.made import record

Burst = Callable[[np.random.Generator], float]


def cell(*turns: Turn) -> Latency:
    return record(Latency, median_ms=10.0, turns=turns)


def of(times_ms: Sequence[float], table: str = "t", met: Sequence[float] = ()) -> Latency:
    """A cell with a turn for each time."""
    shares = met or [0.0] * len(times_ms)
    both = zip(times_ms, shares, strict=True)
    return cell(*(Turn(name=f"{table}.{at}", ms=ms, met=share) for at, (ms, share) in enumerate(both)))


def sure(found: PairRatio | None) -> PairRatio:
    assert found is not None
    return found


def test_the_ratio_is_that_of_turns_that_both_had() -> None:
    one = cell(*(Turn(name=f"t.{at}", ms=ms) for at, ms in enumerate([20.0, 22.0, 20.0, 18.0, 20.0, 21.0])))
    other = cell(
        *(Turn(name=f"t.{at}", ms=10.0) for at in range(1, 6)), Turn(name="t.9", ms=1000.0), Turn(name="u.0", ms=1000.0)
    )
    found = sure(pairs.ratio(one, other))
    assert found.value == pytest.approx(2.0)
    assert found.turns == 5
    low, high = found.interval
    assert low < 2.0 < high
    assert sure(pairs.ratio(other, one)).value == pytest.approx(0.5)


def test_a_turn_of_another_table_does_not_pair() -> None:
    assert pairs.ratio(of([10.0] * 5, "t"), of([10.0] * 5, "u")) is None
    assert pairs.ratio(of([10.0] * 5), cell()) is None


def test_samples_of_the_warm_up_are_nobodys_turn() -> None:
    """They have no name, and were not taken side by side."""
    assert pairs.ratio(cell(Turn(name="", ms=10.0)), cell(Turn(name="", ms=10.0))) is None


def test_what_strikes_both_alike_falls_out() -> None:
    """The machine is up to four times as slow from turn to turn, and the ratio is known to half a per cent."""
    rng = np.random.default_rng(1)
    level = np.exp(rng.uniform(0, math.log(4), 40))
    one, other = of((11 * level).tolist()), of((10 * level).tolist())
    found = sure(pairs.ratio(one, other, Noise(0.0, 10**6)))
    assert found.value == pytest.approx(1.1)
    assert found.interval == pytest.approx((1.1, 1.1), rel=0.005)


def test_disturbed_turns_are_left_out_where_there_are_enough_others() -> None:
    met = [0.0] * 4 + [0.5] * 8
    one, other = of([11.0] * 4 + [50.0] * 8, met=met), of([10.0] * 12)
    found = sure(pairs.ratio(one, other))
    assert found.value == pytest.approx(1.1)
    assert found.turns == 4
    found = sure(pairs.ratio(other, one))
    assert found.value == pytest.approx(1 / 1.1), "whichever of them was disturbed"


def test_where_too_few_are_left_the_less_disturbed_half_counts() -> None:
    met = [0.0] * 3 + [0.1] * 3 + [0.5] * 6
    found = sure(pairs.ratio(of([11.0] * 6 + [50.0] * 6, met=met), of([10.0] * 12)))
    assert found.value == pytest.approx(1.1)
    assert found.turns == 6


def test_what_was_corrected_makes_the_interval_wider() -> None:
    """Most where the two sides were disturbed differently: of what hits both alike little is left."""
    quiet, alike, apart = (
        sure(pairs.ratio(of([11.0] * 8, met=[mine] * 8), of([10.0] * 8, met=[theirs] * 8), Noise(0.01, 4)))
        for mine, theirs in ((0.0, 0.0), (0.2, 0.2), (0.2, 0.0))
    )
    assert apart.interval[0] < alike.interval[0] < quiet.interval[0]
    assert quiet.interval[1] < alike.interval[1] < apart.interval[1]


@pytest.mark.parametrize(
    ("interval", "sign"), [((1.01, 1.2), 1), ((0.8, 0.99), -1), ((0.9, 1.1), 0), ((1.0, 1.2), 0), ((0.8, 1.0), 0)]
)
def test_the_sign_is_what_is_sure(interval: tuple[float, float], sign: int) -> None:
    assert PairRatio(sum(interval) / 2, interval, 8).sign == sign


def test_longer_is_asked_of_a_wider_interval() -> None:
    found = PairRatio(1.1, (1.1 / 1.06, 1.1 * 1.06), 8)
    assert found.longer(1.0)
    assert found.longer(1.6)
    assert not found.longer(1.7)
    assert not PairRatio(0.9, (0.85, 0.95), 8).longer(0.0)


def test_few_processes_that_agree_by_chance_are_no_certainty() -> None:
    """Two processes, and those of one other pair, agree to the last digit: what is known of such says otherwise."""
    one, other = (
        cell(*(Turn(name=f"{table}.{at}", ms=ms) for table in "tu" for at in range(6))) for ms in (10.2, 10.0)
    )
    few, many = (sure(pairs.ratio(one, other, Noise(0.0, dof))) for dof in (2, 200))
    assert few.sign == 0
    assert many.sign == 1


def test_one_pair_of_processes_alone_is_no_certainty() -> None:
    """Both might be unlike the next ones, however well their turns agree: 2 % between processes are assumed."""
    found = sure(pairs.ratio(of([10.4] * 30), of([10.0] * 30)))
    assert found.sign == 0
    low, high = found.interval
    assert low < 0.98
    assert high > 1.1
    assert sure(pairs.ratio(of([12.0] * 30), of([10.0] * 30))).sign == 1


def test_how_far_processes_lie_apart_is_known_from_other_pairs() -> None:
    """Ratios 2 and 2.2 to the first cell, and 3 and 3: a variance of ln(1.1)^2 / 2 in one, none in the other."""
    first = cell(*(Turn(name=f"{table}.1", ms=10.0) for table in "tu"))
    second = cell(Turn(name="t.1", ms=20.0), Turn(name="u.1", ms=22.0))
    third = cell(Turn(name="t.1", ms=30.0), Turn(name="u.1", ms=30.0))
    found = pairs.spread([first, second, third])
    assert found.dof == 2
    assert found.between_cv == pytest.approx(math.log(1.1) / 2)
    assert pairs.spread([first]) == Noise()
    assert pairs.spread([first, cell()]) == Noise()


def simulated(rng: np.random.Generator, burst: Burst, processes: int = 3, turns: int = 12) -> tuple[Latency, Latency]:
    """The same cell twice: processes differ by 1 %, turns by 2 %, the machine drifts, and bursts make a turn longer for
    one of the two, 0.66 of which its correction has taken away already."""
    sides: tuple[list[Turn], list[Turn]] = ([], [])
    for process in range(processes):
        own = np.exp(rng.normal(0, 0.01, 2))
        for turn in range(turns):
            drift = math.exp(0.1 * math.sin(turn / 3) + rng.normal(0, 0.03))
            for side, level in zip(sides, own, strict=True):
                met = burst(rng)
                late = 1 + rng.uniform(-0.25, 0.25) * met
                ms = float(10 * drift * level * late * math.exp(rng.normal(0, 0.02)))
                side.append(Turn(name=f"{process}.{turn}", ms=ms, met=met))
    return cell(*sides[0]), cell(*sides[1])


def none(rng: np.random.Generator) -> float:
    return 0.0


def some(rng: np.random.Generator) -> float:
    return float(min(0.8, rng.exponential(0.25))) if rng.random() < 0.4 else 0.02


def many(rng: np.random.Generator) -> float:
    return float(min(0.8, rng.exponential(0.25))) if rng.random() < 0.8 else 0.02


@pytest.mark.parametrize("burst", [none, some, many])
@pytest.mark.parametrize("processes", [1, 2, 3])
def test_the_same_cell_against_itself_comes_out_at_one(burst: Burst, processes: int) -> None:
    """In 95 of 100, and not because the interval says nothing: it is narrower than 20 %, 12 % from two processes on."""
    found = []
    for seed in range(100):
        one, other = simulated(np.random.default_rng(seed), burst, processes)
        found.append(sure(pairs.ratio(one, other)))
    covered = sum(ratio.interval[0] <= 1 <= ratio.interval[1] for ratio in found)
    assert covered >= 95
    widths = [ratio.interval[1] - ratio.interval[0] for ratio in found]
    assert np.median(widths) < (0.2 if processes == 1 else 0.12)
    assert abs(np.median([ratio.value for ratio in found]) - 1) < 0.01


def test_a_difference_of_five_per_cent_is_found() -> None:
    slower = []
    for seed in range(50):
        one, other = simulated(np.random.default_rng(seed), some, processes=4, turns=15)
        longer = cell(*(Turn(name=turn.name, ms=1.06 * turn.ms, met=turn.met) for turn in one.turns))
        slower.append(sure(pairs.ratio(longer, other)).sign)
    assert slower.count(1) >= 40
    assert slower.count(-1) == 0


def test_of_equal_cells_hardly_one_is_ever_out_of_the_running() -> None:
    """Whoever is the fastest so far is picked by chance, and asked about after each round (`modes.latencies`)."""
    lost = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        turns: list[list[Turn]] = [[], [], [], []]
        found = False
        for process in range(5):
            for mine, level in zip(turns, np.exp(rng.normal(0, 0.012, 4)), strict=True):
                for turn in range(6):
                    ms = float(10 * level * math.exp(rng.normal(0, 0.01)))
                    mine.append(Turn(name=f"{process}.{turn}", ms=ms))
            order = sorted((cell(*mine) for mine in turns), key=middle)
            for one in order[1:] if process else ():
                others = pairs.spread([other for other in order if other is not one])
                found |= sure(pairs.ratio(one, order[0], others)).longer(1.3)
        lost += found
    assert lost <= 6


def middle(one: Latency) -> float:
    return float(np.median([turn.ms for turn in one.turns]))


def test_the_order_of_turns_does_not_matter() -> None:
    one, other = simulated(np.random.default_rng(0), some)
    turned = cell(*itertools.chain(reversed(one.turns)))
    assert sure(pairs.ratio(turned, other)).value == pytest.approx(sure(pairs.ratio(one, other)).value)
