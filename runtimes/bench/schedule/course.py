"""A run while it goes on: its cells on their way to their records, and the visits that were made."""

from __future__ import annotations

import dataclasses
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtimes.bench.plan.matrix import Cell, Plan
from runtimes.bench.schedule import aggregate as compose
from runtimes.bench.schedule.display import Watch
from runtimes.bench.schedule.executor import Executor, Outcome
from runtimes.bench.schedule.visits import Visits
from runtimes.bench.worker.job import Effort, Job
from runtimes.records import store
from runtimes.records.store import Record


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
        """A visit to each of some cells, kept under its name.

        The first crash of a cell is kept apart, and its visit is still to be made: a runtime that crashes once in
        hundreds of processes has a number all the same. The second one counts.
        """

        def drawn() -> Iterator[Job]:
            for course, job in zip(courses, jobs, strict=True):
                self.watch.visit(course.cell, number, self.plan.effort.processes)
                yield job

        outcomes = self.executor.run(drawn(), self.patience_s)
        for course, name, outcome in zip(courses, names, outcomes, strict=True):
            self.patience_s = max(0.0, self.patience_s - outcome.waited_s)
            if outcome.crashed and self.crashes(course):
                outcome = dataclasses.replace(outcome, failure=f"{outcome.failure}, the second process to crash")
            first = outcome.crashed and not self.crashes(course)
            self.visits.add(_crashed(course) if first else name, outcome)
            note = outcome.failure if outcome.numbers is None else compose.trouble(outcome)
            if outcome.waited_s:
                self.watch.waiting(outcome.waited_s, "the machine was slowed down")
            self.watch.visited(course.cell, outcome.seconds, note)

    def visit_one(self, course: Course, job: Job, name: str, number: int) -> Outcome:
        """A visit to a cell, made again where it is the cell's first that crashes."""
        before = len(self.visits.of[name])
        while len(self.visits.of[name]) == before:
            self.visit([course], [job], [name], number)
        return self.visits.of[name][-1]

    def crashes(self, course: Course) -> list[Outcome]:
        """The crash of a cell that was made up for; empty where none was."""
        return self.visits.of[_crashed(course)]

    def retry(self, course: Course) -> None:
        """Forget that a cell failed or was disturbed: it gets another chance from the start."""
        for name in [name for name in self.visits.of if name.partition(" ")[0] == course.key]:
            del self.visits.of[name]

    def outcomes(self, name: str) -> list[Outcome]:
        """The visits with numbers, their slow-down by what is known now."""
        return [
            dataclasses.replace(outcome, slowdown=self.executor.slowdown(outcome.speed_ms))
            for outcome in self.visits.sound(name)
        ]

    def finish(self, course: Course, measured: Record) -> Record:
        """Write a cell's record."""
        record = course.blank | measured | {"crashes": [str(outcome.failure) for outcome in self.crashes(course)]}
        store.append(self.folder, record)
        self.watch.record(record)
        return record


def _crashed(course: Course) -> str:
    """The name under which a cell's first crash is kept."""
    return f"{course.key} crashed"
