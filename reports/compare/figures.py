"""The figures of a record that can be compared, and what each of its processes says of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.compare.change import LogEstimate, estimate, of_one_process
from reports.numbers import own_interval
from runtimes.records.kinds import Latency, Record, Throughput, TimedRecord
from runtimes.statistics import Noise, bootstrap_median, noise


@dataclass(frozen=True)
class Figure:
    """kind: of records. value: of a record of that kind. more_is_better: whether an increase is for the better.
    percentile: of the samples; None for a rate."""

    kind: type[TimedRecord]
    value: Callable[[Any], float | None]
    more_is_better: bool = False
    percentile: int | None = None


FIGURES: Mapping[str, Figure] = {
    "median": Figure(Latency, lambda record: record.median_ms, percentile=50),
    "p90": Figure(Latency, lambda record: record.p90_ms, percentile=90),
    "p95": Figure(Latency, lambda record: record.p95_ms, percentile=95),
    "p99": Figure(Latency, lambda record: record.p99_ms, percentile=99),
    "throughput": Figure(Throughput, lambda record: record.images_per_s, more_is_better=True),
}


def value(record: Record, figure: Figure) -> float | None:
    """The figure of a measured record, None where it has none (or one that is no speed)."""
    found = figure.value(record) if record.measured and isinstance(record, figure.kind) else None
    return found if found and found > 0 else None


def of_processes(record: Record, figure: Figure) -> list[float]:
    """The figure of each process; empty where the record does not tell processes apart, or not consistently."""
    if isinstance(record, Throughput):
        rates = [process.images_per_s or 0.0 for process in record.processes or ()]
        return rates if all(rate > 0 for rate in rates) else []
    if not isinstance(record, Latency) or figure.percentile is None:
        return []
    counts = [process.count or 0 for process in record.processes or ()]
    if not all(count > 0 for count in counts) or sum(counts) != len(record.samples_ms):
        return []
    if not counts or not all(sample > 0 for sample in record.samples_ms):
        return []
    cut = np.split(np.asarray(record.samples_ms, dtype=np.float64), np.cumsum(counts)[:-1])
    if figure.percentile == 50:
        return [float(np.median(one)) for one in cut]
    return [float(np.percentile(one, figure.percentile, method="inverted_cdf")) for one in cut]


class Noises:
    """The variation between processes in each run, of each of its cells, for one figure."""

    def __init__(self, records: Iterable[Record], figure: Figure) -> None:
        self.figure = figure
        self.of_run: dict[tuple[str | None, str | None], dict[int, Noise]] = defaultdict(dict)
        for record in records:
            if isinstance(record, figure.kind) and record.measured:
                self.of_run[record.machine, record.run][id(record)] = noise([of_processes(record, figure)])

    def estimate(self, record: Record) -> LogEstimate | None:
        """What is known of a record's figure; None where that is nothing."""
        figure = value(record, self.figure)
        if figure is None:
            return None
        if (
            self.figure.percentile == 50
            and isinstance(record, Latency)
            and record.undisturbed not in (None, record.count)
        ):
            # A median of some samples only, which may be corrected: how uncertain that is, its own interval knows.
            return of_one_process(figure, own_interval(record))
        cells = self.of_run[record.machine, record.run]
        others = _pooled([one for cell, one in cells.items() if cell != id(record)])
        known = estimate(figure, of_processes(record, self.figure), others) or _as_stored(record, figure)
        if known or self.figure.percentile != 50 or not isinstance(record, Latency):
            return known
        samples = record.samples_ms
        sound = len(samples) > 5 and all(sample > 0 for sample in samples)
        return of_one_process(figure, bootstrap_median(samples) if sound else own_interval(record))


def _as_stored(record: Record, figure: float) -> LogEstimate | None:
    """What the run knew of the variation between processes, also from visits that are not in its records."""
    how = record.interval if isinstance(record, TimedRecord) else None
    if not how or not (how.between_cv and how.dof and how.processes):
        return None
    return LogEstimate(math.log(figure), how.between_cv / math.sqrt(how.processes), how.dof)


def _pooled(cells: Sequence[Noise]) -> Noise:
    """As `noise` pools cells whose processes are known."""
    dof = sum(one.dof for one in cells)
    return Noise(math.sqrt(sum(one.dof * one.between_cv**2 for one in cells) / dof), dof) if dof else Noise()
