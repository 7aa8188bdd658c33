"""The vocabulary of the tables: what a row is made from, the columns that several tables have, and forms of entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from reports.commands import together
from reports.faster import faster
from reports.language import say
from reports.load.results import Results, batch_of, machine_of
from reports.numbers import NONE, measured, milliseconds, milliseconds_spread, spread
from reports.tables.standing import SHOWN, TONES, ran_as, runtime_name, shown_status, why
from reports.tables.table import Entry, Facet, Heading, Shows, Subject, Table, TableRow, Tone
from reports.text import command_line, one_line
from runtimes.records.kinds import Accuracy, Latency, Record
from runtimes.records.parts import Interval

SEEDED_MARK = "†"
K = TypeVar("K", covariant=True)
R = TypeVar("R", bound=Record)
L = TypeVar("L", bound="Row[Any]", contravariant=True)


@dataclass(frozen=True)
class Row(Generic[K]):
    """What a row is made from. record: what it shows. footnotes: of the whole table, numbered while rows are made."""

    results: Results
    subject: Subject
    footnotes: list[str]
    record: K

    @property
    def shown(self) -> bool:
        """Whether a speed may be shown: it was measured, and its parity passed."""
        return self.subject.status in SHOWN

    def note(self, *texts: str) -> tuple[int, ...]:
        """The numbers of footnotes; the same text has the same number."""
        self.footnotes.extend(text for text in dict.fromkeys(texts) if text not in self.footnotes)
        return tuple(self.footnotes.index(text) + 1 for text in texts)


def rows_of(results: Results, records: Iterable[R]) -> list[Row[R]]:
    footnotes: list[str] = []
    return [Row(results, subject_of(results, record), footnotes, record) for record in records]


def subject_of(results: Results, record: Record) -> Subject:
    """What a record is about; its status as it is shown."""
    status, batch, machine = shown_status(results, record), batch_of(record), machine_of(record)
    return Subject((record.model,), record.runtime, record.precision, status, batch, machine)


def model_entry(results: Results, models: Sequence[str]) -> Entry:
    """Names of models, those with seeded weights marked."""
    marked = (f"{model} {SEEDED_MARK}" if results.seeded(model) else model for model in models)
    return Entry(", ".join(models), ", ".join(marked))


def status_entry(status: str, notes: tuple[int, ...] = ()) -> Entry:
    """A status or a verdict, in its colour."""
    return Entry(status, say(status), notes, tone=TONES.get(status, Tone.PLAIN))


@dataclass(frozen=True)
class Column(Generic[L]):
    """A column, declared once: its heading, whose name is English, and its entry in a row."""

    heading: Heading
    entry: Callable[[L], Entry]


# A number and its 95 % interval.
Measured = tuple[float | None, Interval | None]
Number = Entry | Measured | float | None


def text_column(name: str, value: Callable[[L], Any], once: bool = False, facet: Facet = Facet.NONE) -> Column[L]:
    """A column of texts, or of entries in their place."""
    return Column(Heading(name, Shows.TEXT, once, facet), lambda row: entry(value(row)))


def number_column(name: str, value: Callable[[L], Number] | str, form: str = "", once: bool = False) -> Column[L]:
    """A column of numbers, or of entries in their place.

    value: or the name of the record's field. form: as `format` knows it; without one, counts are whole and what was
    measured has the digits that its interval carries.
    """
    get: Callable[[L], Number] = value if callable(value) else lambda row: getattr(row.record, value)
    text = _text_of(name)
    return Column(Heading(name, Shows.NUMBER, once), lambda row: _number(get(row), form, text))


def range_column(name: str, value: Callable[[L], Entry | Measured | None]) -> Column[L]:
    """A column of the intervals of measured numbers, or of entries in their place."""
    text = milliseconds_spread if _text_of(name) is milliseconds else spread
    return Column(Heading(name, Shows.RANGE), lambda row: _interval(value(row), text))


def entry(value: Any) -> Entry:
    """An entry, or one that shows a value as it is; None is shown as "-"."""
    return value if isinstance(value, Entry) else Entry(value, NONE if value is None else str(value))


def _text_of(name: str) -> Callable[[float | None, Interval | None], str]:
    """How a column's measured numbers become text, by the unit in its name."""
    return milliseconds if name.endswith("(ms)") else measured


def _number(value: Number, form: str, text: Callable[[float | None, Interval | None], str]) -> Entry:
    if form and not isinstance(value, (Entry, tuple)):
        return formatted(value, form)
    if isinstance(value, (tuple, float)):
        number, interval = value if isinstance(value, tuple) else (value, None)
        return Entry(number, text(number, interval))
    return entry(value)


def _interval(value: Entry | Measured | None, text: Callable[[float | None, Interval | None], str] = spread) -> Entry:
    return Entry(value[1], text(*value)) if isinstance(value, tuple) else entry(value)


MACHINE: Column[Any] = text_column("Machine", lambda row: row.subject.machine or None)
MODEL: Column[Any] = text_column("Model", lambda row: model_entry(row.results, row.subject.models), facet=Facet.MODEL)
RUNTIME: Column[Any] = text_column("Runtime", lambda row: runtime_name(row.record))
BATCH: Column[Any] = number_column("Batch", "batch")
RAN_AS: Column[Any] = text_column("Ran as", lambda row: ran_as(row.record))
STATUS: Column[Any] = text_column(
    "Status", lambda row: status_entry(row.subject.status, row.note(*why(row.results, row.record))), facet=Facet.STATUS
)


def build(
    name: str,
    title: str,
    results: Results,
    columns: Sequence[Column[L]],
    rows: Sequence[L],
    *notes: str,
    records: Iterable[Record | None] | None = None,
    by_machine: bool = True,
) -> Table:
    """A table; the machine has a column where there are several, and the rows are about one each.

    title, notes: in the report's language, or marked for translation. records: what the commands under the table make
    again; None: the rows' own.
    """
    if results.several_machines and by_machine:
        columns = [MACHINE, *columns]
    headings = tuple(replace(column.heading, name=say(column.heading.name)) for column in columns)
    filled = tuple(TableRow(row.subject, tuple(_bounded(column.entry(row)) for column in columns)) for row in rows)
    again = [row.record for row in rows] if records is None else records
    commands = together(command for record in again if isinstance(record, Record) for command in _commands(record))
    footnotes = tuple(map(one_line, rows[0].footnotes)) if rows else ()
    about = tuple(one_line(say(note)) for note in notes)
    return Table(name, say(title), headings, filled, about, footnotes, tuple(map(command_line, commands)))


def _commands(record: Record) -> list[str]:
    """What makes a record again; before it what makes its model, where that takes images of one's own."""
    info = record.model_info
    made = info.command if info and info.calibration else None
    return [command for command in (made, record.command) if command]


def _bounded(found: Entry) -> Entry:
    return replace(found, text=one_line(found.text))


def formatted(value: float | None, form: str) -> Entry:
    return Entry(value, NONE if value is None else format(value, form))


def yes_no(value: bool | None) -> Entry:
    return Entry(value, NONE if value is None else say("yes") if value else say("no"))


def verdict(passed: bool | None, detail: str = "", notes: tuple[int, ...] = ()) -> Entry:
    """Whether a check passed, with some detail behind it."""
    tone = Tone.PLAIN if passed is None else Tone.GOOD if passed else Tone.BAD
    said = NONE if passed is None else say("passed") if passed else say("failed")
    return Entry(passed, f"{said}{detail}", notes, tone=tone)


def held_accuracy(results: Results, cell: Record, detail: str = "", notes: tuple[int, ...] = ()) -> Entry:
    """Whether accuracy held for a cell: passed, with some detail behind it, or failed, or cannot tell, or not measured.

    "-" where it was measured and says nothing: of seeded weights, or without a reference.
    """
    accurate = results.accurate(cell)
    if accurate is None:
        return Entry(None, NONE if results.accuracies(cell) else say("not measured"), notes)
    if results.undecided(cell):
        return undecided(notes=notes)
    return verdict(accurate, detail if accurate else "", notes)


def undecided(detail: str = "", notes: tuple[int, ...] = ()) -> Entry:
    """An accuracy that missed its bar by no more than chance explains, with some detail behind it."""
    return Entry(None, f"{say('cannot tell')}{detail}", notes, tone=Tone.DOUBTFUL)


def change_of_top1(record: Accuracy | None) -> float | None:
    """Top-1 less the reference's over the same images."""
    if record is None or record.top1 is None or record.reference_top1 is None:
        return None
    return record.top1 - record.reference_top1


def gain(base: Latency, cell: Latency, notes: tuple[int, ...] = ()) -> Entry:
    """How many times as fast as another a latency is, by turns side by side where both had such. Its digits are those
    that its interval carries; unknown where the machine was too busy."""
    found = faster(base, cell)
    if found is None:
        return Entry(None, say("unknown"), notes)
    return Entry(found.value, say("{factor}×", factor=measured(found.value, found.interval)), notes)
