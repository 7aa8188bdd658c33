"""The tables of throughput, back to back and as a server, and which cell has the most."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reports import energy
from reports.language import mark, say
from reports.load.results import Results, grouped
from reports.numbers import NONE, measured, overlap
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
from reports.tables.standing import label, machines_and_models, status_note
from reports.tables.table import Entry, Subject, Table
from runtimes.bench import describe
from runtimes.records.kinds import ASKED_FOR, Server, Throughput, TimedRecord
from runtimes.records.parts import Interval, ServerPoint


def throughput(results: Results) -> Table:
    """Images per second, measured back to back."""
    columns: list[Column[Row[Throughput]]] = [
        *(MODEL, RUNTIME, BATCH),
        number_column("Streams", "streams"),
        STATUS,
        number_column("Images per second", _rate),
        range_column("95 % interval", _interval),
        number_column("Measured for (s)", "duration_s"),
        number_column("Points searched", lambda row: None if (tried := row.record.searched) is None else len(tried)),
    ]
    note = mark(
        "Measured back to back over the whole duration, never derived from a latency. Points searched: pairs of "
        "batch and streams that were tried before this one was chosen. -: none, it was asked for."
    )
    cells = results.of(Throughput)
    of_energy, about_energy = energy.columns(cells)
    shown, rows = [*columns, *of_energy], rows_of(results, cells)
    return build("throughput", mark("Throughput"), results, shown, rows, note, *about_energy)


def _rate(row: Row[Throughput]) -> Measured:
    return (row.record.images_per_s, row.record.ci95_images_per_s) if row.shown else (None, None)


def _interval(row: Row[Throughput]) -> Entry | Measured:
    rate, ends = _rate(row)
    return Entry(ends, say("unknown")) if ends and not describe.tells(ends) else (rate, ends)


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
        number_column("Most queries/s", _most),
        number_column("Rate (queries/s)", lambda row: row.point.qps_target),
        number_column("p50 (ms)", lambda row: row.point.p50_ms),
        number_column("p90 (ms)", lambda row: row.point.p90_ms),
        number_column("p99 (ms)", lambda row: row.point.p99_ms),
        number_column("Queries", lambda row: row.point.count),
        text_column("Kept the bound", lambda row: yes_no(row.point.met if row.point.valid else None)),
    ]
    note = mark(
        "Queries of one image arrive at random (Poisson), from MLPerf LoadGen. Most queries/s: the largest rate "
        "tried whose percentile kept the bound, as completed. A percentile is given only where the "
        "number of queries carries it. Kept the bound: - where it does not."
    )
    return build("server", mark("Server"), results, columns, rows, note)


def _most(row: Row[Server]) -> Entry | float | None:
    """The highest rate; in its place that there is none, or that none is known."""
    if not row.shown or row.record.qps_max is not None:
        return row.record.qps_max if row.shown else None
    return Entry(None, say("unknown") if row.record.unknown else say("none"))


def _percentile(row: ServerRow) -> Entry:
    value = row.record.percentile
    return Entry(value, NONE if value is None else f"p{value}")


@dataclass(frozen=True)
class RateRow(Row[TimedRecord | None]):
    """What a row is made from. record: the cell with the most; None where none is known. question: what was asked."""

    question: str
    verdict: str
    notes: tuple[int, ...]


_RATES_NOTE = mark(
    "Of the cells whose parity passed and whose accuracy did not miss its bar. Servers stand in one row only where "
    "percentile and bound are equal; a bound that was not asked for is each cell's own. A server's rate is of one "
    "process, so nothing tells how far it varies: highest is the highest that was seen."
)


def rates(results: Results) -> Table:
    """The most images and requests per second of each model, for each question that was asked."""
    footnotes: list[str] = []
    rows = [
        _rate_row(results, machine, model, question, cells, footnotes)
        for machine, model in machines_and_models(results)
        for question, cells in _questions(results, machine, model)
    ]
    columns: list[Column[RateRow]] = [
        MODEL,
        text_column("Question", lambda row: row.question),
        text_column("Verdict", lambda row: Entry(row.verdict, say(row.verdict), row.notes)),
        text_column("Runtime", lambda row: label(row.results, row.record) if row.record else None),
        number_column("Per second", _per_second),
        range_column("95 % interval", _per_second_interval),
    ]
    title = mark("The most per second")
    return build("rates", title, results, columns, rows, _RATES_NOTE, records=[row.record for row in rows])


def _questions(results: Results, machine: str, model: str) -> list[tuple[str, list[TimedRecord]]]:
    """What was asked of a model, and the cells that answer it."""
    back_to_back = results.of(Throughput, machine=machine, model=model)
    found: list[tuple[str, list[TimedRecord]]] = []
    if back_to_back:
        found.append((say("images/s, back to back"), [*back_to_back]))
    served = results.of(Server, machine=machine, model=model)
    for (percentile, bound, _), cells in grouped(served, _asked).items():
        text = say("requests/s, p{percentile} within {bound} ms", percentile=percentile, bound=measured(bound))
        found.append((text, [*cells]))
    return found


def _asked(cell: Server) -> tuple[int | None, float | None, str]:
    """What is equal for servers that may be ranked: their own bounds are not."""
    own = "" if cell.bound in (None, ASKED_FOR) else json.dumps([cell.runtime, cell.precision, dict(cell.settings)])
    return cell.percentile, cell.latency_bound_ms, own


def _rate_row(
    results: Results, machine: str, model: str, question: str, cells: Sequence[TimedRecord], footnotes: list[str]
) -> RateRow:
    able = [one for one in cells if one.measured and not results.doubt(one) and results.accurate(one) is not False]
    open_ = [one for one in able if one.disturbed or (isinstance(one, Server) and one.unknown)]
    known = sorted((one for one in able if _value(one) is not None), key=lambda one: -(_value(one) or 0.0))
    first = known[0] if known else None
    if open_:
        verdict, first = "cannot tell", None if len(able) > 1 else first
    elif first is None:
        verdict = "none"
    elif len(able) < 2:
        verdict = "the only one"
    elif isinstance(first, Throughput) and any(overlap(_ends(first), _ends(one)) for one in known[1:]):
        verdict = "tie"
    else:
        verdict = "highest"
    row = RateRow(results, Subject((model,), machine=machine), footnotes, first, question, verdict, ())
    told = [f"{label(results, one)}: {status_note(one)}" for one in cells if one.status != "ok"]
    others = [label(results, one) for one in known[1:] if verdict == "tie" and overlap(_ends(first), _ends(one))]
    ties = [say("as many, as far as can be told: {names}", names=", ".join(others))] if others else []
    return replace(row, notes=row.note(*told, *ties))


def _value(cell: TimedRecord) -> float | None:
    return cell.images_per_s if isinstance(cell, Throughput) else cell.qps_max if isinstance(cell, Server) else None


def _ends(cell: TimedRecord | None) -> Interval | None:
    return cell.ci95_images_per_s if isinstance(cell, Throughput) else None


def _per_second(row: RateRow) -> Measured | None:
    return (_value(row.record), _ends(row.record)) if row.record else None


def _per_second_interval(row: RateRow) -> Entry | Measured | None:
    ends = _ends(row.record)
    return Entry(ends, say("unknown")) if ends and not describe.tells(ends) else _per_second(row)
