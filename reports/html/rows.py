"""The report's tables as the page needs them: rows that know which model, runtime, precision and status they are about.

A filter of the page must find a row whatever table it is in, also in one that is not known here. So a cell is
recognised by its value: the name of a model, a runtime with its precision as the tables write it, a status.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.load.results import Results, is_number
from reports.tables.cells import label
from reports.tables.frames import Cell, Table, runtime_name
from runtimes.records.store import STATUSES, Record

WIDEST = 16  # columns that a screen shows side by side; a wider table with headings is one table per heading
SHOWN_STATUSES = (*STATUSES, "unproven")
FACETS = ("model", "runtime", "precision", "status", "machine")

Tags = dict[str, str]  # facet -> places in the facet's list of values, separated by spaces


@dataclass(frozen=True)
class Facets:
    """values: facet -> what can be chosen. tags: what a text in a table is about."""

    values: dict[str, list[str]]
    labels: dict[str, tuple[str, str]]  # as tables write it -> runtime, precision

    def tag(self, **names: str) -> Tags:
        return {
            facet: str(self.values[facet].index(name)) for facet, name in names.items() if name in self.values[facet]
        }

    def of_texts(self, texts: Iterable[str]) -> Tags:
        """What a row is about. The first text that names something of a facet counts."""
        found: Tags = {}
        for text in texts:
            for facet in ("model", "precision", "status", "machine"):
                names = [text] if text in self.values[facet] else text.split(", ") if facet == "model" else []
                if facet not in found and names and all(name in self.values[facet] for name in names):
                    found[facet] = " ".join(str(self.values[facet].index(name)) for name in names)
            if "runtime" not in found and text in self.labels:
                runtime, precision = self.labels[text]
                found |= self.tag(runtime=runtime, precision=precision)
            elif "runtime" not in found and text in self.values["runtime"]:
                found |= self.tag(runtime=text)
        return found

    def of_column(self, name: str) -> Tags:
        """What a column is about: one that stands for a runtime, alone or before `, bs=4`."""
        fitting = [known for known in self.labels if name == known or name.startswith(f"{known}, ")]
        if not fitting:
            return {}
        runtime, precision = self.labels[max(fitting, key=len)]
        return self.tag(runtime=runtime, precision=precision)


def machines(results: Results) -> list[str]:
    """The labels of the machines where there are several; one alone needs no name."""
    found = list(dict.fromkeys(r["machine"] for r in results.records if isinstance(r.get("machine"), str)))
    return found if len(found) > 1 else []


def machine(results: Results, record: Record) -> str:
    """The label of a record's machine; empty where all are of one."""
    label = record.get("machine")
    return label if label in machines(results) else ""


def facets(results: Results) -> Facets:
    """Models, runtimes, precisions, statuses and machines of these results, in the report's order."""
    records = results.records
    found = {name: list(dict.fromkeys(r[name] for r in records)) for name in ("model", "runtime", "precision")}
    found["status"] = list(SHOWN_STATUSES)
    found["machine"] = machines(results)
    labels = {
        text: (record["runtime"], record["precision"])
        for record in records
        for text in (runtime_name(record), label(results, record))
    }
    return Facets(found, labels)


@dataclass(frozen=True)
class Column:
    """numeric: stands to the right."""

    name: str
    numeric: bool
    tags: Tags


@dataclass(frozen=True)
class Block:
    """One table of the page. rows: what each is about, and its cells. agreed: columns said once, name and text."""

    heading: str
    columns: list[Column]
    rows: list[tuple[Tags, list[Cell]]]
    agreed: list[tuple[str, str]]


def blocks(table: Table, known: Facets) -> list[Block]:
    """A table of the report as tables of the page; none where it has no rows."""
    return [_block(heading, frame, table, known) for heading, frame in table.blocks(WIDEST) if len(frame)]


def _block(heading: str, frame: pd.DataFrame, table: Table, known: Facets) -> Block:
    texts = {name: {cell.text for cell in frame[name]} for name in table.once if name in frame}
    agreed = {name: found.pop() for name, found in texts.items() if len(found) == 1 and len(frame) > 1}
    frame = frame.drop(columns=list(agreed))
    columns = [
        Column(
            str(name),
            table.numeric(str(name), frame.iloc[:, i]) or _intervals(frame.iloc[:, i]),
            known.of_column(str(name)),
        )
        for i, name in enumerate(frame)
    ]
    rows = []
    for cells in frame.itertuples(index=False, name=None):
        values = (cell.value for cell in cells)
        rows.append((known.of_texts(value for value in values if isinstance(value, str)), list(cells)))
    return Block(heading, columns, rows, list(agreed.items()))


def _intervals(cells: pd.Series) -> bool:
    """Whether a column holds numbers or intervals, and marks in their place."""
    numbers = sum(key(cell) != "" and not isinstance(cell.value, str) for cell in cells)
    return 0 < sum(cell.value is not None for cell in cells) <= 2 * numbers


def key(cell: Cell) -> Any:
    """What a number is sorted by; an interval by its lower end. Empty: sorted by its text."""
    value = cell.value[0] if isinstance(cell.value, (list, tuple)) and cell.value else cell.value
    return value if is_number(value) else ""
