"""Which batches still have to be done on which evaluation, and which node is at them. Nothing here knows of Ray.

A shard is some batches in a row, small, and goes to whoever is free. What only few nodes can do goes first, so that the
others' work is what is left at the end. Where nothing is left, a node that is free does a shard again that is under way
elsewhere: a slow or dead node holds up nobody, and whichever answer comes first counts.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_AT_ONCE = 2  # nodes on the same shard


@dataclass(frozen=True)
class BatchShard:
    """Batches, by their numbers, and the evaluations that go through them, by theirs. chunk: their place in the set."""

    chunk: int
    batches: tuple[int, ...]
    evaluations: tuple[int, ...]


@dataclass
class _Flight:
    batches: tuple[int, ...]
    nodes: list[str] = field(default_factory=list)


class ShardQueue:
    """The shards of a pass. Safe from any thread.

    able: node -> the evaluations that it may be able to do. batches: in a shard.
    """

    def __init__(self, able: Mapping[str, Iterable[int]], batches: int) -> None:
        self._able = {node: set(evaluations) for node, evaluations in able.items()}
        self._batches = batches
        self._open: dict[int, dict[int, tuple[int, ...]]] = {}  # evaluation -> chunk -> batches
        self._flights: dict[tuple[int, int], _Flight] = {}  # (chunk, evaluation), the oldest first
        self._closed = False
        self._news = threading.Condition()

    def begin(self, evaluation: int, batches: Iterable[int]) -> None:
        """An evaluation whose first node has loaded it: the batches that it lacks."""
        chunks: dict[int, list[int]] = {}
        for number in sorted(batches):
            chunks.setdefault(number // self._batches, []).append(number)
        with self._news:
            self._open[evaluation] = {chunk: tuple(numbers) for chunk, numbers in chunks.items()}
            self._news.notify_all()

    def take(self, node: str, loaded: Iterable[int], idle: bool) -> BatchShard | None:
        """The next shard for a node, of evaluations that it has loaded; None where there is none.

        idle: it has nothing else to do. Then this waits while others may still give something back, does what is under
        way elsewhere a second time, and gives None only when there will be nothing for it any more.
        """
        with self._news:
            while True:
                own = self._able.get(node, set()).intersection(loaded)
                if self._closed or not own or not any(map(self._left, own)):
                    return None
                if (shard := self._next(node, own) or (self._again(node, own) if idle else None)) or not idle:
                    return shard
                self._news.wait()

    def done(self, shard: BatchShard) -> None:
        """A shard has its answers, whoever else is at it."""
        with self._news:
            for evaluation in shard.evaluations:
                self._flights.pop((shard.chunk, evaluation), None)
                self._open.get(evaluation, {}).pop(shard.chunk, None)
            self._news.notify_all()

    def give_back(self, node: str, evaluations: Iterable[int] | None = None, chunk: int | None = None) -> None:
        """What a node was at is for others. evaluations, chunk: None for all of them."""
        only = None if evaluations is None else set(evaluations)
        with self._news:
            for (place, evaluation), flight in list(self._flights.items()):
                wanted = chunk in (None, place) and (only is None or evaluation in only)
                if wanted and node in flight.nodes:
                    flight.nodes.remove(node)
                    if not flight.nodes:
                        del self._flights[place, evaluation]
                        self._open[evaluation][place] = flight.batches
            self._news.notify_all()

    def end(self, node: str, evaluations: Iterable[int] | None = None) -> None:
        """A node does no more of some evaluations; None: of any."""
        self.give_back(node, evaluations)
        with self._news:
            self._able[node] -= self._able[node] if evaluations is None else set(evaluations)
            self._news.notify_all()

    def close(self) -> None:
        """Nobody gets anything any more."""
        with self._news:
            self._closed = True
            self._news.notify_all()

    def wait(self, seconds: float) -> bool:
        """Whether all is done that nodes are there for, after waiting for it for a while at most."""
        with self._news:
            return self._news.wait_for(self._settled, seconds)

    def finished(self, evaluation: int) -> bool:
        """Whether an evaluation has all of its answers."""
        with self._news:
            return not self._left(evaluation)

    def _left(self, evaluation: int) -> bool:
        return (
            evaluation not in self._open
            or bool(self._open[evaluation])
            or any(one == evaluation for _, one in self._flights)
        )

    def _settled(self) -> bool:
        return self._closed or not any(self._left(one) for own in self._able.values() for one in own)

    def _next(self, node: str, own: set[int]) -> BatchShard | None:
        """The first shard that nobody is at, of the evaluations that the fewest can do."""
        waiting = {one for one in own if self._open.get(one)}
        if not waiting:
            return None
        able = {one: sum(one in others for others in self._able.values()) for one in waiting}
        rare = [one for one in sorted(waiting) if able[one] == min(able.values())]
        chunk = min(min(self._open[one]) for one in rare)
        first = next(one for one in rare if chunk in self._open[one])
        batches = self._open[first][chunk]
        together = tuple(one for one in rare if self._open[one].get(chunk) == batches)
        for one in together:
            del self._open[one][chunk]
            self._flights[chunk, one] = _Flight(batches, [node])
        return BatchShard(chunk, batches, together)

    def _again(self, node: str, own: set[int]) -> BatchShard | None:
        """The oldest shard that another node alone is at."""
        for (chunk, evaluation), flight in self._flights.items():
            if evaluation in own and node not in flight.nodes and len(flight.nodes) < _AT_ONCE:
                flight.nodes.append(node)
                return BatchShard(chunk, flight.batches, (evaluation,))
        return None
