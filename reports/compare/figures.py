"""The figures of a record that can be compared, and what each of its processes says of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.compare.change import Estimate, estimate, of_one_process
from reports.load.results import MEASURED, is_number
from reports.numbers import own_interval
from runtimes.records.store import Record
from runtimes.statistics import Noise, bootstrap_median, noise


@dataclass(frozen=True)
class Figure:
    """field: of the record. more_is_better: whether an increase is for the better. percentile: of the samples."""

    kind: str
    field: str
    more_is_better: bool = False
    percentile: int | None = None


FIGURES: Mapping[str, Figure] = {
    "median": Figure("latency", "median_ms", percentile=50),
    "p90": Figure("latency", "p90_ms", percentile=90),
    "p95": Figure("latency", "p95_ms", percentile=95),
    "p99": Figure("latency", "p99_ms", percentile=99),
    "throughput": Figure("throughput", "images_per_s", more_is_better=True),
}


def value(record: Record, figure: Figure) -> float | None:
    """The figure of a measured record, None where it has none (or one that is no speed)."""
    found = record.get(figure.field) if record["status"] in MEASURED else None
    return float(found) if found is not None and _above_zero(found) else None


def of_processes(record: Record, figure: Figure) -> list[float]:
    """The figure of each process; empty where the record does not tell processes apart, or not consistently."""
    processes = record.get("processes") or []
    if figure.percentile is None:
        rates = [process.get(figure.field) for process in processes]
        return rates if all(_above_zero(rate) for rate in rates) else []
    samples, counts = record.get("samples_ms") or [], [process.get("count") for process in processes]
    if not all(isinstance(count, int) and count > 0 for count in counts) or sum(counts) != len(samples):
        return []
    if not all(map(_above_zero, samples)):
        return []
    ends = np.cumsum(counts)
    cut = np.split(np.asarray(samples, dtype=np.float64), ends[:-1]) if counts else []
    if figure.percentile == 50:
        return [float(np.median(one)) for one in cut]
    return [float(np.percentile(one, figure.percentile, method="inverted_cdf")) for one in cut]


class Noises:
    """The variation between processes in each run, pooled over its cells, for one figure."""

    def __init__(self, records: Iterable[Record], figure: Figure) -> None:
        self.figure = figure
        cells: dict[tuple[Any, Any], list[Noise]] = defaultdict(list)
        for record in records:
            if record["kind"] == figure.kind and record["status"] in MEASURED:
                cells[_run(record)].append(noise([of_processes(record, figure)]))
        self.pooled = {run: _pooled(noises) for run, noises in cells.items()}

    def estimate(self, record: Record) -> Estimate | None:
        """What is known of a record's figure; None where that is nothing."""
        figure = value(record, self.figure)
        if figure is None:
            return None
        processes = of_processes(record, self.figure)
        others = _without(self.pooled.get(_run(record), Noise()), noise([processes]))
        known = estimate(figure, processes, others) or _as_stored(record, figure)
        if known or self.figure.percentile != 50:
            return known
        samples = record.get("samples_ms") or []
        sound = len(samples) > 5 and all(map(_above_zero, samples))
        return of_one_process(figure, bootstrap_median(samples) if sound else own_interval(record))


def _as_stored(record: Record, figure: float) -> Estimate | None:
    """What the run knew of the variation between processes, also from visits that are not in its records."""
    how: dict[str, Any] = record.get("interval") or {}
    known: list[Any] = [how.get(name) for name in ("between_cv", "dof", "processes")]
    between, dof, processes = (float(value) if _above_zero(value) else 0.0 for value in known)
    if not (between and dof and processes):
        return None
    return Estimate(math.log(figure), between / math.sqrt(processes), dof)


def _run(record: Record) -> tuple[Any, Any]:
    return record.get("machine"), record.get("run")


def _pooled(noises: Iterable[Noise]) -> Noise:
    noises = list(noises)
    dof = sum(one.dof for one in noises)
    return Noise(math.sqrt(sum(one.dof * one.between_cv**2 for one in noises) / dof), dof) if dof else Noise()


def _without(pooled: Noise, own: Noise) -> Noise:
    """What the other cells say: the pooled variation less a cell's own part."""
    dof = pooled.dof - own.dof
    if dof < 1:
        return Noise()
    squares = pooled.dof * pooled.between_cv**2 - own.dof * own.between_cv**2
    return Noise(math.sqrt(max(0.0, squares) / dof), dof)


def _above_zero(number: Any) -> bool:
    return is_number(number) and number > 0
