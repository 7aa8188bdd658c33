"""What a server counted of its own work on a model, which tells what serving costs beside computing."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields

from runtimes.records.parts import ServerTimes

_NS_PER_MS = 1e6
# The last request before a reading may be counted after it: a server answers first and counts then.
_LATE = 2


@dataclass(frozen=True)
class ServerCounts:
    """Sums since the server loaded the model. requests: answered; ours: those of this process. Times in nanoseconds."""

    requests: int
    ours: int
    total_ns: int
    queue_ns: int
    input_ns: int
    compute_ns: int
    output_ns: int

    def times_since(self, before: ServerCounts) -> ServerTimes | None:
        """Means over the requests since an earlier reading; None where there were none, or the server began anew."""
        requests = self.requests - before.requests
        if requests <= 0:
            return None

        def mean(name: str) -> float:
            added: int = getattr(self, name) - getattr(before, name)
            return round(added / requests / _NS_PER_MS, 4)

        return ServerTimes(
            requests=requests,
            total_ms=mean("total_ns"),
            queue_ms=mean("queue_ns"),
            input_ms=mean("input_ns"),
            compute_ms=mean("compute_ns"),
            output_ms=mean("output_ns"),
        )

    def foreign_since(self, before: ServerCounts) -> int:
        """Requests of others since an earlier reading: a few that may be our own count for none."""
        others = (self.requests - before.requests) - (self.ours - before.ours)
        return others if others > _LATE else 0


def median_times(found: Sequence[ServerTimes]) -> ServerTimes | None:
    """Medians over some readings, with the requests of all of them; None where there are none."""
    if not found:
        return None
    times = {one.name: [getattr(each, one.name) for each in found] for one in fields(ServerTimes)}
    requests = sum(times.pop("requests"))
    return ServerTimes(requests=requests, **{name: statistics.median(each) for name, each in times.items()})
