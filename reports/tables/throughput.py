"""The tables of throughput, back to back and as a server."""

from __future__ import annotations

from dataclasses import dataclass

from reports.language import mark
from reports.load.results import Results
from reports.numbers import NONE
from reports.tables.columns import (
    BATCH,
    MODEL,
    RUNTIME,
    STATUS,
    Measured,
    TimedLine,
    build,
    number_column,
    range_column,
    record_table,
    text_column,
    yes_no,
)
from reports.tables.table import Column, Entry, Footnotes, Table
from runtimes.records.kinds import Server, Throughput
from runtimes.records.parts import ServerPoint


def throughput(results: Results) -> Table:
    """Images per second, measured back to back."""
    columns: list[Column[TimedLine[Throughput]]] = [
        *(MODEL, RUNTIME, BATCH),
        number_column("Streams", lambda line: line.record.streams),
        STATUS,
        number_column("Images per second", _rate),
        range_column("95 % interval", _rate),
        number_column("Measured for (s)", lambda line: line.record.duration_s),
        number_column("Points searched", lambda line: None if (tried := line.record.searched) is None else len(tried)),
    ]
    note = mark(
        "Measured back to back over the whole duration, never derived from a latency. Points searched: pairs of "
        "batch and streams that were tried before this one was chosen. -: none, it was asked for."
    )
    cells = results.of(Throughput)
    return record_table("throughput", mark("Throughput"), results, TimedLine, cells, columns, note)


def _rate(line: TimedLine[Throughput]) -> Measured:
    return (line.record.images_per_s, line.record.ci95_images_per_s) if line.shown else (None, None)


@dataclass(frozen=True)
class ServerLine(TimedLine[Server]):
    """What a row is made from: a cell at one rate of queries."""

    point: ServerPoint


def server(results: Results) -> Table:
    """Latencies at each rate of queries, and the largest rate that keeps its bound, of each cell served by LoadGen."""
    notes = Footnotes()
    cells = results.of(Server)
    lines = [ServerLine(results, cell, notes, point) for cell in cells for point in _points(results, cell)]
    columns: list[Column[ServerLine]] = [
        *(MODEL, RUNTIME, STATUS),
        number_column("Percentile", _percentile),
        number_column("Bound (ms)", lambda line: line.record.latency_bound_ms),
        number_column("Most queries/s", lambda line: line.record.qps_max if line.shown else None),
        number_column("Rate (queries/s)", lambda line: line.point.qps_target),
        number_column("p50 (ms)", lambda line: line.point.p50_ms),
        number_column("p90 (ms)", lambda line: line.point.p90_ms),
        number_column("p99 (ms)", lambda line: line.point.p99_ms),
        number_column("Queries", lambda line: line.point.count),
        text_column("Kept the bound", lambda line: yes_no(line.point.met if line.point.valid else None)),
    ]
    note = mark(
        "Queries of one image arrive at random (Poisson), from MLPerf LoadGen. Most queries/s: the largest rate "
        "tried whose percentile kept the bound, as completed; -: none did. A percentile is given only where the "
        "number of queries carries it. Kept the bound: - where it does not."
    )
    return build("server", mark("Server"), results, columns, lines, note, footnotes=notes, records=cells)


def _points(results: Results, cell: Server) -> tuple[ServerPoint, ...]:
    """The rates of queries that may be shown of a cell; an empty one where there is none."""
    shown = cell.measured and not results.doubt(cell)
    return (cell.points if shown else None) or (ServerPoint(),)


def _percentile(line: ServerLine) -> Entry:
    value = line.record.percentile
    return Entry(value, NONE if value is None else f"p{value}")
