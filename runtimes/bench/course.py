"""A run while it goes on: its cells on their way to their records, and the visits that were made."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtimes.bench import compose, store
from runtimes.bench.display import Watch
from runtimes.bench.executor import Executor, Outcome
from runtimes.bench.job import Effort, Job
from runtimes.bench.plan import Cell, Plan
from runtimes.bench.store import Record
from runtimes.bench.visits import Visits


@dataclass
class Course:
    """A cell on its way to its record."""

    cell: Cell
    key: str
    blank: Record
    timeout_s: float
    memory_limit_bytes: int | None

    def job(self, effort: Effort, **changes: Any) -> Job:
        """A visit to it. changes: of its batch, options or mode_options."""
        cell = self.cell
        job = Job(
            str(cell.artifact.path),
            cell.runtime.name,
            cell.batch,
            cell.options,
            cell.mode,
            effort,
            cell.runtime.environment(cell.options),
            self.timeout_s,
            self.memory_limit_bytes,
            cell.mode_options,
        )
        return dataclasses.replace(job, **changes)


@dataclass
class Run:
    """What a run knows while it goes on. patience_s: what is left of it."""

    plan: Plan
    folder: Path
    watch: Watch
    executor: Executor
    visits: Visits
    patience_s: float
    began_s: float = field(default_factory=time.monotonic)
    order: random.Random = field(default_factory=random.Random)  # only shuffles

    @property
    def out_of_time(self) -> bool:
        """Whether the time for the whole run is over."""
        minutes = self.plan.effort.minutes
        return minutes > 0 and time.monotonic() - self.began_s > 60 * minutes

    def visit(self, courses: Sequence[Course], jobs: Iterable[Job], names: Sequence[str], number: int) -> None:
        """A visit to each of some cells, kept under its name."""

        def drawn() -> Iterator[Job]:
            for course, job in zip(courses, jobs, strict=True):
                self.watch.visit(course.cell, number, self.plan.effort.processes)
                yield job

        outcomes = self.executor.run(drawn(), self.patience_s)
        for course, name, outcome in zip(courses, names, outcomes, strict=True):
            self.patience_s = max(0.0, self.patience_s - outcome.waited_s)
            self.visits.add(name, outcome)
            note = outcome.failure if outcome.numbers is None else compose.trouble(outcome)
            if outcome.waited_s:
                self.watch.waiting(outcome.waited_s, "the machine was slowed down")
            self.watch.visited(course.cell, outcome.seconds, note)

    def outcomes(self, name: str) -> list[Outcome]:
        """The visits with numbers, their slow-down by what is known now."""
        return [
            dataclasses.replace(outcome, slowdown=self.executor.slowdown(outcome.probe_ms))
            for outcome in self.visits.sound(name)
        ]

    def finish(self, course: Course, measured: Record) -> Record:
        """Write a cell's record."""
        record = course.blank | measured
        store.append(self.folder, record)
        self.watch.record(record)
        return record
