"""What the commands may end with: one clear line and an exit status, never a traceback."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

import click


class InputError(click.ClickException):
    """The input or the usage is wrong: the message says what, where and what to do. Exit status 2."""

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"error: {self.format_message()}", err=True)


class CheckFailed(click.ClickException):
    """The command did its work and what it checked does not hold. Exit status 1."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"failed: {self.format_message()}", err=True)


class GraphError(Exception):
    """The converted graph is not what it must be; the message says what was expected and what was found."""


def listing(names: Iterable[str], limit: int = 5) -> str:
    """`a, b, c and 4 more`: enough of a long list for one line of an error."""
    names = list(names)
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
