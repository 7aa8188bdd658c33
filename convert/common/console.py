"""What the user is told, on standard error: standard output is for results."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console


def say(text: str) -> None:
    """A line for the user; nothing where there is nothing to say."""
    if text:
        click.echo(text, err=True)


def cell(value: Any) -> Any:
    """A value for a CSV file: a text that a spreadsheet would compute as a formula stands behind an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def printer(stderr: bool = True) -> Console:
    """Where tables are printed: as wide as the terminal, and wide enough for a log where there is none."""
    found = Console(stderr=stderr)
    return found if found.is_terminal else Console(stderr=stderr, width=160)
