"""What the charts draw: rows of numbers taken from the records, each with the identity of its cell.

A speed is drawn where the tables show one: the cell was measured and its parity passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Generic, TypeVar

from convert.precision.table import PRECISIONS
from reports.html.facets import machines
from reports.load.results import Results, configuration, grouped, machine_of
from reports.numbers import NONE, measured, milliseconds, milliseconds_spread, spread
from reports.tables.standing import median, runtime_name, shown_status
from runtimes.bench.ceiling.believed import Ceilings, ceilings
from runtimes.records.kinds import Accuracy, Latency, Throughput, TimedRecord
from runtimes.records.parts import Effective, Interval

T = TypeVar("T", bound=TimedRecord)

MOST_SAMPLES = 200  # drawn per cell; of more, those at evenly spaced ranks, smallest and largest among them
FLOP_PER_MAC = 2
CHANNELS = 3

ChartRow = dict[str, Any]


@dataclass(frozen=True)
class Drawn(Generic[T]):
    """A record whose speed may be drawn.

    number: its place among all records, by which the page names it. status: as tables show it. machine: empty where all
    are of one.
    """

    number: int
    record: T
    status: str
    machine: str = ""


def drawn(results: Results, kind: type[T]) -> list[Drawn[T]]:
    """The records of a kind that were measured and whose parity passed, in the report's order."""
    several = machines(results)
    return [
        Drawn(number, record, shown_status(results, record), machine_of(record) if several else "")
        for number, record in enumerate(results.records)
        if isinstance(record, kind) and record.measured and not results.doubt(record)
    ]


def identity(cell: Drawn[T]) -> ChartRow:
    """What names a row for people and for the filters of the page."""
    record = cell.record
    names = {name: getattr(record, name) for name in ("model", "runtime", "precision")}
    label = runtime_name(record) + (f" @ {cell.machine}" if cell.machine else "")
    return {
        "number": cell.number,
        **names,
        "status": cell.status,
        "machine": cell.machine,
        "label": label,
        "batch": record.batch,
    }


def latencies(cells: Iterable[Drawn[Latency]]) -> list[ChartRow]:
    """Median and 95 % interval in ms of each cell: what scaling over the batch size is drawn from."""
    return [{**identity(cell), **_interval("ms", cell.record.median_ms, cell.record.ci95_ms)} for cell in cells]


def distributions(cells: Sequence[Drawn[Latency]]) -> list[ChartRow]:
    """The samples of each cell in ms, in their order where all are drawn, beside median and interval."""
    return [
        {**row, "samples": thinned(cell.record.samples_ms), "count": len(cell.record.samples_ms)}
        for cell, row in zip(cells, latencies(cells), strict=True)
        if cell.record.samples_ms
    ]


def thinned(samples: Sequence[float]) -> list[float]:
    """At most MOST_SAMPLES of the samples, to six digits."""
    if len(samples) > MOST_SAMPLES:
        ranked, last = sorted(samples), len(samples) - 1
        samples = [ranked[round(i * last / (MOST_SAMPLES - 1))] for i in range(MOST_SAMPLES)]
    return [float(f"{value:.6g}") for value in samples]


def accuracies(results: Results, cells: Sequence[Drawn[Latency]]) -> list[ChartRow]:
    """Top-1 in percent against the median latency in ms, where both are known of the same model on the same runtime.

    Left out are accuracies that did not end well, and those of seeded weights, which mean nothing.
    """
    told = [one for one in results.of(Accuracy, status="ok") if one.top1 is not None and not results.seeded(one.model)]
    found = grouped(told, configuration)
    return [
        {**row, "images": f"{record.dataset or '?'} ({record.images or '?'})", **_top1(record)}
        for cell, row in zip(cells, latencies(cells), strict=True)
        for record in found.get(configuration(cell.record), ())
    ]


def rates(cells: Iterable[Drawn[Throughput]]) -> list[ChartRow]:
    """Images per second over the batch size, measured back to back: the record's own and those searched on the way."""
    rows = []
    for cell in cells:
        record, streams = cell.record, cell.record.streams or 1
        if record.images_per_s is not None and record.batch:
            own = _interval("rate", record.images_per_s, record.ci95_images_per_s)
            rows.append({**identity(cell), **own, "streams": streams})
        for tried in record.searched or ():
            same = (tried.batch, tried.streams or 1) == (record.batch, streams)
            if tried.images_per_s is not None and tried.batch and not same:
                rate = _interval("rate", tried.images_per_s, None)
                rows.append({**identity(cell), **rate, "batch": tried.batch, "streams": tried.streams or 1})
    return rows


@dataclass(frozen=True)
class Roofline:
    """points: achieved GFLOP/s against FLOP per byte. roofs: corners of each ceiling. missing: what is, if any."""

    points: list[ChartRow]
    roofs: list[ChartRow]
    missing: str = ""


def roofline(results: Results, cells: Iterable[Drawn[Latency]]) -> Roofline:
    """The roofline of the CPU after Williams, Waterman and Patterson, "Roofline: an insightful visual performance model
    for multicore architectures", Communications of the ACM 52(4), 2009, doi:10.1145/1498765.1498785.

    FLOP: two for each MAC of all matrix products, times the batch. Bytes: what has to cross the memory bus even with
    caches that hold everything else (the paper's compulsory misses): the weights once per batch, in the precision
    that ran, and the images in FP32. Activations between layers may stay in the caches and records do not tell, so
    they are left out: the real intensity is lower, never higher.
    """
    if machines(results):
        return Roofline([], [], "one machine")
    machine = ceilings(results.environment) or Ceilings()
    known, bandwidth = machine.gflops, machine.bandwidth_gb_s
    if not known or not bandwidth:
        return Roofline([], [], "ceiling")
    points = [point for cell in cells if (point := _point(results, cell))]
    if not points:
        return Roofline([], [], "points")
    low = min(min(p["intensity"] for p in points), min(known.values()) / bandwidth) / 2
    high = max(max(p["intensity"] for p in points), max(known.values()) / bandwidth) * 2
    roofs = [
        {"roof": name, "intensity": x, "gflops": min(peak, bandwidth * x), "peak": peak}
        for name, peak in known.items()
        for x in (low, peak / bandwidth, high)
    ]
    return Roofline(points, roofs)


def _point(results: Results, cell: Drawn[Latency]) -> ChartRow | None:
    """A cell's place under the roof; None for what did not run on the CPU or whose size is not known."""
    record, effective = cell.record, cell.record.effective or Effective()
    facts, batch = record.model_info, record.batch
    macs, parameters = results.macs(record.model).total, results.parameters(record.model).total
    image = facts.preprocessing.shape if facts and facts.preprocessing else None
    ran_in = PRECISIONS.get(effective.precision or record.precision)
    if (effective.device or "CPU") != "CPU" or not (macs and parameters and image and ran_in and batch):
        return None
    flop, moved = FLOP_PER_MAC * macs * batch, parameters * ran_in.bytes + batch * CHANNELS * prod(image) * 4
    rate, ends = flop / (median(record) / 1e3) / 1e9, record.ci95_ms
    return {
        **latencies([cell])[0],
        "intensity": flop / moved,
        "gflops": rate,
        "gflops_text": measured(rate, (flop / ends[1] / 1e6, flop / ends[0] / 1e6) if ends and ends[0] > 0 else None),
        "intensity_text": measured(flop / moved),
    }


def _interval(name: str, value: float | None, ends: Interval | None) -> ChartRow:
    """A value, the ends of its interval and both as text."""
    told, around = (milliseconds, milliseconds_spread) if name == "ms" else (measured, spread)
    text = told(value, ends) + (f" ({around(value, ends)})" if ends else "") if value is not None else NONE
    return {name: value, f"{name}_low": ends and ends[0], f"{name}_high": ends and ends[1], f"{name}_text": text}


def _top1(accuracy: Accuracy) -> ChartRow:
    """Top-1 in percent."""
    ends = accuracy.top1_ci95
    return _interval("top1", 100 * (accuracy.top1 or 0.0), ends and (100 * ends[0], 100 * ends[1]))
