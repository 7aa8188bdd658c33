"""A table cut into parts that a page shows: not too wide, not too long."""

from __future__ import annotations

import pandas as pd

from reports.language import names
from reports.tables.frames import Cell, Table

WIDEST = 13  # columns of latencies that GitHub's page still shows side by side: three runtimes at three batch sizes
LONGEST = 100  # rows after which nobody finds the head again


def pages(table: Table, widest: int = WIDEST, longest: int = LONGEST) -> list[tuple[str, pd.DataFrame]]:
    """(heading, frame) of each part. A block that is too wide becomes one part per group of columns (`Table.groups`),
    one that is too long becomes one part per model, or per status. What has none of these stays whole. Columns that
    are said once (`agreed`) are in no part."""
    once = list(agreed(table))
    blocks = [(heading, frame.drop(columns=once)) for heading, frame in table.blocks(widest)]
    parts = [part for block in blocks for part in _narrow(table, *block, widest)]
    return [part for heading, frame in parts for part in _short(heading, frame, longest)]


def agreed(table: Table) -> dict[str, Cell]:
    """The columns of `Table.once` that have the same cell in every row, and that cell."""
    found = {name: list(table.frame[name]) for name in table.once}
    return {
        name: cells[0]
        for name, cells in found.items()
        if len({(cell.text, cell.notes, cell.best) for cell in cells}) == 1
    }


def _narrow(table: Table, heading: str, frame: pd.DataFrame, widest: int) -> list[tuple[str, pd.DataFrame]]:
    groups = list(dict.fromkeys(table.groups[name] for name in frame.columns if name in table.groups))
    if len(frame.columns) <= widest or len(groups) < 2:
        return [(heading, frame)]
    return [
        (_joined(heading, group), frame[[name for name in frame.columns if table.groups.get(name, group) == group]])
        for group in groups
    ]


def _short(heading: str, frame: pd.DataFrame, longest: int) -> list[tuple[str, pd.DataFrame]]:
    by = next((name for name in names("Model", "Status") if name in frame), None)
    if len(frame) <= longest or by is None:
        return [(heading, frame)]
    texts = [cell.text for cell in frame[by]]
    return [
        (_joined(heading, text), frame[[own == text for own in texts]].drop(columns=[by]))
        for text in dict.fromkeys(texts)
    ]


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))
