"""A table cut into parts that a page shows: not too wide, not too long."""

from __future__ import annotations

from dataclasses import replace

from reports.tables.table import Facet, Table, TablePart

WIDEST = 13  # columns of latencies that GitHub's page still shows side by side: three runtimes at three batch sizes
LONGEST = 100  # rows after which nobody finds the head again


def pages(table: Table, widest: int = WIDEST, longest: int = LONGEST) -> list[TablePart]:
    """The parts, those without rows left out. A block that is too wide becomes one part per precision of its columns,
    one that is too long becomes one part per model, or per status. What has none of these stays whole. Columns that
    are said once (`Table.agreed`) are in no part."""
    parts = [part for block in table.blocks(widest, without=table.agreed()) for part in _narrow(block, widest)]
    return [short for part in parts for short in _short(part, longest) if short.rows]


def _narrow(block: TablePart, widest: int) -> list[TablePart]:
    of_columns = [column.subject.precision for column in block.columns]
    precisions = list(dict.fromkeys(filter(None, of_columns)))
    if len(block.columns) <= widest or len(precisions) < 2:
        return [block]
    return [
        replace(
            block.pick([place for place, own in enumerate(of_columns) if own in ("", precision)]),
            heading=_joined(block.heading, precision),
        )
        for precision in precisions
    ]


def _short(block: TablePart, longest: int) -> list[TablePart]:
    by = next((place for place, column in enumerate(block.columns) if column.facet is not Facet.NONE), None)
    if len(block.rows) <= longest or by is None:
        return [block]
    others = [place for place in range(len(block.columns)) if place != by]
    texts = dict.fromkeys(entry.text for entry in block.entries(by))
    return [
        replace(
            block, heading=_joined(block.heading, text), rows=tuple(r for r in block.rows if r.entries[by].text == text)
        ).pick(others)
        for text in texts
    ]


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))
