"""The vocabulary of the tables: what a row is made from, the columns that several tables have, and forms of entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, TypeVar

from reports.language import names, say
from reports.load.results import Results, batch_of, machine_of
from reports.numbers import NONE, measured, rivals, spread
from reports.tables.commands import together
from reports.tables.standing import TONES, median, ran_as, runtime_name, shown_status, why
from reports.tables.table import Column, Entry, Facet, Footnotes, L, Shows, Subject, Table, Tone, entry, fill
from runtimes.records.kinds import Accuracy, Latency, Record, TimedRecord
from runtimes.records.parts import Interval

SEEDED_MARK = "†"
K = TypeVar("K", bound=Record, covariant=True)
T = TypeVar("T", bound=TimedRecord, covariant=True)


@dataclass(frozen=True)
class SubjectLine:
    """What a row is made from that is about a subject."""

    results: Results
    subject: Subject
    notes: Footnotes


@dataclass(frozen=True)
class RecordLine(Generic[K]):
    """What a row is made from that shows a record."""

    results: Results
    record: K
    notes: Footnotes

    @property
    def subject(self) -> Subject:
        """What the row is about."""
        return subject_of(self.record)


@dataclass(frozen=True)
class TimedLine(RecordLine[T]):
    """What a row is made from that shows a speed."""

    @cached_property
    def status(self) -> str:
        """The record's status, or unproven."""
        return shown_status(self.results, self.record)

    @property
    def shown(self) -> bool:
        """Whether its times may be shown: it was measured, and its parity passed."""
        return self.record.measured and self.status == self.record.status

    @property
    def subject(self) -> Subject:
        """What the row is about."""
        return replace(subject_of(self.record), status=self.status)


def subject_of(record: Record) -> Subject:
    """What a record is about; its status as stored."""
    batch, machine = batch_of(record), machine_of(record)
    return Subject((record.model,), record.runtime, record.precision, record.status, batch, machine)


def model_entry(results: Results, models: Sequence[str]) -> Entry:
    """Names of models, those with seeded weights marked."""
    marked = (f"{model} {SEEDED_MARK}" if results.seeded(model) else model for model in models)
    return Entry(", ".join(models), ", ".join(marked))


def status_entry(status: str, notes: tuple[int, ...] = ()) -> Entry:
    """A status or a verdict, in its colour."""
    return Entry(status, say(status), notes, tone=TONES.get(status, Tone.PLAIN))


# A number and its 95 % interval.
Measured = tuple[float | None, Interval | None]
Number = Entry | Measured | float | None


def text_column(name: str, value: Callable[[L], Any], once: bool = False, facet: Facet = Facet.NONE) -> Column[L]:
    """A column of texts, or of entries in their place."""
    return Column(name, lambda line: entry(value(line)), Shows.TEXT, once, facet)


def number_column(name: str, value: Callable[[L], Number], form: str = "", once: bool = False) -> Column[L]:
    """A column of numbers, or of entries in their place. form: as `format` knows it; without one, counts are whole and
    what was measured has the digits that its interval carries."""
    return Column(name, lambda line: _number(value(line), form), Shows.NUMBER, once)


def range_column(name: str, value: Callable[[L], Entry | Measured | None]) -> Column[L]:
    """A column of the intervals of measured numbers, or of entries in their place."""
    return Column(name, lambda line: _interval(value(line)), Shows.RANGE)


def _number(value: Number, form: str) -> Entry:
    if form and not isinstance(value, (Entry, tuple)):
        return formatted(value, form)
    if isinstance(value, tuple):
        return number(*value)
    return number(value) if isinstance(value, float) else entry(value)


def _interval(value: Entry | Measured | None) -> Entry:
    return Entry(value[1], spread(*value)) if isinstance(value, tuple) else entry(value)


MACHINE: Column[Any] = text_column("Machine", lambda line: line.subject.machine or None)
MODEL: Column[Any] = text_column(
    "Model", lambda line: model_entry(line.results, line.subject.models), facet=Facet.MODEL
)
RUNTIME: Column[RecordLine[Record]] = text_column("Runtime", lambda line: runtime_name(line.record))
BATCH: Column[RecordLine[TimedRecord]] = number_column("Batch", lambda line: line.record.batch)
RAN_AS: Column[RecordLine[Record]] = text_column("Ran as", lambda line: ran_as(line.record))
STATUS: Column[TimedLine[TimedRecord]] = text_column(
    "Status", lambda line: status_entry(line.status, why(line.results, line.record, line.notes)), facet=Facet.STATUS
)


def build(
    name: str,
    title: str,
    results: Results,
    columns: Sequence[Column[L]],
    lines: Iterable[L],
    *notes: str,
    footnotes: Footnotes | None = None,
    records: Iterable[Record | None] = (),
) -> Table:
    """A table; the machine has a column where there are several.

    title, notes: in the report's language, or marked for translation. footnotes: numbered while the rows are made.
    records: what the commands under the table make again.
    """
    shown: list[Column[L]] = [*([MACHINE] if results.several_machines else []), *columns]
    headings, rows = fill(shown, lines)
    under = tuple(footnotes.texts) if footnotes else ()
    return Table(name, say(title), headings, rows, names(*notes), under, commands(records))


def record_table(
    name: str,
    title: str,
    results: Results,
    line: Callable[[Results, Any, Footnotes], L],
    records: Sequence[Record],
    columns: Sequence[Column[L]],
    *notes: str,
) -> Table:
    """Like `build`, of a table with a row for each record. line: what a row is made from."""
    footnotes = Footnotes()
    lines = [line(results, record, footnotes) for record in records]
    return build(name, title, results, columns, lines, *notes, footnotes=footnotes, records=records)


def commands(records: Iterable[Record | None]) -> tuple[str, ...]:
    """The commands that made these records, as few as can be, in the records' order."""
    return together(record.command for record in records if record and record.command)


def number(value: float | None, interval: Sequence[float] | None = None) -> Entry:
    """A measured number with the digits that its 95 % interval carries."""
    return Entry(value, measured(value, interval))


def formatted(value: float | None, form: str) -> Entry:
    """A number in a form of `format`."""
    return Entry(value, NONE if value is None else format(value, form))


def yes_no(value: bool | None) -> Entry:
    """A truth value."""
    return Entry(value, NONE if value is None else say("yes") if value else say("no"))


def verdict(passed: bool | None, detail: str = "", notes: tuple[int, ...] = ()) -> Entry:
    """Whether a check passed, with some detail behind it."""
    tone = Tone.PLAIN if passed is None else Tone.GOOD if passed else Tone.BAD
    said = NONE if passed is None else say("passed") if passed else say("failed")
    return Entry(passed, f"{said}{detail}", notes, tone=tone)


def held_accuracy(results: Results, cell: Record, detail: str = "") -> Entry:
    """Whether accuracy held for a cell: passed, with some detail behind it, or failed, or not measured.

    "-" where it was measured and says nothing: of seeded weights, or without a reference.
    """
    accurate = results.accurate(cell)
    if accurate is None:
        return Entry(None, NONE if results.accuracies(cell) else say("not measured"))
    return verdict(accurate, detail if accurate else "")


def change_of_top1(record: Accuracy | None) -> float | None:
    """Top-1 less the reference's over the same images."""
    if record is None or record.top1 is None or record.reference_top1 is None:
        return None
    return record.top1 - record.reference_top1


def gain(base: Latency, cell: Latency, notes: tuple[int, ...] = ()) -> Entry:
    """How many times faster a latency is than another. Its digits are those that both intervals together carry."""
    value, (its, own) = median(base) / median(cell), rivals(base, cell)
    interval = (its[0] / own[1], its[1] / own[0]) if own and its and own[0] > 0 else None
    return Entry(value, f"{measured(value, interval)}×", notes)
