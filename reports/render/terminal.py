"""The latencies of a report for the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from convert.common.console import plain, print_table
from reports.language import say
from reports.tables.report import SEEDED_NOTE, Report
from reports.tables.table import Entry


def show(report: Report, console: Console) -> None:
    """A table per batch: median latencies in ms, the fastest in bold green."""
    latencies = (table for table in report.tables if table.name == "latency")  # none where none was measured
    for block in (block for table in latencies for block in table.blocks()):
        rich = RichTable(title=plain(block.heading), title_justify="left")
        for position, column in enumerate(block.columns):
            rich.add_column(plain(column.name), justify="left" if position == 0 else "right", overflow="fold")
        for row in block.rows:
            rich.add_row(*map(_text, row.entries))
        print_table(console, rich)
    if report.seeded:
        console.print(Text(say(SEEDED_NOTE)))
    if report.unvouched:
        console.print(Text(report.unvouched))


def console(tty: bool) -> Console:
    """Coloured on a terminal only; elsewhere wide enough for any table, since nobody resizes a pipe."""
    return Console(force_terminal=tty, width=None if tty else 200, highlight=False)


def _text(entry: Entry) -> Text:
    return plain(entry.text, "bold green" if entry.best else "")
