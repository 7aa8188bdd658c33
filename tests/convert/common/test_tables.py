"""Tables on terminals: nothing is cut, however narrow they are."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from convert.common.console import plain, print_table
from runtimes.bench.plan import overview
from tests.runtimes.bench import on_paper

NUMBERS = ("8.8e-07", "0.88 × least", "0.04 of largest", "1.000000000", "100%", "vit_tiny_patch16_224")


def printed(table: Table, width: int, *sentences: str) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    print_table(console, table, sentences)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined,no-any-return]


def wide() -> Table:
    table = Table("max abs", "needed", "allowed", "cosine", "top-1", "model", "verdict", "empty")
    for verdict in ("passed", "failed: it took a number of words to say what it was that went wrong there"):
        table.add_row(*map(plain, (*NUMBERS, verdict, "-")))
    return table


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_every_number_is_whole_at_any_width(width: int) -> None:
    lines = printed(wide(), width, "verdict")
    assert max(map(len, lines)) <= width
    for number in NUMBERS:
        assert sum(number in line for line in lines) == 2, number
    assert ("┃" in lines[1]) == (width >= 120), "a table where there is room, else its rows one below the other"


@pytest.mark.parametrize("width", [60, 80])
def test_a_plan_fits(width: int) -> None:
    cell: Any = on_paper.cell(on_paper.artifact("ViT_base_patch16_224_of_ones_own"), batch=8)
    lines = printed(overview.table(on_paper.plan(cell)), width, "runtime")
    assert max(map(len, lines)) <= width
    assert any("ViT_base_patch16_224_of_ones_own" in line for line in lines)
    assert any("1.0 GiB" in line for line in lines)
