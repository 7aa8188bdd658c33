"""Joules per image in the tables, where a counter of the hardware told them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from reports.language import mark, stored
from reports.numbers import NONE, at, last_digit
from reports.tables.columns import Column, Row, number_column
from reports.tables.table import Entry
from runtimes.records.kinds import TimedRecord

NOTE = mark(
    "Joules per image: by counters of the hardware, which are of all programs and of what idles too. On CPUs RAPL's, "
    "of all processors without their memory modules; on GPUs NVML's, of the board alone. So the two do not compare."
)


def of_cell(cell: TimedRecord) -> float | None:
    """Joules for an image; None where they are not known."""
    return cell.energy.joules_per_image if cell.energy else None


def columns(cells: Iterable[TimedRecord]) -> tuple[list[Column[Any]], list[str]]:
    """The column of joules and the note on it; neither where no cell knows them."""
    known = any(of_cell(cell) is not None for cell in cells)
    return ([number_column("Joules per image", _joules)], [NOTE]) if known else ([], [])


def entry(cell: TimedRecord, best: bool = False) -> Entry:
    """Joules with three digits at most, and fewer where processes differ."""
    value = of_cell(cell)
    if value is None or cell.energy is None:
        return Entry(None, NONE)
    digit = max(last_digit(value), last_digit(value, cell.energy.range_joules))
    return Entry(value, at(value, digit), best=best)


def _joules(row: Row[TimedRecord]) -> Entry:
    energy = row.record.energy
    if not row.shown or energy is None:
        return Entry(None, NONE)
    if energy.reason:
        return Entry(None, NONE, row.note(stored(energy.reason)))
    return entry(row.record)
