"""Measure a matrix of cells into a results folder: parity first, then each cell that passed it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convert import cli
from convert.artifact import Artifact
from convert.isolate import JobError
from runtimes.asked import Asked
from runtimes.base import Runtime, discrepancy
from runtimes.bench import records, store
from runtimes.bench.cell import Effort, Job, measure
from runtimes.bench.disturbance import TOLERABLE_SHARE
from runtimes.bench.proof import Proof, proof
from runtimes.bench.store import Record

_NO_NUMBERS: Record = {
    "samples_ms": [],
    **dict.fromkeys(
        (
            "count",
            "median_ms",
            "ci95_ms",
            "p90_ms",
            "p95_ms",
            "p99_ms",
            "load_ms",
            "first_ms",
            "peak_memory_bytes",
            "device_times_ms",
            "foreign_load",
        )
    ),
}


@dataclass(frozen=True)
class Matrix:
    """What is asked for. artifacts: by the names that the user gave the models; weights: the `--weights` given."""

    artifacts: dict[str, Artifact]
    precision: str
    asked: Asked
    batches: list[int]
    weights: str | None = None
    root: Path = Path("artifacts")
    effort: Effort = field(default_factory=Effort)

    @property
    def runtimes(self) -> list[Runtime]:
        return self.asked.having(self.precision)

    @property
    def cells(self) -> int:
        return len(self.artifacts) * len(self.runtimes) * len(self.batches)


def run(matrix: Matrix, folder: Path, resume: bool, on_cell: Callable[[str], None]) -> Iterator[Record]:
    """Measure every cell and append its record; yields each. on_cell: told what starts.

    resume: a cell that the folder already has a number for is not measured again, and its stored record is yielded. A
    cell whose runtime failed parity is refused with the reason; one that crashes or hangs is recorded as failed, and
    the rest goes on.
    """
    known = store.read(folder) if (folder / store.RESULTS).exists() else []
    for argument, artifact in matrix.artifacts.items():
        cells = [_blank(matrix, argument, artifact, r, batch) for r in matrix.runtimes for batch in matrix.batches]
        unproven = {cell["runtime"]: None for cell in cells if proof(cell, known).passed is None}
        if unproven:
            on_cell(f"parity of {artifact.model} on {', '.join(unproven)}")
            prove(matrix, argument, [runtime for runtime in matrix.runtimes if runtime.name in unproven], folder)
            known = store.read(folder)
        for cell in cells:
            on_cell(f"{artifact.model} {matrix.precision} on {cell['runtime']}, batch {cell['batch']}")
            stored = _stored(cell, known) if resume else None
            if stored is None:
                stored = cell | _numbers(matrix, artifact, cell, proof(cell, known))
                store.append(folder, stored)
            yield stored


def prove(matrix: Matrix, argument: str, runtimes: list[Runtime], folder: Path) -> None:
    """Have parity checked, by the command that a user would give: it is the validator's work, which builds on ours."""
    options: dict[str, Any] = {
        "model": argument,
        "weights": matrix.weights,
        "artifacts": matrix.root,
        "precision": matrix.precision,
        "batch": ",".join(map(str, matrix.batches)),
        "out": folder,
        **matrix.asked.arguments(runtimes),
    }
    # Whatever comes of it stands in the records; a runtime without one is refused below.
    subprocess.run(
        [sys.executable, "-m", "validate.parity", *records.words(options)], stdout=subprocess.DEVNULL, check=False
    )


def _blank(matrix: Matrix, argument: str, artifact: Artifact, runtime: Runtime, batch: int) -> Record:
    command = records.command(
        "runtimes.bench",
        argument,
        artifact,
        matrix.weights,
        precision=matrix.precision,
        batch=batch,
        **matrix.asked.arguments([runtime]),
    )
    options = matrix.asked.options(runtime, matrix.precision)
    return records.blank("latency", artifact, runtime, matrix.precision, options) | {
        "command": command,
        "batch": batch,
        "threads": options.thread_count(),
        **_NO_NUMBERS,
    }


def _numbers(matrix: Matrix, artifact: Artifact, cell: Record, parity: Proof) -> Record:
    if not parity.passed:
        return {"status": "refused", "reason": parity.reason}
    (runtime,) = (runtime for runtime in matrix.runtimes if runtime.name == cell["runtime"])
    # The batches that parity ran with: what is compiled for them is then the same, and not only alike.
    options = matrix.asked.options(runtime, matrix.precision, sorted({1, *matrix.batches}))
    try:
        environment = runtime.environment(options)
        numbers = measure(Job(str(artifact.path), runtime.name, cell["batch"], options, matrix.effort, environment))
    except JobError as error:
        cli.say(error.log[-2000:].strip())
        return {"status": "failed", "reason": str(error)}
    effective = numbers["effective"]
    if reason := discrepancy(cell["runtime"], effective, options):
        return {"effective": effective, "status": "failed", "reason": reason}
    foreign = numbers["foreign_load"]
    if foreign is not None and foreign > TOLERABLE_SHARE:
        reason = f"other processes took {foreign:.0%} of the processor meanwhile: measure it again on a quiet machine"
        return numbers | {"status": "unstable", "reason": reason}
    return numbers


# What two records of one cell have in common.
_CELL = (
    "kind",
    "artifact",
    "runtime",
    "runtime_version",
    "precision",
    "device",
    "batch",
    "threads",
    "streams",
    "settings",
)


def _stored(cell: Record, known: list[Record]) -> Record | None:
    """The newest record with a number for a cell: same artifact, runtime, version and options."""
    found = [r for r in known if r["status"] == "ok" and all((r.get(k) or None) == (cell[k] or None) for k in _CELL)]
    return found[-1] if found else None
