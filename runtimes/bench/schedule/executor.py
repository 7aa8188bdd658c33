"""Who runs visits, and what came of them: the seam between what is to be measured and where.

An executor takes jobs and gives outcomes, both of them JSON. Here it is this machine, one visit after the other. One
that knows several machines gives each job to a machine that can run it; nothing else has to change.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import platformdirs

from convert.common import typed, worker
from convert.common.errors import InputError
from convert.common.worker import JobError
from runtimes.bench.schedule import turns
from runtimes.bench.schedule.outcome import VisitOutcome, failed
from runtimes.bench.worker import numbers
from runtimes.bench.worker.job import Job
from runtimes.statistics import Noise
from runtimes.system import environment
from runtimes.system import speed_probe as probes
from runtimes.system.speed_probe import Probe

_VISIT = "runtimes.bench.worker.visit:run_job"


class Executor(Protocol):
    """Runs visits somewhere."""

    def machine(self) -> str:
        """A short hash of what makes its numbers comparable; part of every cell's key."""

    def run(self, jobs: Iterable[Job], patience_s: float) -> Iterator[VisitOutcome]:
        """The outcome of each job, in the jobs' order. Jobs are drawn one at a time, when there is room for one.

        patience_s: how long they may wait, all together, for a machine that is slowed down.
        """

    def take_turns(self, jobs: Sequence[Job], patience_s: float) -> list[VisitOutcome]:
        """The outcomes of jobs of mode latency whose sessions are open together and are measured in turn."""

    def slowdown(self, speed_ms: Sequence[float]) -> float:
        """How much slower than at its best, by what is known now, the machine was at these readings of its speed."""

    def between_runs(self) -> Noise:
        """How far earlier runs lie apart in the speed of the machine."""


@dataclass
class Local:
    """This machine, one visit after the other; the parent sleeps meanwhile.

    probe: None leaves the machine's speed unknown.
    """

    probe: Probe | None = field(default_factory=lambda: Probe(_probe_file()))

    def machine(self) -> str:
        return environment.setting_key(environment.describe())

    def run(self, jobs: Iterable[Job], patience_s: float = 0.0) -> Iterator[VisitOutcome]:
        for job in jobs:
            (outcome,) = self.take_turns([job], patience_s) if job.mode == "latency" else [self._visit(job, patience_s)]
            patience_s = max(0.0, patience_s - outcome.waited_s)
            yield outcome

    def take_turns(self, jobs: Sequence[Job], patience_s: float = 0.0) -> list[VisitOutcome]:
        before, waited = probes.wait(self.probe, patience_s) if self.probe else (None, 0.0)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        found = turns.play(jobs)
        readings = self._readings(before)
        if self.probe:
            self.probe.keep()
        slowdown, shares = self.slowdown(readings), [waited, *[0.0] * (len(jobs) - 1)]
        return [
            replace(one, speed_ms=readings, slowdown=slowdown, waited_s=share, time_utc=stamp)
            for one, share in zip(found, shares, strict=True)
        ]

    def _readings(self, before: float | None) -> tuple[float, ...]:
        """The machine's speed before and after; what is not known is left out."""
        return tuple(one for one in (before, self.probe.take()) if one is not None) if self.probe else ()

    def slowdown(self, speed_ms: Sequence[float]) -> float:
        return self.probe.slowdown(*speed_ms) if self.probe and speed_ms else 0.0

    def between_runs(self) -> Noise:
        return self.probe.between_runs() if self.probe and self.probe.readings else Noise()

    def _visit(self, job: Job, patience_s: float) -> VisitOutcome:
        before, waited = probes.wait(self.probe, patience_s) if self.probe else (None, 0.0)
        started, stamp = time.perf_counter(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        found = _call(job)
        seconds = time.perf_counter() - started
        readings = self._readings(before)
        if self.probe:
            self.probe.keep()
        slowdown = self.slowdown(readings)
        return replace(found, speed_ms=readings, slowdown=slowdown, seconds=seconds, waited_s=waited, time_utc=stamp)


def _call(job: Job) -> VisitOutcome:
    try:
        found = worker.call(_VISIT, typed.table(job), timeout_s=job.timeout_s, environment=job.environment)
        return VisitOutcome(numbers.read(found))
    except (JobError, InputError) as error:
        return failed(job, error)


def _probe_file() -> Path:
    name = environment.setting_key(environment.describe())  # the probe's threads follow the variables too
    return platformdirs.user_cache_path("vitbench") / "speed" / f"{name}.json"
