"""Which batch and how many streams: climb while it pays.

Pure: what measures is handed in, be it a visit in a fresh process or a formula.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from runtimes.records.parts import SearchPoint

GAIN = 0.05  # a step that gains less is not taken
# Rates of two processes differ by 2 to 4 % where nothing has changed: a gain this near to the threshold is looked at
# once more, on both sides.
DOUBT = 0.04
_MOST_LOOKS = 2


# Measures a batch and a number of streams: images per second, or why that failed (memory, a crash).
Measure = Callable[[int, int], float | str]


@dataclass(frozen=True)
class BestPoint:
    """The point chosen. images_per_s: as the search saw it, the median of its looks, and None where the first point
    failed already (`reason`). searched: every point looked at, in order, those that failed last."""

    batch: int
    streams: int
    images_per_s: float | None
    reason: str | None
    searched: tuple[SearchPoint, ...]


@dataclass
class _Seen:
    measure: Measure
    looks: dict[tuple[int, int], list[float]] = field(default_factory=dict)
    failed: dict[tuple[int, int], str] = field(default_factory=dict)

    def rate(self, point: tuple[int, int]) -> float | None:
        if point not in self.looks and point not in self.failed:
            self.look(point)
        return None if point in self.failed else statistics.median(self.looks[point])

    def look(self, point: tuple[int, int]) -> None:
        found = self.measure(*point)
        if isinstance(found, str):
            self.looks.pop(point, None)
            self.failed[point] = found
        else:
            self.looks.setdefault(point, []).append(found)

    def pays(self, here: tuple[int, int], there: tuple[int, int]) -> bool:
        """Whether going there gains enough. A close call is measured once more on both sides."""
        now, then = self.rate(here), self.rate(there)
        if now is not None and then is not None and abs(then / now - 1 - GAIN) < DOUBT:
            for point in (here, there):
                if len(self.looks[point]) < _MOST_LOOKS:
                    self.look(point)
            now, then = self.rate(here), self.rate(there)
        if now is None or then is None:  # what held once and fails on a second look is no place to stay
            return then is not None
        return then / now - 1 >= GAIN

    def searched(self) -> tuple[SearchPoint, ...]:
        points = dict.fromkeys([*self.looks, *self.failed])
        return tuple(
            SearchPoint(batch=one[0], streams=one[1], images_per_s=self.rate(one), reason=self.failed.get(one))
            for one in points
        )


def stream_counts(threads: int) -> list[int]:
    """1, 2, 4 ... up to one stream for each thread, that number included."""
    counts = [1]
    while counts[-1] * 2 <= threads:
        counts.append(counts[-1] * 2)
    return counts if counts[-1] == threads else [*counts, threads]


def best(measure: Measure, batches: Sequence[int], streams: Sequence[int]) -> BestPoint:
    """Batch and streams from which no single step among the choices gains 5 %.

    measure: called once for a point, twice where it is a close call. batches,
    streams: what may be chosen, ascending. It starts at the smallest of both and climbs in streams, then in batch, then
    again in both directions until nothing pays. A point that fails ends its direction and is among those searched. Of
    points that differ by less than 5 % the one with the smaller batch and fewer streams stays. The rate that is
    reported should be measured anew: that of the search is the best of several, and so flatters.
    """
    axes = (sorted(set(batches)), sorted(set(streams)))
    if not axes[0] or not axes[1]:
        raise ValueError("no batch or no streams to choose from")
    seen = _Seen(measure)
    point = (axes[0][0], axes[1][0])
    visited = {point}
    if seen.rate(point) is None:
        return BestPoint(*point, None, seen.failed[point], seen.searched())
    moved = True
    while moved:
        moved = False
        for axis in (1, 0):  # streams first: they cost no latency of a batch
            for step in (1, -1):
                while (there := _neighbour(point, axes, axis, step)) and there not in visited:
                    if not seen.pays(point, there):
                        break
                    point, moved = there, True
                    visited.add(there)
    if point in seen.failed and seen.looks:  # on a second look, with no way on
        point = max(seen.looks, key=lambda one: statistics.median(seen.looks[one]))
    return BestPoint(*point, seen.rate(point), seen.failed.get(point), seen.searched())


def _neighbour(
    point: tuple[int, int], axes: tuple[Sequence[int], Sequence[int]], axis: int, step: int
) -> tuple[int, int] | None:
    index = axes[axis].index(point[axis]) + step
    if not 0 <= index < len(axes[axis]):
        return None
    value = axes[axis][index]
    return (value, point[1]) if axis == 0 else (point[0], value)
