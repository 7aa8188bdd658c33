"""What a table shows, for tests that look at it as people do."""

from __future__ import annotations

from typing import Any

from reports.tables.table import Entry, Table

TINY, BASE, SMALL = "vit_tiny_patch16_224", "ViT_base_patch32_384", "ViT_small_patch16_224"


def texts(table: Table) -> list[dict[str, str]]:
    """Each row as people see it."""
    return [{name: entry.text for name, entry in row.items()} for row in entries(table)]


def values(table: Table) -> list[dict[str, Any]]:
    """Each row as programs see it."""
    return [{name: entry.value for name, entry in row.items()} for row in entries(table)]


def entries(table: Table) -> list[dict[str, Entry]]:
    """Each row by the names of its columns."""
    names = [column.full for column in table.columns]
    return [dict(zip(names, row.entries, strict=True)) for row in table.rows]


def bold(table: Table) -> list[str]:
    return [entry.text for row in table.rows for entry in row.entries if entry.best]


def speeds(table: Table, row: int = 0) -> dict[str, str]:
    """One row of a latency table of one batch, without model and published figure, by runtime and precision."""
    cells = texts(table)[row].items()
    return {name.split(": ", 1)[1]: text for name, text in cells if ": " in name and "V100" not in name}
