"""A run while it goes on: its cells on their way to their records, and the visits that were made."""

from __future__ import annotations

import dataclasses
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from runtimes.bench.plan.matrix import Cell
from runtimes.bench.plan.plan import Plan
from runtimes.bench.schedule import aggregate
from runtimes.bench.schedule.display import Display
from runtimes.bench.schedule.executor import Executor
from runtimes.bench.schedule.outcome import VisitOutcome, Visits
from runtimes.bench.worker.job import Job
from runtimes.records import store
from runtimes.records.kinds import TimedRecord

R = TypeVar("R", bound=TimedRecord)


@dataclass
class PendingCell:
    """A cell on its way to its record. blank: the record before anything was measured. job: a visit to it.
    memory_bytes: that its process will have."""

    cell: Cell
    key: str
    blank: TimedRecord
    job: Job
    memory_bytes: int = 0

    @property
    def rivals(self) -> tuple[object, ...]:
        """What is equal for cells that users choose between."""
        cell = self.cell
        return (cell.artifact.model, cell.batch, cell.options.device)


@dataclass
class RunState:
    """What a run knows while it goes on. patience_s: what is left of it; nobody waits longer than the run may take."""

    plan: Plan
    folder: Path
    display: Display
    executor: Executor
    visits: Visits
    patience_s: float
    began_s: float = field(default_factory=time.monotonic)
    order: random.Random = field(default_factory=random.Random)  # only shuffles

    @property
    def out_of_time(self) -> bool:
        """Whether the time for the whole run is over."""
        return self._left_s < 0

    @property
    def _left_s(self) -> float:
        minutes = self.plan.effort.minutes
        return self.began_s + 60 * minutes - time.monotonic() if minutes else math.inf

    @property
    def _patience_s(self) -> float:
        return max(0.0, min(self.patience_s, self._left_s))

    def visit_together(self, cells: Sequence[PendingCell], number: int) -> None:
        """A visit to each of some cells of mode latency, whose sessions take turns, kept under its key. number: of the
        round, from 0."""
        self.display.visit([pending.cell for pending in cells], number)
        outcomes = self.executor.take_turns([pending.job for pending in cells], self._patience_s)
        for pending, outcome in zip(cells, outcomes, strict=True):
            self._keep(pending, pending.key, outcome)

    def visit_one(self, pending: PendingCell, job: Job, name: str, number: int) -> VisitOutcome:
        """A visit to a cell, kept under a name, and made again where it is the cell's first that crashes."""
        before = len(self.visits.of[name])
        while len(self.visits.of[name]) == before:
            self.display.visit([pending.cell], number)
            (outcome,) = self.executor.run([job], self._patience_s)
            self._keep(pending, name, outcome)
        return self.visits.of[name][-1]

    def _keep(self, pending: PendingCell, name: str, outcome: VisitOutcome) -> None:
        """Keep the outcome of a visit.

        The first crash of a cell is kept apart, and its visit is still to be made: a runtime that crashes once in
        hundreds of processes has a number all the same. The second one counts.
        """
        self.patience_s = max(0.0, self.patience_s - outcome.waited_s)
        if outcome.crashed and self.crashes(pending):
            outcome = dataclasses.replace(outcome, failure=f"{outcome.failure}, the second process to crash")
        first = outcome.crashed and not self.crashes(pending)
        self.visits.add(_crashed(pending) if first else name, outcome)
        note = outcome.failure if outcome.numbers is None else aggregate.trouble(outcome)
        self.display.waited(outcome.waited_s)
        self.display.visited(pending.cell, outcome, note)

    def crashes(self, pending: PendingCell) -> list[VisitOutcome]:
        """The crash of a cell that was made up for; empty where none was."""
        return self.visits.of[_crashed(pending)]

    def retry(self, pending: PendingCell) -> None:
        """Forget that a cell failed or was disturbed: it gets another chance from the start."""
        for name in [name for name in self.visits.of if name.partition(" ")[0] == pending.key]:
            del self.visits.of[name]

    def outcomes(self, name: str) -> list[VisitOutcome]:
        """The visits with numbers, their slow-down by what is known now."""
        return [
            dataclasses.replace(outcome, slowdown=self.executor.slowdown(outcome.speed_ms))
            for outcome in self.visits.of[name]
            if outcome.numbers is not None
        ]

    def finish(self, pending: PendingCell, record: R) -> R:
        """Write a cell's record."""
        whole = dataclasses.replace(record, crashes=tuple(str(one.failure) for one in self.crashes(pending)))
        store.append(self.folder, whole)
        self.display.record(whole)
        return whole

    def refuse(self, pending: PendingCell, reason: str) -> TimedRecord:
        """Write the record of a cell that is not measured."""
        return self.finish(pending, dataclasses.replace(pending.blank, status="refused", reason=reason))


def _crashed(pending: PendingCell) -> str:
    """The name under which a cell's first crash is kept."""
    return f"{pending.key} crashed"
