"""What people see of an accuracy run: progress, warnings and a table, all of it on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from runtimes.bench.store import Record

PLAIN_EVERY_S = 10.0  # between two lines of progress where standard error is no terminal
_VERDICTS = {True: "holds", False: "DOES NOT HOLD", None: "-"}


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} images/s" if speed else "- images/s")


class Reporter:
    """Writes to standard error: bars to a terminal, plain lines to anything else."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        if not self.console.is_terminal:
            self.console = Console(stderr=True, width=160)

    def say(self, text: str, style: str = "") -> None:
        """One line of text as it is: brackets in file names are no markup."""
        self.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Follow one cell over `total` images. Yields what takes the number of images done so far."""
        if not self.console.is_terminal:
            yield _plain(self.say, title, total)
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console) as bar:
            task = bar.add_task(title, total=total)
            yield lambda done: bar.update(task, completed=done)

    def table(self, records: list[Record]) -> None:
        """The records, a line each."""
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for name in ("model", "runtime", "top-1 [95 %]", "top-5", "images", "Paddle's", "p", "99 % of Paddle's"):
            table.add_column(name, overflow="fold")
        for record in records:
            verdict = record["status"] if record["status"] != "ok" else _VERDICTS[record["passed"]]
            images = str(record["images"]) + (f" ({record['unreadable']} unreadable)" if record["unreadable"] else "")
            cells = [record["model"], f"{record['runtime']} {record['precision']}", _interval(record)]
            cells += [_number(record["top5"]), images, _number(record["reference_top1"]), _number(record["mcnemar_p"])]
            table.add_row(*map(Text, [*cells, verdict]))
        self.console.print(table)


def _plain(say: Callable[[str], None], title: str, total: int) -> Callable[[int], None]:
    start = last = time.monotonic()
    shown = -1

    def update(done: int) -> None:
        nonlocal last, shown
        now = time.monotonic()
        if done == shown or (done < total and now - last < PLAIN_EVERY_S):
            return
        last, shown = now, done
        rate = done / max(now - start, 1e-9)
        left = f", {(total - done) / rate:.0f} s left" if 0 < done < total else ""
        say(f"{title}: {done} of {total} images, {rate:.1f} images/s{left}")

    return update


def _interval(record: Record) -> str:
    if record["top1"] is None or record["top1_ci95"] is None:
        return "-"
    low, high = record["top1_ci95"]
    return f"{record['top1']:.4f} [{low:.4f}, {high:.4f}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
