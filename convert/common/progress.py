"""Progress on standard error: a bar on a terminal, nothing that fills up a log elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from convert.common.errors import told


@contextmanager
def bar(text: str, total: int | None, unit: str = "", shown: bool = True) -> Iterator[Callable[[int], None]]:
    """Show progress while the block runs; the callable that it gets says how much more is done.

    total: None when the end is not known. unit: `bytes` shows sizes, anything else counts. shown: False keeps quiet.
    """
    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
    if unit == "bytes":
        columns += [BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
    elif total is None:
        columns.append(TimeElapsedColumn())
    else:
        columns += [BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as progress:
        task = progress.add_task(told(text), total=total)
        yield lambda amount: progress.advance(task, amount)
