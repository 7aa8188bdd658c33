"""Which of two latencies is faster, and by how much: by their turns side by side where they had such, else by their
medians and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reports.numbers import own_interval, rivals
from runtimes import pairs
from runtimes.records.kinds import Latency
from runtimes.records.parts import Interval
from runtimes.statistics import Noise

# A median that was taken beside other work or is not steady, and without turns, may be off by so much.
_DISTURBED = 1.5


@dataclass(frozen=True)
class Faster:
    """How many times as fast one latency is as another. interval: 95 %, None where unknown. paired: by turns."""

    value: float
    interval: Interval | None
    paired: bool

    @property
    def sure(self) -> bool:
        """Whether it is faster or slower for sure."""
        return self.interval is not None and not self.interval[0] <= 1 <= self.interval[1]


_UNKNOWN = Noise()


def faster(base: Latency, cell: Latency, others: Noise = _UNKNOWN) -> Faster | None:
    """How many times as fast as `base` a cell is; None where the machine was too busy to tell.

    others: how far such ratios of their rivals lie apart (`pairs.spread`).
    """
    if side_by_side(base, cell):
        found = pairs.ratio(base, cell, others)
        return Faster(found.value, found.interval, paired=True) if found else None
    assert base.median_ms
    assert cell.median_ms
    # Cells that had their turns at different times are as far apart as runs are, also where the run has one name: some
    # were measured again (--resume), or had no room beside the others.
    apart = base.turns and cell.turns
    known = (base.ci95_ms, cell.ci95_ms) if apart else rivals(base, cell)
    its, own = (_honest(one, interval) for one, interval in zip((base, cell), known, strict=True))
    interval = (its[0] / own[1], its[1] / own[0]) if own and its and own[0] > 0 else None
    return Faster(base.median_ms / cell.median_ms, interval, paired=False)


def side_by_side(one: Latency, other: Latency) -> bool:
    """Whether two latencies of one run had turns together, which tell of them: where it is not known what a turn met,
    one of a cell that was disturbed does not."""
    blind = any(cell.disturbed and cell.undisturbed is None for cell in (one, other))
    return (one.machine, one.run) == (other.machine, other.run) and not blind and pairs.together(one, other)


def order(cells: Sequence[Latency]) -> list[Latency]:
    """The fastest first: by turns with the one of the lowest median where all had such, else by medians."""
    by_median = sorted(cells, key=lambda cell: cell.median_ms or 0.0)
    gains = [faster(cell, by_median[0]) for cell in by_median[1:]]
    if not gains or not all(gain and gain.paired for gain in gains):
        return by_median
    slower = [1.0, *(gain.value for gain in gains if gain)]
    return [cell for _, cell in sorted(zip(slower, by_median, strict=True), key=lambda pair: pair[0])]


def _honest(cell: Latency, interval: Interval | None) -> Interval | None:
    """An interval as wide as what is known of a median that was disturbed, or did not get steady."""
    if not interval or cell.status != "unstable" or only_wide(cell) or not cell.median_ms:
        return interval
    return min(interval[0], cell.median_ms / _DISTURBED), max(interval[1], cell.median_ms * _DISTURBED)


def only_wide(cell: Latency) -> bool:
    """Whether an unstable latency is so only because its interval is wider than was asked for.

    Nothing disturbed it and each of its processes got steady: its wide interval is honest, so it is ranked by it.
    Records of format 1 have no target and never count as such.
    """
    interval = own_interval(cell)
    if cell.status != "unstable" or cell.disturbed or not (interval and cell.target and cell.median_ms):
        return False
    steady = all(process.steady is not False for process in cell.processes or ())
    return steady and (interval[1] - interval[0]) / 2 > cell.target * cell.median_ms
