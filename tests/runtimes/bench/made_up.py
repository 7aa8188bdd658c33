"""Runs without processes: an executor that makes up its outcomes, and what a run needs beside it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from convert.artifact import Artifact
from runtimes.base import Options, Runtime
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.plan.plan import Plan
from runtimes.bench.plan.settings import Policy
from runtimes.bench.schedule import run
from runtimes.bench.schedule.display import Display
from runtimes.bench.schedule.outcome import VisitOutcome
from runtimes.bench.schedule.parity import Prove
from runtimes.bench.worker import numbers as visit_numbers
from runtimes.bench.worker.job import Job
from runtimes.bench.worker.numbers import VisitNumbers
from runtimes.records import store
from runtimes.records.blank import start
from runtimes.records.kinds import Parity
from runtimes.records.parts import InputsInfo
from runtimes.statistics import Noise

NAMES = ("fake-a", "fake-b", "fake-c")
FAKES = {
    name: Runtime(name, "json", ("numpy",), ("fp32",), lambda: ["CPU"], lambda artifact, options: None)  # type: ignore[arg-type,return-value]
    for name in NAMES
}
POLICY = Policy(processes=2, min_s=0.04, min_count=8, target=0.05, max_s=10, patience_s=5, repeats=1)


def numbers(samples: Iterable[float], **changes: Any) -> VisitNumbers:
    """What a visit measured. changes: fields as JSON has them; those of another mode make it a visit of that mode."""
    table = {
        "samples_ms": list(map(float, samples)),
        "warmup_ms": [9.0],
        "steady": True,
        "load_ms": 50.0,
        "first_ms": 7.0,
        "memory": {"before_load_bytes": 100, "after_load_bytes": 300, "peak_bytes": 350, "device_bytes": None},
        "disturbance": {"foreign_load": 0.01, "steal": None, "unmeasured": {"steal": "no counter"}},
        "effective": {"precision": "fp32", "device": "CPU", "details": {}},
    }
    return visit_numbers.read({**table, **changes})


@dataclass
class Fake:
    """An executor: `act` makes the outcome of the n-th visit to a job. tables: who had their turns together."""

    act: Callable[[Job, int], VisitOutcome]
    jobs: list[Job] = field(default_factory=list)
    tables: list[list[str]] = field(default_factory=list)
    patience: list[float] = field(default_factory=list)
    runs: Noise = field(default_factory=Noise)

    def machine(self) -> str:
        return "m"

    def slowdown(self, speed_ms: Sequence[float]) -> float:
        return max((0.0, *(reading / 4.0 - 1 for reading in speed_ms)))

    def between_runs(self) -> Noise:
        return self.runs

    def run(self, jobs: Iterable[Job], patience_s: float) -> Iterator[VisitOutcome]:
        for job in jobs:
            self.patience.append(patience_s)
            before = sum((one.runtime, one.batch) == (job.runtime, job.batch) for one in self.jobs)
            self.jobs.append(job)
            yield self.act(job, before)

    def take_turns(self, jobs: Sequence[Job], patience_s: float) -> list[VisitOutcome]:
        self.tables.append([job.runtime for job in jobs])
        return list(self.run(jobs, patience_s))


def good(job: Job, visit: int) -> VisitOutcome:
    rng = np.random.default_rng([visit, job.batch, NAMES.index(job.runtime)])
    return VisitOutcome(numbers(10 * job.batch * np.exp(rng.normal(0, 0.004, 6))), speed_ms=(4.0, 4.0))


def proven(folder: Path, artifact: Artifact, passed: dict[str, bool], /, inputs: str = "seeded", **fields: Any) -> None:
    """Parity records, as the validator writes them."""
    for name, verdict in passed.items():
        record = start(Parity, artifact, FAKES[name], Options(), inputs=InputsInfo(source=inputs), batches=(1, 2))
        status, reason = ("ok", None) if verdict else ("failed", "logits differ by 3")
        store.append(folder, replace(record, **{"status": status, "reason": reason, "passed": verdict, **fields}))


def unasked(cells: Sequence[Cell], folder: Path) -> None:
    raise AssertionError("parity is known")


def measure(
    plan: Plan, folder: Path, fake: Fake, resume: bool = False, prove: Prove = unasked, again: Collection[str] = ()
) -> list[Any]:
    """The records of a run; whoever reads them knows their kinds."""
    silent = Display(plan, "m", Console(quiet=True))
    return list(run.run(plan, folder, resume, silent, prove, fake, again))
