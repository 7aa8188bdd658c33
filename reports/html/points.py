"""What the charts draw: rows of numbers taken from the records, each with the identity of its cell.

A speed is drawn where the tables show one: the cell was measured and its parity passed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from reports.html.rows import machines
from reports.load.results import MEASURED, Results, is_number
from reports.numbers import NONE, measured, spread
from reports.tables.frames import runtime_name
from runtimes.records.store import Record

MOST_SAMPLES = 200  # drawn per cell; of more, those at evenly spaced ranks, smallest and largest among them
ELEMENT_BYTES = {"fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2, "int8": 1}
FLOP_PER_MAC = 2
CHANNELS = 3

Row = dict[str, Any]
_SAME = ("model", "runtime", "precision", "device", "settings", "machine")  # a latency and an accuracy of one thing


@dataclass(frozen=True)
class Drawn:
    """A record whose speed may be drawn.

    number: its place among all records, by which the page names it. machine: empty where all are of one.
    """

    number: int
    record: Record
    machine: str = ""


def drawn(results: Results, kind: str) -> list[Drawn]:
    """The records of a kind that were measured and whose parity passed, in the report's order."""
    several = machines(results)
    return [
        Drawn(number, record, record.get("machine") or "" if several else "")
        for number, record in enumerate(results.records)
        if record["kind"] == kind and record["status"] in MEASURED and not results.doubt(record)
    ]


def identity(cell: Drawn) -> Row:
    """What names a row for people and for the filters of the page."""
    record = cell.record
    names = {name: record[name] for name in ("model", "runtime", "precision", "status")}
    label = runtime_name(record) + (f" @ {cell.machine}" if cell.machine else "")
    return {"number": cell.number, **names, "machine": cell.machine, "label": label, "batch": record.get("batch")}


def latencies(cells: Iterable[Drawn]) -> list[Row]:
    """Median and 95 % interval in ms of each cell: what scaling over the batch size is drawn from."""
    return [{**identity(cell), **_interval("ms", cell.record, "median_ms", "ci95_ms")} for cell in cells]


def distributions(cells: Iterable[Drawn]) -> list[Row]:
    """The samples of each cell in ms, in their order where all are drawn, beside median and interval."""
    return [
        {**row, "samples": thinned(samples), "count": len(samples)}
        for cell, row in ((cell, latencies([cell])[0]) for cell in cells)
        if (samples := [value for value in cell.record.get("samples_ms") or [] if is_number(value)])
    ]


def thinned(samples: Sequence[float]) -> list[float]:
    """At most MOST_SAMPLES of the samples, to six digits."""
    if len(samples) > MOST_SAMPLES:
        ranked, last = sorted(samples), len(samples) - 1
        samples = [ranked[round(i * last / (MOST_SAMPLES - 1))] for i in range(MOST_SAMPLES)]
    return [float(f"{value:.6g}") for value in samples]


def accuracies(results: Results, cells: Iterable[Drawn]) -> list[Row]:
    """Top-1 in percent against the median latency in ms, where both are known of the same model on the same runtime.

    Left out are accuracies that did not end well, and those of seeded weights, which mean nothing.
    """
    found: dict[str, list[Record]] = {}
    for record in results.of("accuracy"):
        if record["status"] == "ok" and record.get("top1") is not None and not results.seeded(record["model"]):
            found.setdefault(_same(record), []).append(record)
    rows = []
    for cell in cells:
        for record in found.get(_same(cell.record), []):
            interval = record.get("top1_ci95")
            percent = {"top1": record["top1"], "ci": interval} if interval else {"top1": record["top1"], "ci": None}
            rows.append(
                {
                    **latencies([cell])[0],
                    "images": _images(record),
                    **_interval("top1", {k: _hundredfold(v) for k, v in percent.items()}, "top1", "ci"),
                }
            )
    return rows


def rates(results: Results, cells: Iterable[Drawn]) -> list[Row]:
    """Images per second over the batch size, measured back to back: the record's own and those searched on the way."""
    rows = []
    for cell in cells:
        record = cell.record
        own = {**_interval("rate", record, "images_per_s", "ci95_images_per_s"), "streams": record.get("streams") or 1}
        if own["rate"] is not None and record.get("batch"):
            rows.append({**identity(cell), **own})
        for tried in record.get("searched") or []:
            same = (tried.get("batch"), tried.get("streams") or 1) == (record.get("batch"), own["streams"])
            if is_number(tried.get("images_per_s")) and tried.get("batch") and not same:
                streams, rate = tried.get("streams") or 1, _interval("rate", tried, "images_per_s", "")
                rows.append({**identity(cell), **rate, "batch": tried["batch"], "streams": streams})
    return rows


@dataclass(frozen=True)
class Roofline:
    """points: achieved GFLOP/s against FLOP per byte. roofs: corners of each ceiling. missing: what is, if any."""

    points: list[Row]
    roofs: list[Row]
    missing: str = ""


def roofline(results: Results, cells: Iterable[Drawn]) -> Roofline:
    """The roofline of the CPU after Williams, Waterman and Patterson, "Roofline: an insightful visual performance model
    for multicore architectures", Communications of the ACM 52(4), 2009, doi:10.1145/1498765.1498785.

    FLOP: two for each MAC of all matrix products, times the batch. Bytes: what has to cross the memory bus even with
    caches that hold everything else (the paper's compulsory misses): the weights once per batch, in the precision
    that ran, and the images in FP32. Activations between layers may stay in the caches and records do not tell, so
    they are left out: the real intensity is lower, never higher.
    """
    if machines(results):
        return Roofline([], [], "one machine")
    ceiling = results.environment.get("ceiling")
    ceiling = ceiling if isinstance(ceiling, dict) else {}
    bandwidth, peaks = ceiling.get("bandwidth_gb_s"), ceiling.get("gflops")
    known = {name: peak for name, peak in (peaks if isinstance(peaks, dict) else {}).items() if _positive(peak)}
    if not known or not _positive(bandwidth):
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


def _point(results: Results, cell: Drawn) -> Row | None:
    """A cell's place under the roof; None for what did not run on the CPU or whose size is not known."""
    record, effective = cell.record, cell.record["effective"] or {}
    facts = record.get("model_info") or {}
    macs = results.count(record["model"], "macs", "total")
    parameters = results.count(record["model"], "parameters", "total")
    side = (facts.get("preprocessing") or {}).get("crop")
    element = ELEMENT_BYTES.get(effective.get("precision") or record["precision"])
    if (effective.get("device") or "CPU") != "CPU" or not (macs and parameters and is_number(side) and element):
        return None
    batch, seconds = record["batch"], record["median_ms"] / 1e3
    flop, moved = FLOP_PER_MAC * macs * batch, parameters * element + batch * CHANNELS * side * side * 4
    rate = flop / seconds / 1e9
    return {
        **latencies([cell])[0],
        "intensity": flop / moved,
        "gflops": rate,
        "gflops_text": measured(rate, _rates_interval(flop, record.get("ci95_ms"))),
        "intensity_text": measured(flop / moved),
    }


def _rates_interval(flop: float, interval: Sequence[float] | None) -> tuple[float, float] | None:
    return (flop / interval[1] / 1e6, flop / interval[0] / 1e6) if interval and interval[0] > 0 else None


def _interval(name: str, record: Record, value: str, interval: str) -> Row:
    """A value, the ends of its interval and both as text."""
    number, ends = record.get(value), record.get(interval)
    text = measured(number, ends) + (f" ({spread(number, ends)})" if ends else "") if number is not None else NONE
    return {name: number, f"{name}_low": ends and ends[0], f"{name}_high": ends and ends[1], f"{name}_text": text}


def _images(record: Record) -> str:
    return f"{record.get('dataset') or '?'} ({record.get('images') or '?'})"


def _hundredfold(value: float | list[float] | None) -> float | list[float] | None:
    return [100 * part for part in value] if isinstance(value, list) else None if value is None else 100 * value


def _positive(value: object) -> bool:
    return is_number(value) and value > 0  # type: ignore[operator]


def _same(record: Record) -> str:
    return json.dumps([(record.get(name) or None) if name != "device" else record.get(name) or "CPU" for name in _SAME])
