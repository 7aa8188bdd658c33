"""The table of what is missing, or not to be relied on, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from reports.language import mark, say, stored
from reports.load.results import Results, machine_of
from reports.numbers import NONE
from reports.tables.columns import Column, Row, build, model_entry, range_column, status_entry, text_column
from reports.tables.standing import cell_name, reason, runtime_name
from reports.tables.table import Entry, Facet, Subject, Table
from runtimes.bench import describe
from runtimes.records.kinds import Latency, Record, Throughput, TimedRecord

_NAMED = 10


@dataclass(frozen=True)
class Trouble:
    """What is not well with some records, the same of all of them. about: its subject without the models."""

    about: Subject
    runtime: str
    reason: str
    kinds: tuple[str, ...] = ()
    batches: tuple[int, ...] = ()


def missing(results: Results) -> Table:
    """What was refused, failed, unavailable, unstable or left unproven, and why.

    Models share a row where all of it is the same, their batches too: the row holds of each model at each batch.
    """
    groups: dict[tuple[Trouble, str], list[Record]] = {}
    for record in results.records:
        for trouble in _troubles(results, record):
            groups.setdefault((trouble, record.model), []).append(record)
    models: dict[Trouble, list[str]] = {}
    for (trouble, model), records in groups.items():
        timed = [record for record in records if isinstance(record, (Latency, Throughput))]
        batches = tuple(sorted({record.batch for record in timed if record.batch}))
        kinds = tuple(dict.fromkeys(record.kind for record in records))
        models.setdefault(replace(trouble, kinds=kinds, batches=batches), []).append(model)
    rows = [Row(results, replace(one.about, models=tuple(its)), [], one) for one, its in models.items()]
    columns: list[Column[Row[Trouble]]] = [
        text_column("Models", lambda row: model_entry(results, row.subject.models)),
        text_column("Runtime", lambda row: row.record.runtime),
        text_column("Of", lambda row: ", ".join(map(say, row.record.kinds))),
        range_column("Batches", lambda row: Entry(list(row.record.batches), _listed(row.record.batches))),
        text_column("Status", lambda row: status_entry(row.subject.status), facet=Facet.STATUS),
        text_column("Reason", lambda row: row.record.reason),
    ]
    note = mark(
        "Refused: the tool would not run it under this name. Unavailable: this machine lacks it. Failed: it "
        "ran and went wrong. Unstable: measured, but beside other work, or the samples do not agree. Unproven: "
        "measured, but no parity check passed, or it is faster than the machine can be."
    )
    left_out = mark("Left out, because their artifact has been replaced since: {count} of the records of {model}.")
    stale = [say(left_out, count=count, model=model) for model, count in results.stale.items()]
    of_several = mark(
        "The records of {model} are of several weights: {weights}. Where one would stand in the other's place, the"
        " newest is shown; two models need two names (--name)."
    )
    mixed = [say(of_several, model=model, weights=", ".join(each)) for model, each in results.mixed.items()]
    title = mark("Not measured, or not to be relied on")
    notes = (*([note] if rows else []), *stale, *mixed, *_passed_over(results))
    troubled = [record for records in groups.values() for record in records]
    return build("missing", title, results, columns, rows, *notes, records=troubled)


def _passed_over(results: Results) -> list[str]:
    """Which records do not stand for their cell although they are the newest, in sentences."""
    timed = [record for record in results.passed_over if isinstance(record, TimedRecord)]
    text = mark("Passed over, because an earlier record of the cell is better measured: {name}, run {run}: {outcome}.")
    named = [
        say(text, name=cell_name(one), run=one.run, outcome=stored(describe.outcome(one))) for one in timed[:_NAMED]
    ]
    more = len(timed) - _NAMED
    return [*named, *([say("{count} more were passed over likewise.", count=more)] if more > 0 else [])]


def _listed(batches: Iterable[int]) -> str:
    return ", ".join(map(str, batches)) or NONE


def _troubles(results: Results, record: Record) -> Iterator[Trouble]:
    about = Subject((), record.runtime, record.precision, record.status, machine=machine_of(record))
    if record.status != "ok":
        yield Trouble(about, runtime_name(record), reason(record))
    if isinstance(record, TimedRecord) and record.measured and (doubt := results.doubt(record)):
        yield Trouble(replace(about, status="unproven"), runtime_name(record), stored(doubt))
