"""What a user sees while cells are measured: a bar with time left on a terminal, a line for each result elsewhere.

Nothing moves while a visit is measured: a display that refreshed itself would compute beside what it watches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from convert.common.errors import told
from runtimes.bench.describe import duration, name, outcome
from runtimes.bench.plan.matrix import Cell, key
from runtimes.bench.plan.plan import Plan
from runtimes.bench.schedule.outcome import VisitOutcome
from runtimes.records.kinds import TimedRecord
from runtimes.system import programs

# Seconds of visits that went as estimated, taken for granted: the first real ones do not turn the estimate over.
_TRUST_S = 5.0
# Rounds beyond those that every cell gets may be many: in a log they are mentioned no more often than this.
_MENTION_S = 60.0
_MOST_NAMED = 3


class Display:
    """What a run tells while it goes on, and the time that is left.

    The time left is what the plan estimated for the visits to come, corrected by how long those took that were made.
    machine: as in the keys of records. progress: None where there is no terminal. now: seconds, from any start.
    """

    def __init__(
        self,
        plan: Plan,
        machine: str,
        console: Console,
        progress: Progress | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.plan, self.machine, self.console, self.progress, self.now = plan, machine, console, progress, now
        self._cells = len(plan.cells) + len(plan.refused)
        self._task = progress.add_task("", total=1.0, done=f"0/{self._cells}", times="") if progress else None
        self._started = now()
        self._parity_left_s = plan.estimate.parity_s
        costs = zip(plan.cells, plan.estimate.costs, strict=True)
        self._visit_s = {key(cell, machine): cost.visit_s for cell, cost in costs}
        # Visits, by the cell's key.
        self._left = {name: cost.visits for name, cost in zip(self._visit_s, plan.estimate.costs, strict=True)}
        self._taken_s = self._estimated_s = _TRUST_S
        self._finished = self._visits = self._disturbed = 0
        self._waited_s = self._mentioned_s = self._blamed_s = 0.0
        self._parity_s = self._loading_s = self._warming_s = self._sampling_s = self._uncounted_s = 0.0
        self._programs: dict[str, float] = {}
        self._round = -1

    @property
    def elapsed_s(self) -> float:
        return self.now() - self._started

    @property
    def left_s(self) -> float:
        """Of the visits that are known to come: a cell that needs more than its rounds may add to it."""
        visits = sum(count * self._visit_s[name] for name, count in self._left.items())
        parity = max(0.0, self._parity_left_s - self.elapsed_s) if self._parity_left_s else 0.0
        return parity + visits * self._taken_s / self._estimated_s

    def parity(self, text: str) -> None:
        """A parity check starts; what and on what."""
        self._show(text)
        if not self.progress:
            self._line(text)

    def visit(self, cells: Sequence[Cell], number: int) -> None:
        """A visit to some cells together starts; the first one says that parity is over. number: of the round, from
        0."""
        if not self._visits and not self._parity_s:
            self._parity_s = self.elapsed_s
        self._parity_left_s, rounds = 0.0, self.plan.effort.processes
        which = f"round {number + 1} of {rounds}" if number < rounds else f"round {number + 1}"
        cell, more = cells[0], len(cells) - 1
        self._show(f"{which}: {f'{cell.name} and {more} more in turns' if more else cell.name}")
        late = self.elapsed_s >= self._mentioned_s + _MENTION_S
        if not self.progress and cell.mode == "latency" and number > self._round and (number < rounds or late):
            self._line(f"{which}, about {duration(self.left_s)} left")
            self._mentioned_s = self.elapsed_s
        self._round = max(self._round, number)

    def visited(self, cell: Cell, outcome: VisitOutcome, note: str | None) -> None:
        """A visit is over. note: what disturbed it or why it failed."""
        place, named = key(cell, self.machine), programs.told(outcome.programs)
        self._visits += 1
        self._disturbed += note is not None
        self._taken_s += outcome.seconds
        self._add_times(outcome)
        for program, share in outcome.programs.items():
            self._programs[program] = max(share, self._programs.get(program, 0.0))
        if note and named and (not self._blamed_s or self.elapsed_s >= self._blamed_s + _MENTION_S):
            self._line(
                f"other programs take the processor ({named} of a core): the run goes on, and marks what it cannot tell"
            )
            self._blamed_s = self.elapsed_s
        note = f"{note} ({named})" if note and named else note
        self._estimated_s += self._visit_s[place]
        self._left[place] = max(1, self._left[place] - 1)  # until its record is there another may come
        self._show(f"{cell.name}: {note}" if note else cell.name)

    def waited(self, seconds: float) -> None:
        self._waited_s += seconds
        if seconds >= 1:
            self._show(f"waited {seconds:.0f} s: the machine was slowed down or busy")

    def record(self, record: TimedRecord) -> None:
        self._finished += 1
        self._left.pop(record.key or "", None)
        self._line(f"{name(record)}: {outcome(record)}")
        self._show(name(record))

    def summary(self) -> list[str]:
        """What else is worth a line or two at the end: where the time went, and who disturbed it."""
        parts = {
            "parity": self._parity_s,
            "loading": self._loading_s,
            "warm-up": self._warming_s,
            "samples": self._sampling_s,
            "first inferences of turns": self._uncounted_s,
            "waiting for the machine": self._waited_s,
        }
        parts["the rest"] = max(0.0, self.elapsed_s - sum(parts.values()))
        spent = ", ".join(f"{told(what)} {duration(seconds)}" for what, seconds in parts.items() if seconds >= 1)
        lines = [f"{duration(self.elapsed_s)}: {spent}" if self._visits and spent else ""]
        if self._disturbed:
            named = programs.told(dict(sorted(self._programs.items(), key=lambda one: -one[1])[:_MOST_NAMED]))
            clauses = [
                f"{self._disturbed} of {self._visits} visits failed or were disturbed",
                f"at most these took of a core meanwhile: {named}" if named else "",
            ]
            who = "; ".join(filter(None, clauses))
            lines.append(
                f"{who}. RESUME=1 (--resume) measures again what was disturbed, --patience waits for a quiet machine."
            )
        return [line for line in lines if line]

    def _add_times(self, outcome: VisitOutcome) -> None:
        if outcome.numbers is not None:
            warming, sampling = sum(outcome.numbers.warmup_ms) / 1e3, outcome.numbers.measured_s
            self._warming_s += warming
            self._sampling_s += sampling
            self._uncounted_s += outcome.uncounted_s
            self._loading_s += max(0.0, outcome.seconds - warming - sampling - outcome.uncounted_s)

    def _line(self, text: str) -> None:
        self.console.print(told(text), highlight=False, markup=False, soft_wrap=True)

    def _show(self, text: str) -> None:
        if self.progress and self._task is not None:
            elapsed, left = self.elapsed_s, self.left_s
            self.progress.update(
                self._task,
                description=told(text),
                completed=elapsed,
                total=elapsed + left,
                done=f"{self._finished}/{self._cells}",
                times=told(f"{duration(elapsed)}, about {duration(left)} left"),
            )
            self.progress.refresh()


@contextmanager
def shown(plan: Plan, machine: str, console: Console) -> Iterator[Display]:
    """Show a run of a plan while the block lasts."""
    if not console.is_terminal:
        yield Display(plan, machine, console)
        return
    columns = (
        TextColumn("{task.fields[done]}"),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[times]}"),
        TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, overflow="fold")),
    )
    with Progress(*columns, console=console, transient=True, auto_refresh=False, expand=True) as progress:
        yield Display(plan, machine, console, progress)
