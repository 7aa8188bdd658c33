"""The table of what is missing, or not to be relied on, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reports.language import mark, say
from reports.load.results import Results, machine_of
from reports.numbers import NONE
from reports.tables.columns import build, model_entry, range_column, status_entry, text_column
from reports.tables.standing import reason, runtime_name
from reports.tables.table import Column, Entry, Facet, Subject, Table
from runtimes.records.kinds import Latency, Record, Throughput


@dataclass(frozen=True)
class Trouble:
    """What is not well with some records, the same of all of them."""

    machine: str
    name: str
    runtime: str
    precision: str
    status: str
    reason: str


@dataclass(frozen=True)
class TroubleLine:
    """What a row is made from: a trouble of some kinds of records at some batches, and the models that have it."""

    results: Results
    trouble: Trouble
    kinds: tuple[str, ...]
    batches: tuple[int, ...]
    models: list[str]

    @property
    def subject(self) -> Subject:
        """What the row is about."""
        trouble = self.trouble
        return Subject(tuple(self.models), trouble.runtime, trouble.precision, trouble.status, machine=trouble.machine)


def missing(results: Results) -> Table:
    """What was refused, failed, unavailable, unstable or left unproven, and why.

    Models share a row where all of it is the same, their batches too: the row holds of each model at each batch.
    """
    groups: dict[tuple[Trouble, str], list[Record]] = {}
    for record in results.records:
        for trouble in _troubles(results, record):
            groups.setdefault((trouble, record.model), []).append(record)
    lines: dict[tuple[Trouble, tuple[str, ...], tuple[int, ...]], TroubleLine] = {}
    for (trouble, model), records in groups.items():
        timed = [record for record in records if isinstance(record, (Latency, Throughput))]
        batches = tuple(sorted({record.batch for record in timed if record.batch}))
        kinds = tuple(dict.fromkeys(record.kind for record in records))
        line = lines.setdefault((trouble, kinds, batches), TroubleLine(results, trouble, kinds, batches, []))
        line.models.append(model)
    columns: list[Column[TroubleLine]] = [
        text_column("Models", lambda line: model_entry(line.results, line.models)),
        text_column("Runtime", lambda line: line.trouble.name),
        text_column("Of", lambda line: ", ".join(map(say, line.kinds))),
        range_column("Batches", lambda line: Entry(list(line.batches), ", ".join(map(str, line.batches)) or NONE)),
        text_column("Status", lambda line: status_entry(line.trouble.status), facet=Facet.STATUS),
        text_column("Reason", lambda line: line.trouble.reason),
    ]
    note = mark(
        "Refused: the tool would not run it under this name. Unavailable: this machine lacks it. Failed: it "
        "ran and went wrong. Unstable: measured, but beside other work, or the samples do not agree. Unproven: "
        "measured, but no parity check passed."
    )
    nothing = mark("Nothing: every cell ended well and every speed is proven.")
    left_out = mark("Left out, because their artifact has been replaced since: {count} of the records of {model}.")
    stale = [say(left_out, count=count, model=model) for model, count in results.stale.items()]
    title, notes = mark("Not measured, or not to be relied on"), (note if lines else nothing, *stale)
    records = [record for records in groups.values() for record in records]
    return build("missing", title, results, columns, lines.values(), *notes, records=records)


def _troubles(results: Results, record: Record) -> Iterator[Trouble]:
    about = (machine_of(record), runtime_name(record), record.runtime, record.precision)
    if record.status != "ok":
        yield Trouble(*about, record.status, reason(record))
    if isinstance(record, (Latency, Throughput)) and record.measured and (doubt := results.doubt(record)):
        yield Trouble(*about, "unproven", doubt)
