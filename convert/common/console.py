"""What the user is told, on standard error: standard output is for results.

Whatever comes from a file, a server or a runtime is data here too. What these functions make of it steers
no terminal and is taken for no line of ours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from convert.common.disk.files import json_text
from convert.common.errors import shown, told

_CELL = 600  # characters of an entry in a table
_SENTENCE = 20  # characters to which a column of sentences may be narrowed
_LOG_LINES, _LOG_WIDTH = 60, 1000


def say(text: str) -> None:
    """A line for the user; nothing where there is nothing to say."""
    if text:
        click.echo(told(text), err=True)


def say_log(text: str) -> None:
    """What a process printed, or the end of it: each line behind a bar, which no line of ours has."""
    for line in log_lines(text):
        click.echo(line, err=True)


def log_lines(text: str) -> list[str]:
    lines = text.strip().splitlines()
    left_out = ["| ..."] if len(lines) > _LOG_LINES else []
    return [*left_out, *(f"| {shown(line, _LOG_WIDTH)}" for line in lines[-_LOG_LINES:])]


def plain(text: object, style: str = "") -> Text:
    """An entry of a table of rich: brackets in it are no markup."""
    return Text(told(text, _CELL), style=style)


def say_json(value: Any) -> None:
    """The JSON document that a command was asked for, on standard output."""
    click.echo(json_text(value))


def cell(value: Any) -> Any:
    """A value for a CSV file: a text that a spreadsheet would compute as a formula stands behind an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def printer(stderr: bool = True) -> Console:
    """Where tables are printed: as wide as the terminal, and wide enough for a log where there is none."""
    found = Console(stderr=stderr)
    return found if found.is_terminal else Console(stderr=stderr, width=160)


def print_table(console: Console, table: Table, sentences: Collection[str] = ()) -> None:
    """Print a table with every entry whole; where the console is too narrow for that, its rows one below the other.

    sentences: the names of columns that may become narrow, since what stands in them may be broken.
    """
    natural = console.measure(table, options=console.options.update(width=10_000)).maximum
    foldable = [column for column in table.columns if str(column.header) in sentences]
    for column in table.columns:
        column.header = told(column.header) if isinstance(column.header, str) else column.header
    spare = sum(max(0, max(text.cell_len for text in _texts(column)) - _SENTENCE) for column in foldable)
    if natural - spare <= console.width:
        for column in table.columns:
            column.no_wrap = column not in foldable
        console.print(table)
        return
    if table.title:
        console.print(table.title)
    for number in range(table.row_count):
        for line in _packed(table.columns, number, console.width):
            console.print(line, highlight=False)
        console.print()


def _texts(column: Column) -> list[Text]:
    """What stands in a column, its name first."""
    return [one if isinstance(one, Text) else Text.from_markup(str(one)) for one in (column.header, *column.cells)]


def _packed(columns: Collection[Column], row: int, width: int) -> Iterator[Text]:
    """Name and entry of each column that says something in a row, as many on a line as it has room for."""
    line = Text()
    for column in columns:
        name, *entries = _texts(column)
        if entries[row].plain in ("", "-"):
            continue
        pair = Text.assemble((f"{' '.join(name.plain.split())}: ", "dim"), entries[row])
        if line and line.cell_len + 3 + pair.cell_len > width:
            yield line
            line = Text()
        line = Text.assemble(line, "   ", pair) if line else pair
    yield line
