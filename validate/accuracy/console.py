"""What people see of an accuracy run: progress, warnings and a table, all of it on standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from convert.common.console import plain, print_table, printer
from convert.common.errors import told
from runtimes.records.kinds import Accuracy
from runtimes.records.parts import Interval

PLAIN_EVERY_S = 10.0  # between two lines of progress where standard error is no terminal
_VERDICTS = {True: "holds", False: "DOES NOT HOLD", None: "-"}

# Takes an evaluation's title and the number of its images that are done.
Progressing = Callable[[str, int], None]


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} images/s" if speed else "- images/s")


class Reporter:
    """Writes to standard error: bars to a terminal, plain lines to anything else."""

    def __init__(self) -> None:
        self.console = printer()

    def say(self, text: str, style: str = "") -> None:
        """One line of text: brackets in file names are no markup."""
        self.console.print(told(text), style=style, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def progress(self, titles: list[str], total: int) -> Iterator[Progressing]:
        """Follow evaluations that go together over `total` images each."""
        if not self.console.is_terminal:
            yield _plain(self.say, total)
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.console) as bar:
            tasks = {title: bar.add_task(title, total=total) for title in titles}
            yield lambda title, done: bar.update(tasks[title], completed=done)

    def table(self, records: list[Accuracy]) -> None:
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for name in ("model", "runtime", "top-1 [95 %]", "top-5 [95 %]", "images", "Paddle's", "p", "verdict"):
            table.add_column(name, overflow="fold")
        for record in records:
            table.add_row(*map(plain, _row(record)))
        print_table(self.console, table, ("verdict",))
        for record in records:
            if record.doubt:
                title = f"{record.model} {record.precision} on {record.runtime}"
                self.say(f"{title}: WARNING: {record.doubt}", style="bold red")


def _row(record: Accuracy) -> list[str]:
    about = ["subset"] * bool(record.subset) + [f"{record.unreadable} unreadable"] * bool(record.unreadable)
    images = f"{record.images} ({'; '.join(about)})" if about else str(record.images)
    verdict = record.status if record.status != "ok" else _VERDICTS[record.passed]
    if record.doubt and record.passed is None:
        verdict = "IN DOUBT"
    elif record.undecided:
        verdict = "CANNOT TELL"
    if record.preprocessing_is_models is False:
        verdict += "; not the model's preprocessing"
    return [
        record.model,
        f"{record.runtime} {record.precision}",
        _fraction(record.top1, record.top1_ci95),
        _fraction(record.top5, record.top5_ci95),
        images,
        _number(record.reference_top1),
        _number(record.mcnemar_p),
        verdict,
    ]


def _plain(say: Callable[[str], None], total: int) -> Progressing:
    start = last = time.monotonic()
    first: dict[str, int] = {}
    shown: dict[str, int] = {}

    def update(title: str, done: int) -> None:
        nonlocal last
        now = time.monotonic()
        first.setdefault(title, done)
        if done == shown.get(title) or (done < total and now - last < PLAIN_EVERY_S):
            return
        last, shown[title] = now, done
        rate = (done - first[title]) / max(now - start, 1e-9)
        line = f"{done} of {total} images"
        if rate:
            line = f"{line}, {rate:.1f} images/s"
        if done < total and rate:
            line = f"{line}, {(total - done) / rate:.0f} s left"
        say(f"{title}: {line}")

    return update


def _fraction(value: float | None, interval: Interval | None) -> str:
    return "-" if value is None or interval is None else "{:.4f} [{:.4f}, {:.4f}]".format(value, *interval)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
