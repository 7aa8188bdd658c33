"""Who runs visits, and what came of them: the seam between what is to be measured and where.

An executor takes jobs and gives outcomes, both of them JSON. Here it is this machine, one visit after the other. One
that knows several machines gives each job to a machine that can run it; nothing else has to change. Outcomes of a run
that is under way are kept in `visits.jsonl` beside the records, so that a kill loses the one in flight.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import platformdirs

from convert.common import json_lines as lines
from convert.common import typed, worker
from convert.common.errors import InputError, WriteError
from convert.common.worker import CrashError, JobError
from runtimes.bench.worker import numbers
from runtimes.bench.worker.job import Job
from runtimes.bench.worker.numbers import VisitNumbers
from runtimes.statistics import Noise
from runtimes.system import environment
from runtimes.system import speed_probe as probes
from runtimes.system.speed_probe import Probe

VISITS = "visits.jsonl"
VISIT = "runtimes.bench.worker.visit:run_job"
_LOG = 4000  # characters kept of what a visit printed: the Python stack of a crash fits


@dataclass(frozen=True)
class VisitOutcome:
    """What came of a visit.

    numbers: what it measured; None where it failed, for the reason in `failure` (`log`: what it printed).
    crashed: whether its process was ended by a signal of its own making.
    speed_ms: the machine's speed before and after. slowdown: by how much it was slower than at its best so far.
    waited_s: for a machine that is slowed down.
    """

    numbers: VisitNumbers | None
    failure: str | None = None
    log: str = ""
    speed_ms: tuple[float, ...] = ()
    slowdown: float = 0.0
    seconds: float = 0.0
    waited_s: float = 0.0
    time_utc: str = ""
    crashed: bool = False

    @property
    def measured(self) -> VisitNumbers:
        """The numbers of one that did not fail."""
        assert self.numbers is not None
        return self.numbers

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> VisitOutcome:
        """The outcome that `typed.table` made a table of, also after a journey through JSON. ValueError, KeyError or
        TypeError where it is none."""
        found = table["numbers"]
        outcome = typed.read(cls, {**table, "numbers": None})
        return replace(outcome, numbers=None if found is None else numbers.read(found))


@dataclass(frozen=True)
class Visits:
    """The outcomes of a run that is under way, by a cell's key and what the visit was for."""

    folder: Path
    of: dict[str, list[VisitOutcome]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def stored(cls, folder: Path) -> Visits:
        """The visits that a run left in its folder. A line that is damaged is a visit that has to be made again."""
        visits = cls(folder)
        for table in lines.read(folder / VISITS):
            try:
                visits.of[str(table["key"])].append(VisitOutcome.read(table["outcome"]))
            except (KeyError, TypeError, ValueError):
                continue
        return visits

    def add(self, key: str, outcome: VisitOutcome) -> None:
        """Keep an outcome, on the disk too."""
        lines.append(self.folder / VISITS, {"key": key, "outcome": typed.table(outcome)})
        self.of[key].append(outcome)


class Executor(Protocol):
    """Runs visits somewhere."""

    def machine(self) -> str:
        """A short hash of what makes its numbers comparable; part of every cell's key."""

    def run(self, jobs: Iterable[Job], patience_s: float) -> Iterator[VisitOutcome]:
        """The outcome of each job, in the jobs' order. Jobs are drawn one at a time, when there is room for one.

        patience_s: how long they may wait, all together, for a machine that is slowed down.
        """

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
            outcome = self._visit(job, patience_s)
            patience_s = max(0.0, patience_s - outcome.waited_s)
            yield outcome
        if self.probe:
            self.probe.keep()

    def slowdown(self, speed_ms: Sequence[float]) -> float:
        return self.probe.slowdown(*speed_ms) if self.probe and speed_ms else 0.0

    def between_runs(self) -> Noise:
        return self.probe.between_runs() if self.probe and self.probe.readings else Noise()

    def _visit(self, job: Job, patience_s: float) -> VisitOutcome:
        before, waited = probes.wait(self.probe, patience_s) if self.probe else (None, 0.0)
        started, stamp = time.perf_counter(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        found = _call(job)
        seconds = time.perf_counter() - started
        readings = (before, self.probe.take()) if self.probe and before is not None else ()
        slowdown = self.slowdown(readings)
        return replace(found, speed_ms=readings, slowdown=slowdown, seconds=seconds, waited_s=waited, time_utc=stamp)


def _call(job: Job) -> VisitOutcome:
    try:
        found = worker.call(VISIT, typed.table(job), timeout_s=job.timeout_s, environment=job.environment)
        return VisitOutcome(numbers.read(found))
    except CrashError as error:
        log = error.log[-_LOG:].strip()
        if error.signal == "SIGKILL":  # somebody else's doing, most likely for want of memory
            return VisitOutcome(None, str(error), log)
        return VisitOutcome(None, f"{error}{_memory(error.peak_bytes, job.memory_limit_bytes)}", log, crashed=True)
    except JobError as error:
        return VisitOutcome(None, str(error), error.log[-_LOG:].strip())
    except WriteError:  # of them all: what is left to do would fail alike
        raise
    except InputError as error:  # of this cell; the others need not suffer from it
        return VisitOutcome(None, error.message)


def _memory(peak: int | None, limit: int | None) -> str:
    """How much memory a process had that crashed: some libraries crash where they get no more, and most do so for other
    reasons. The reader can tell."""
    if peak is None or limit is None:
        return ""
    return f" (it had {peak / 1e9:.1f} GB of memory, and may have {limit / 1e9:.1f} GB)"


def _probe_file() -> Path:
    name = environment.setting_key(environment.describe())  # the probe's threads follow the variables too
    return platformdirs.user_cache_path("vitbench") / "speed" / f"{name}.json"
