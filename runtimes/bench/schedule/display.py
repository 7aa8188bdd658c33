"""What a user sees while cells are measured: a bar with time left on a terminal, a line for each result elsewhere.

Nothing moves while a visit is measured: a display that refreshed itself would compute beside what it watches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from runtimes.bench.describe import duration, name, outcome
from runtimes.bench.plan.matrix import Cell, key
from runtimes.bench.plan.plan import Plan
from runtimes.records.kinds import TimedRecord

# Seconds of visits that went as estimated, taken for granted: the first real ones do not turn the estimate over.
_TRUST_S = 5.0
# Rounds beyond those that every cell gets may be many: in a log they are mentioned no more often than this.
_MENTION_S = 60.0


class Watch(Protocol):
    """What a run tells while it goes on."""

    def parity(self, text: str) -> None:
        """A parity check starts; what and on what."""

    def visit(self, cell: Cell, number: int, rounds: int) -> None:
        """A visit starts. number: of the round, from 0; rounds: as many as every cell gets at least."""

    def visited(self, cell: Cell, seconds: float, note: str | None) -> None:
        """A visit is over. seconds: it took; note: what disturbed it or why it failed."""

    def waiting(self, seconds: float, why: str) -> None:
        """The run waited before a visit."""

    def record(self, record: TimedRecord) -> None:
        """A cell is done."""


@dataclass
class Clock:
    """Time left: what the plan estimated for the visits to come, corrected by how long those took that were made.

    machine: as in the keys of records. now: seconds, from any start.
    """

    plan: Plan
    machine: str
    now: Callable[[], float] = time.monotonic
    parity_left_s: float = 0.0
    _left: dict[str, int] = field(default_factory=dict)  # visits, by the cell's key
    _visit_s: dict[str, float] = field(default_factory=dict)
    _taken_s: float = _TRUST_S
    _estimated_s: float = _TRUST_S
    _started: float = 0.0
    _visits_began: float | None = None

    def __post_init__(self) -> None:
        processes = self.plan.effort.processes
        self._started, self.parity_left_s = self.now(), self.plan.estimate.parity_s
        for cell, cost in zip(self.plan.cells, self.plan.estimate.costs, strict=True):
            name = key(cell, self.machine)
            self._left[name], self._visit_s[name] = processes, cost.visit_s(processes)

    @property
    def elapsed_s(self) -> float:
        return self.now() - self._started

    @property
    def left_s(self) -> float:
        """Of the visits that are known to come: a cell that needs more than its rounds may add to it."""
        visits = sum(count * self._visit_s[name] for name, count in self._left.items())
        parity = 0.0 if self._visits_began is not None else max(0.0, self.parity_left_s - self.elapsed_s)
        return parity + visits * self._taken_s / self._estimated_s

    def visit(self) -> None:
        """The first visit says that parity is over."""
        if self._visits_began is None:
            self._visits_began = self.now()

    def visited(self, cell: Cell, seconds: float) -> None:
        name = key(cell, self.machine)
        self._taken_s += seconds
        self._estimated_s += self._visit_s[name]
        self._left[name] = max(1, self._left[name] - 1)  # until its record is there another may come

    def done(self, record: TimedRecord) -> None:
        self._left[record.key or ""] = 0
        self._visit_s.setdefault(record.key or "", 0.0)


@dataclass
class Shown:
    """A `Watch` that shows what it is told. progress: None where there is no terminal."""

    clock: Clock
    console: Console
    cells: int
    progress: Progress | None = None
    task: TaskID | None = None
    finished: int = 0
    visits: int = 0
    disturbed: int = 0
    waited_s: float = 0.0
    _round: int = -1
    _mentioned_s: float = 0.0

    def parity(self, text: str) -> None:
        self._show(text)
        if not self.progress:
            self._line(text)

    def visit(self, cell: Cell, number: int, rounds: int) -> None:
        self.clock.visit()
        which = f"round {number + 1}" + (f" of {rounds}" if number < rounds else "")
        self._show(f"{which}: {cell.name}")
        late = self.clock.elapsed_s >= self._mentioned_s + _MENTION_S
        if not self.progress and cell.mode == "latency" and number > self._round and (number < rounds or late):
            self._line(f"{which}, about {duration(self.clock.left_s)} left")
            self._mentioned_s = self.clock.elapsed_s
        self._round = max(self._round, number)

    def visited(self, cell: Cell, seconds: float, note: str | None) -> None:
        self.visits += 1
        self.disturbed += note is not None
        self.clock.visited(cell, seconds)
        self._show(f"{cell.name}: {note}" if note else cell.name)

    def waiting(self, seconds: float, why: str) -> None:
        self.waited_s += seconds
        self._show(f"waited {seconds:.0f} s: {why}")

    def record(self, record: TimedRecord) -> None:
        self.finished += 1
        self.clock.done(record)
        self._line(f"{name(record)}: {outcome(record)}")
        self._show(name(record))

    def summary(self) -> str:
        """What else is worth a line at the end; empty when nothing is."""
        parts = []
        if self.disturbed:
            parts.append(f"{self.disturbed} of {self.visits} visits failed or were disturbed")
        if self.waited_s >= 1:
            parts.append(f"{duration(self.waited_s)} spent waiting for the machine")
        return "; ".join(parts)

    def _line(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _show(self, text: str) -> None:
        if self.progress and self.task is not None:
            elapsed, left = self.clock.elapsed_s, self.clock.left_s
            self.progress.update(
                self.task,
                description=text,
                completed=elapsed,
                total=elapsed + left,
                done=f"{self.finished}/{self.cells}",
                times=f"{duration(elapsed)}, about {duration(left)} left",
            )
            self.progress.refresh()


@contextmanager
def shown(plan: Plan, machine: str, console: Console) -> Iterator[Shown]:
    """Show a run of a plan while the block lasts."""
    clock = Clock(plan, machine)
    cells = len(plan.cells) + len(plan.refused)
    if not console.is_terminal:
        yield Shown(clock, console, cells)
        return
    columns = (
        TextColumn("{task.fields[done]}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[times]}"),
        TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
    )
    with Progress(*columns, console=console, transient=True, auto_refresh=False, expand=True) as progress:
        task = progress.add_task("", total=1.0, done=f"0/{cells}", times="")
        yield Shown(clock, console, cells, progress, task)
