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
    Column,
    Measured,
    Row,
    build,
    number_column,
    range_column,
    rows_of,
    text_column,
    yes_no,
)
from reports.tables.table import Entry, Table
from runtimes.records.kinds import Server, Throughput
from runtimes.records.parts import ServerPoint


def throughput(results: Results) -> Table:
    """Images per second, measured back to back."""
    columns: list[Column[Row[Throughput]]] = [
        *(MODEL, RUNTIME, BATCH),
        number_column("Streams", "streams"),
        STATUS,
        number_column("Images per second", _rate),
        range_column("95 % interval", _rate),
        number_column("Measured for (s)", "duration_s"),
        number_column("Points searched", lambda row: None if (tried := row.record.searched) is None else len(tried)),
    ]
    note = mark(
        "Measured back to back over the whole duration, never derived from a latency. Points searched: pairs of "
        "batch and streams that were tried before this one was chosen. -: none, it was asked for."
    )
    rows = rows_of(results, results.of(Throughput))
    return build("throughput", mark("Throughput"), results, columns, rows, note)


def _rate(row: Row[Throughput]) -> Measured:
    return (row.record.images_per_s, row.record.ci95_images_per_s) if row.shown else (None, None)


@dataclass(frozen=True)
class ServerRow(Row[Server]):
    """What a row is made from: a cell at one rate of queries."""

    point: ServerPoint


def server(results: Results) -> Table:
    """Latencies at each rate of queries, and the largest rate that keeps its bound, of each cell served by LoadGen."""
    rows = [
        ServerRow(results, row.subject, row.footnotes, row.record, point)
        for row in rows_of(results, results.of(Server))
        for point in (row.record.points if row.shown else None) or (ServerPoint(),)
    ]
    columns: list[Column[ServerRow]] = [
        *(MODEL, RUNTIME, STATUS),
        number_column("Percentile", _percentile),
        number_column("Bound (ms)", "latency_bound_ms"),
        number_column("Most queries/s", lambda row: row.record.qps_max if row.shown else None),
        number_column("Rate (queries/s)", lambda row: row.point.qps_target),
        number_column("p50 (ms)", lambda row: row.point.p50_ms),
        number_column("p90 (ms)", lambda row: row.point.p90_ms),
        number_column("p99 (ms)", lambda row: row.point.p99_ms),
        number_column("Queries", lambda row: row.point.count),
        text_column("Kept the bound", lambda row: yes_no(row.point.met if row.point.valid else None)),
    ]
    note = mark(
        "Queries of one image arrive at random (Poisson), from MLPerf LoadGen. Most queries/s: the largest rate "
        "tried whose percentile kept the bound, as completed; -: none did. A percentile is given only where the "
        "number of queries carries it. Kept the bound: - where it does not."
    )
    return build("server", mark("Server"), results, columns, rows, note)


def _percentile(row: ServerRow) -> Entry:
    value = row.record.percentile
    return Entry(value, NONE if value is None else f"p{value}")
