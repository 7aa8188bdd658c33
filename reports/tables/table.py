"""A table before it has a look: columns, and rows that know what they are about. All writers take the same."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from convert.families.spec import is_number


class Tone(Enum):
    """What a reader should feel at an entry."""

    PLAIN = ""
    GOOD = "good"
    BAD = "bad"
    DOUBTFUL = "doubtful"


class Shows(Enum):
    """What stands in a column."""

    TEXT = "text"
    NUMBER = "number"
    RANGE = "range"  # low and high, or several numbers


class Facet(Enum):
    """What of a row's subject a column says, where writers have to know it."""

    NONE = ""
    MODEL = "model"
    STATUS = "status"


@dataclass(frozen=True)
class Subject:
    """What a row or a column is about; empty where it is about all of them, or none."""

    models: tuple[str, ...] = ()
    runtime: str = ""
    precision: str = ""
    status: str = ""
    batch: int | None = None
    machine: str = ""


@dataclass(frozen=True)
class Entry:
    """A value for programs and its text for people.

    notes: numbers of the table's footnotes. best: the one to point out among its neighbours. status: of the record
    whose number it is, where the table has no column for that.
    """

    value: Any
    text: str
    notes: tuple[int, ...] = ()
    best: bool = False
    tone: Tone = Tone.PLAIN
    status: str = ""

    @property
    def sort_key(self) -> float | None:
        """What it is sorted by: a number, or the lower end of an interval. None: its text."""
        value = self.value[0] if isinstance(self.value, (list, tuple)) and self.value else self.value
        return value if is_number(value) else None


@dataclass(frozen=True)
class Heading:
    """A column of a table as it stands there, in the report's language.

    once: may be said once where all rows agree. over: a heading above columns: a writer with a narrow page shows one
    table for each, beside the columns without one. short: what stands for `over` behind the name where all share one
    table. subject: what the column is about.
    """

    name: str
    shows: Shows = Shows.TEXT
    once: bool = False
    facet: Facet = Facet.NONE
    over: str = ""
    short: str = ""
    subject: Subject = Subject()

    @property
    def full(self) -> str:
        """The name, told apart from the same one under another heading."""
        return f"{self.over}: {self.name}" if self.over else self.name


@dataclass(frozen=True)
class TableRow:
    """What a row is about, and an entry for each column."""

    subject: Subject
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class TablePart:
    """A part of a table that stands on a page as one."""

    heading: str
    columns: tuple[Heading, ...]
    rows: tuple[TableRow, ...]

    def entries(self, place: int) -> list[Entry]:
        """The entries of the column at a place."""
        return [row.entries[place] for row in self.rows]

    def numeric(self, place: int) -> bool:
        """Whether a column is one of numbers and marks in their place, and stands to the right."""
        column = self.columns[place]
        filled = any(entry.value is not None for entry in self.entries(place))
        return bool(column.over) or (column.shows is Shows.NUMBER and filled)

    def pick(self, places: Sequence[int]) -> TablePart:
        """These columns alone."""
        rows = [replace(row, entries=tuple(row.entries[place] for place in places)) for row in self.rows]
        return replace(self, columns=tuple(self.columns[place] for place in places), rows=tuple(rows))


@dataclass(frozen=True)
class Table:
    """A table and what stands under it.

    notes: sentences. footnotes: number n is the n-th. commands: what makes the table's records again. together: the
    heading where columns of all headings share one block.
    """

    name: str
    title: str
    columns: tuple[Heading, ...]
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...] = ()
    footnotes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    together: str = ""

    def blocks(self, widest: int = 0, without: Collection[Heading] = ()) -> list[TablePart]:
        """One for each heading over columns, in their order; one without a heading where there are none.

        A table of at most `widest` columns stays one: the columns of a name side by side, one for each heading.
        without: columns to leave out.
        """
        whole = TablePart("", self.columns, self.rows)
        whole = whole.pick([place for place, one in enumerate(self.columns) if one not in without])
        headings = dict.fromkeys(column.over for column in self.columns if column.over)
        if not headings:
            return [whole]
        if len(self.columns) <= widest:
            return [self._side_by_side(whole)]
        return [
            replace(whole.pick([i for i, one in enumerate(whole.columns) if one.over in ("", over)]), heading=over)
            for over in headings
        ]

    def _side_by_side(self, whole: TablePart) -> TablePart:
        names = list(dict.fromkeys(column.name for column in whole.columns))
        order = sorted(range(len(whole.columns)), key=lambda place: names.index(whole.columns[place].name))
        block = whole.pick(order)
        named = [replace(one, name=f"{one.name}, {one.short}") if one.over else one for one in block.columns]
        return replace(block, heading=self.together, columns=tuple(named))

    def agreed(self) -> dict[Heading, Entry]:
        """The columns that need saying only once, since they have the same entry in every row, and that entry."""
        found = {one: {row.entries[i].text for row in self.rows} for i, one in enumerate(self.columns) if one.once}
        return {one: self.rows[0].entries[self.columns.index(one)] for one, texts in found.items() if len(texts) == 1}
