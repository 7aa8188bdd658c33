"""A table before it has a look: one pandas frame that the writers of Markdown, CSV, JSON and the terminal share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from reports.language import names, say
from reports.load.results import Results, is_number
from reports.numbers import NONE
from reports.tables.commands import together
from runtimes.records.store import Record

SEEDED_MARK = "†"


@dataclass(frozen=True)
class Cell:
    """A value for programs and its text for people.

    notes: numbers of the table's footnotes. best: the one to point out among its neighbours.
    """

    value: Any
    text: str
    notes: tuple[int, ...] = ()
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A table and what stands under it.

    frame: cells of type Cell only. Its columns are names, or pairs (heading, name): a writer with a narrow page
    shows one table per heading, each with the columns of heading "". notes: sentences. footnotes: number n is the n-th.
    commands: what makes the table's records again. once: columns that may be said once where all rows agree. short:
    what stands for a heading behind a column's name where all headings share one table; `together` is that one's own.
    groups: column of a heading -> the group of columns that stay together where a page is too narrow for all.
    """

    name: str
    title: str
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()
    footnotes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    once: tuple[str, ...] = ()
    short: dict[str, str] = field(default_factory=dict)
    together: str = ""
    groups: dict[str, str] = field(default_factory=dict)

    def numeric(self, name: str, cells: pd.Series) -> bool:
        """Whether a column of a block is one of numbers and marks in their place, and stands to the right.

        With headings all columns are such but those that stand under each of them.
        """
        if self.frame.columns.nlevels > 1:
            return ("", name) not in self._pairs()
        numbers = sum(is_number(cell.value) for cell in cells)
        return 0 < sum(cell.value is not None for cell in cells) <= 2 * numbers

    def blocks(self, widest: int = 0) -> list[tuple[str, pd.DataFrame]]:
        """(heading, frame) for each heading, in their order; one block with heading "" where columns have none.

        A frame of at most `widest` columns stays one: the columns of a name side by side, one for each heading.
        """
        if self.frame.columns.nlevels == 1:
            return [("", self.frame)]
        columns = self._pairs()
        if len(columns) <= widest:
            return [(self.together, self._side_by_side(columns))]
        blocks = []
        for wanted in dict.fromkeys(heading for heading, _ in columns if heading):
            taken = [position for position, (heading, _) in enumerate(columns) if heading in ("", wanted)]
            block = self.frame.iloc[:, taken]
            block.columns = pd.Index([columns[position][1] for position in taken])
            blocks.append((wanted, block))
        return blocks

    def _side_by_side(self, columns: list[tuple[str, str]]) -> pd.DataFrame:
        names = list(dict.fromkeys(name for _, name in columns))
        order = sorted(range(len(columns)), key=lambda position: names.index(columns[position][1]))
        together = self.frame.iloc[:, order]
        named = [(self.short.get(heading, heading), name) for heading, name in (columns[i] for i in order)]
        together.columns = pd.Index([f"{name}, {heading}" if heading else name for heading, name in named])
        return together

    def _pairs(self) -> list[tuple[str, str]]:
        return [(str(column[0]), str(column[1])) for column in self.frame.columns]

    def flat(self) -> pd.DataFrame:
        """The frame with one name per column: `heading: name` where there are headings."""
        if self.frame.columns.nlevels == 1:
            return self.frame
        columns = self._pairs()
        flat = self.frame.copy()
        flat.columns = pd.Index([f"{heading}: {name}" if heading else name for heading, name in columns])
        return flat


@dataclass
class Footnotes:
    """Numbers the notes of one table; the same text has the same number."""

    texts: list[str] = field(default_factory=list)

    def number(self, text: str) -> int:
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


def frame(columns: Sequence[str] | Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """A frame of cells. What is no cell yet becomes one: None is shown as "-"."""
    cells = [[value if isinstance(value, Cell) else plain(value) for value in row] for row in rows]
    index: pd.Index = pd.Index(columns)
    return pd.DataFrame(cells, columns=index, dtype=object)


def convert(cells: pd.DataFrame, function: Callable[[Cell], Any]) -> pd.DataFrame:
    """The frame with another value for each cell. pandas' own `map` would make None a NaN and whole numbers floats."""
    rows = [[function(cell) for cell in row] for row in cells.itertuples(index=False, name=None)]
    return pd.DataFrame(rows, columns=cells.columns, dtype=object)


def plain(value: Any) -> Cell:
    """A cell that shows its value as it is."""
    return Cell(value, NONE if value is None else str(value))


def commands(records: Iterable[Record | None]) -> tuple[str, ...]:
    """The commands that made these records, as few as can be, in the records' order."""
    return together(r["command"] for r in records if r and r["command"])


def model_cell(results: Results, *models: str) -> Cell:
    """Names of models, those with seeded weights marked."""
    marked = (f"{model} {SEEDED_MARK}" if results.seeded(model) else model for model in models)
    return Cell(", ".join(models), ", ".join(marked))


def machine(results: Results, record: Record) -> list[str]:
    """What stands under `machine_column`: the record's machine, where there are several."""
    return [record["machine"]] if len(results.environments) > 1 else []


def machine_column(results: Results) -> tuple[str, ...]:
    """The heading of a table's first column, where there are several machines."""
    return names("Machine") if len(results.environments) > 1 else ()


def runtime_name(record: Record) -> str:
    """`paddle fp32 on GPU, kernels=plain`: runtime and precision, the device where it is not the CPU, the settings."""
    device = record.get("device") or "CPU"
    place = "" if device == "CPU" else say(" on {device}", device=device)
    settings = [f"{key}={value}" for key, value in sorted((record.get("settings") or {}).items())]
    return ", ".join([f"{record['runtime']} {record['precision']}{place}", *settings])


def identity(results: Results, record: Record) -> list[Any]:
    """What a row is about, under `machine_column`, "Model" and "Runtime"."""
    return [*machine(results, record), model_cell(results, record["model"]), runtime_name(record)]


def ran_as(record: Record) -> Cell:
    """Precision and device as read back from the runtime, "-" where nothing ran."""
    effective = record["effective"] or {}
    if not effective.get("precision"):
        return plain(None)
    device = effective.get("device") or say("an unknown device")
    return plain(say("{precision} on {device}", precision=effective["precision"], device=device))


def status_note(record: Record) -> str:
    """Status and reason of a record in one sentence."""
    return say("{status}: {reason}", status=say(record["status"]), reason=record["reason"] or say("no reason recorded"))
