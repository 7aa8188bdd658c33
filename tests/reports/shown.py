"""What a table shows, for tests that look at it as people do."""

from __future__ import annotations

from reports.tables.frames import Table

TINY, BASE, SMALL = "vit_tiny_patch16_224", "ViT_base_patch32_384", "ViT_small_patch16_224"


def texts(table: Table) -> list[dict[str, str]]:
    """Each row as people see it."""
    frame = table.flat()
    return [
        {name: cell.text for name, cell in zip(frame.columns, row, strict=True)}
        for row in frame.itertuples(index=False, name=None)
    ]


def bold(table: Table) -> list[str]:
    return [cell.text for row in table.frame.itertuples(index=False, name=None) for cell in row if cell.best]


def speeds(table: Table, row: int = 0) -> dict[str, str]:
    """One row of a latency table of one batch, without model and published figure, by runtime and precision."""
    cells = texts(table)[row].items()
    return {name.split(": ", 1)[1]: text for name, text in cells if ": " in name and "V100" not in name}
