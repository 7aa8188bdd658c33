"""Who runs visits: the seam between what is to be measured and where.

An executor takes jobs and gives outcomes, both of them JSON. Here it is this machine, one visit after the other. One
that knows several machines gives each job to a machine that can run it; nothing else has to change.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import platformdirs

from convert.common import isolate
from convert.common.errors import InputError
from convert.common.isolate import CrashError, JobError
from runtimes.bench.worker.job import Job
from runtimes.statistics import Noise
from runtimes.system import environment
from runtimes.system import speed_probe as probes
from runtimes.system.speed_probe import Probe

VISIT = "runtimes.bench.worker.visit:run_job"
_LOG = 4000  # characters kept of what a visit printed: the Python stack of a crash fits


@dataclass(frozen=True)
class Outcome:
    """What came of a visit.

    numbers: what `visit.run_job` gave; None where it failed, for the reason in `failure` (`log`: what it printed).
    crashed: whether its process was ended by a signal of its own making.
    speed_ms: the machine's speed before and after. slowdown: by how much it was slower than at its best so far.
    waited_s: for a machine that is slowed down.
    """

    numbers: Mapping[str, Any] | None
    failure: str | None = None
    log: str = ""
    speed_ms: tuple[float, ...] = ()
    slowdown: float = 0.0
    seconds: float = 0.0
    waited_s: float = 0.0
    time_utc: str = ""
    crashed: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Outcome:
        """The outcome that `as_dict` made a table of, also after a journey through JSON."""
        return cls(**{**table, "speed_ms": tuple(table["speed_ms"])})


class Executor(Protocol):
    """Runs visits somewhere."""

    def machine(self) -> str:
        """A short hash of what makes its numbers comparable; part of every cell's key."""

    def run(self, jobs: Iterable[Job], patience_s: float) -> Iterator[Outcome]:
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

    def run(self, jobs: Iterable[Job], patience_s: float = 0.0) -> Iterator[Outcome]:
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

    def _visit(self, job: Job, patience_s: float) -> Outcome:
        before, waited = probes.wait(self.probe, patience_s) if self.probe else (None, 0.0)
        started, stamp = time.perf_counter(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        found = _call(job)
        seconds = time.perf_counter() - started
        readings = (before, self.probe.take()) if self.probe and before is not None else ()
        slowdown = self.slowdown(readings)
        return replace(found, speed_ms=readings, slowdown=slowdown, seconds=seconds, waited_s=waited, time_utc=stamp)


def _call(job: Job) -> Outcome:
    try:
        return Outcome(isolate.call(VISIT, job.as_dict(), timeout_s=job.timeout_s, environment=job.environment))
    except CrashError as error:
        log = error.log[-_LOG:].strip()
        if error.signal == "SIGKILL":  # somebody else's doing, most likely for want of memory
            return Outcome(None, str(error), log)
        return Outcome(None, f"{error}{_memory(error.peak_bytes, job.memory_limit_bytes)}", log, crashed=True)
    except JobError as error:
        return Outcome(None, str(error), error.log[-_LOG:].strip())
    except InputError as error:  # of this cell; the others need not suffer from it
        return Outcome(None, error.message)


def _memory(peak: int | None, limit: int | None) -> str:
    """How much memory a process had that crashed: some libraries crash where they get no more, and most do so for other
    reasons. The reader can tell."""
    if peak is None or limit is None:
        return ""
    return f" (it had {peak / 1e9:.1f} GB of memory, and may have {limit / 1e9:.1f} GB)"


def _probe_file() -> Path:
    name = environment.setting_key(environment.describe())  # the probe's threads follow the variables too
    return platformdirs.user_cache_path("vitbench") / "speed" / f"{name}.json"
