"""Which of two cells is faster, by what was measured side by side.

Turns of one name were taken within a second or so of each other, so what the machine did at that moment is in both and
falls out of their ratio. Whole runs are told apart by 1 % where their medians differ by 5 %.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runtimes.records.kinds import Latency
from runtimes.records.parts import Interval, Turn
from runtimes.statistics import ASSUMED_PROCESSES, Noise, bootstrap_median, interval, moderated, noise, widest
from runtimes.undisturbed import CLEAN_WAITED

_FEWEST = 4
_LEAST_SHARE = 0.25
# What correcting turns for waiting may be wrong by is in both sides; of their difference this is left.
_UNSURE, _UNSURE_OF_BOTH = 0.25, 0.15
# Turns that waited longer than this on average rank wrongly (four busy loops on two cores): there is no answer then.
_MOST = 0.6
_PRIOR = Noise(math.sqrt(2) * ASSUMED_PROCESSES, 4)


@dataclass(frozen=True)
class PairRatio:
    """How many times as long one cell takes as another. interval: 95 %. turns: that it rests on."""

    value: float
    interval: Interval
    turns: int

    @property
    def sign(self) -> int:
        """1 where it takes longer for sure, -1 where shorter, 0 where that is open."""
        return (self.interval[0] > 1) - (self.interval[1] < 1)

    def longer(self, times: float) -> bool:
        """Whether it takes longer by so many times the half width of the interval, on logarithms."""
        return math.log(self.value) > times * math.log(self.value / self.interval[0])


def ratio(one: Latency, other: Latency, others: Noise = _PRIOR) -> PairRatio | None:
    """The time of one over that of another; None where they had no turns together, or the machine was too busy to tell.

    others: how far such ratios of other pairs lie apart between processes; it is steadied by what is assumed of any
    machine. Turns that nothing disturbed count where there are at least four and a quarter of all, else the least
    disturbed half. The interval is the wider one of two: over processes (Student's t), and the bootstrap of the turns.
    """
    logarithms = _by_processes(one, other)
    if not logarithms:
        return None
    used = _least_disturbed(logarithms)
    met = float(np.mean([pair.met for pair in used]))
    if met > _MOST:
        return None
    figures = _figures(logarithms, used)
    value = math.exp(statistics.median(pair.log for pair in used))
    between, _ = interval(value, figures, moderated(others, _PRIOR))
    own = widest(between, bootstrap_median([math.exp(pair.log) for pair in used]))
    assert own is not None  # the prior carries one
    busy = max(0.0, met - CLEAN_WAITED)
    apart = float(np.mean([pair.apart for pair in used if pair.met > CLEAN_WAITED] or [0.0]))
    unsure = math.hypot(_UNSURE * apart, _UNSURE_OF_BOTH * busy)
    below, above = (math.hypot(math.log(value / end), unsure) for end in own)
    return PairRatio(value, (value * math.exp(-below), value * math.exp(above)), len(used))


def together(one: Latency, other: Latency) -> bool:
    """Whether two cells had turns side by side."""
    return bool(_by_processes(one, other))


def spread(cells: Sequence[Latency]) -> Noise:
    """How far the ratios of processes lie apart, over all pairs of a cell with the first."""
    found = []
    for cell in cells[1:]:
        by_processes = _by_processes(cell, cells[0])
        found.append(_figures(by_processes, _least_disturbed(by_processes)))
    return noise(found)


def _figures(by_processes: Mapping[str, list[_Pair]], used: list[_Pair]) -> list[float]:
    """The ratio of each pair of processes, by those of their turns that count."""
    names = {pair.name for pair in used}
    kept = ([pair.log for pair in pairs if pair.name in names] for pairs in by_processes.values())
    return [math.exp(statistics.median(one)) for one in kept if one]


@dataclass(frozen=True)
class _Pair:
    """log: of the ratio in a turn. met: what disturbed the worse of its sides. apart: by how much they differ."""

    name: str
    log: float
    met: float
    apart: float


def _by_processes(one: Latency, other: Latency) -> dict[str, list[_Pair]]:
    """The turns that both had, by what is common to their processes."""
    found: dict[str, list[_Pair]] = {}
    theirs = {turn.name: turn for turn in other.turns}
    for turn in _named(one.turns):
        beside = theirs.get(turn.name)
        if beside:
            pair = _Pair(
                turn.name, math.log(turn.ms / beside.ms), max(turn.met, beside.met), abs(turn.met - beside.met)
            )
            found.setdefault(turn.name.partition(".")[0], []).append(pair)
    return found


def _named(turns: Iterable[Turn]) -> list[Turn]:
    return [turn for turn in turns if turn.name]


def _least_disturbed(by_processes: Mapping[str, list[_Pair]]) -> list[_Pair]:
    """The pairs that count: the clean ones, or of each pair of processes the less disturbed half."""
    pairs = [pair for found in by_processes.values() for pair in found]
    clean = [pair for pair in pairs if pair.met <= CLEAN_WAITED]
    if len(clean) >= max(min(_FEWEST, len(pairs)), _LEAST_SHARE * len(pairs)):
        return clean
    halves = (sorted(found, key=lambda pair: pair.met)[: (len(found) + 1) // 2] for found in by_processes.values())
    return [pair for half in halves for pair in half]
