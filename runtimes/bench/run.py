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
from runtimes.base import Options, Runtime
from runtimes.bench import records, store
from runtimes.bench.cell import Effort, Job, measure
from runtimes.bench.store import Record

_NO_NUMBERS: Record = {
    "samples_ms": [],
    **dict.fromkeys(
        ("count", "median_ms", "ci95_ms", "p90_ms", "p95_ms", "p99_ms", "load_ms", "first_ms", "peak_memory_bytes")
    ),
}


@dataclass(frozen=True)
class Matrix:
    """What is asked for. artifacts: by the names that the user gave the models; weights: the `--weights` given."""

    artifacts: dict[str, Artifact]
    precision: str
    runtimes: list[Runtime]
    batches: list[int]
    threads: int | None = None
    weights: str | None = None
    root: Path = Path("artifacts")
    effort: Effort = field(default_factory=Effort)

    def options(self, runtime: Runtime) -> Options:
        return Options(self.precision, runtime.default_device, self.threads)

    @property
    def cells(self) -> int:
        return len(self.artifacts) * len(self.runtimes) * len(self.batches)


def run(matrix: Matrix, folder: Path, resume: bool, on_cell: Callable[[str], None]) -> Iterator[Record]:
    """Measure every cell and append its record; yields each. on_cell: told what starts.

    resume: what the folder already holds for the same artifact is not done again. A cell whose runtime failed parity is
    refused with the reason; one that crashes or hangs is recorded as failed, and the rest goes on.
    """
    known = store.read(folder) if (folder / store.RESULTS).exists() else []
    for argument, artifact in matrix.artifacts.items():
        unproven = [r for r in matrix.runtimes if parity_verdict(known, artifact, r, matrix) is None]
        if unproven:
            on_cell(f"parity of {artifact.model} on {', '.join(runtime.name for runtime in unproven)}")
            prove(matrix, argument, unproven, folder)
            known = store.read(folder)
        for runtime in matrix.runtimes:
            for batch in matrix.batches:
                blank = _blank(matrix, argument, artifact, runtime, batch)
                if resume and any(_same_cell(record, blank) for record in known):
                    continue
                on_cell(f"{artifact.model} {matrix.precision} on {runtime.name}, batch {batch}")
                record = blank | _numbers(
                    matrix, artifact, runtime, batch, parity_verdict(known, artifact, runtime, matrix)
                )
                store.append(folder, record)
                yield record


def parity_verdict(known: list[Record], artifact: Artifact, runtime: Runtime, matrix: Matrix) -> Record | None:
    """The newest parity record that covers these cells; None when parity was not checked at all of their batches."""
    covering = [
        record
        for record in known
        if record["kind"] == "parity"
        and (record["artifact"], record["runtime"], record["precision"])
        == (artifact.sha256, runtime.name, matrix.precision)
        and set(matrix.batches) <= set(record["batches"])
    ]
    return covering[-1] if covering else None


def prove(matrix: Matrix, argument: str, runtimes: list[Runtime], folder: Path) -> None:
    """Have parity checked, by the command that a user would give: it is the validator's work, which builds on ours."""
    options: dict[str, Any] = {
        "--model": argument,
        "--weights": matrix.weights,
        "--artifacts": matrix.root,
        "--precision": matrix.precision,
        "--runtime": ",".join(runtime.name for runtime in runtimes),
        "--batch": ",".join(map(str, matrix.batches)),
        "--threads": matrix.threads,
        "--out": folder,
    }
    words = [part for name, value in options.items() if value is not None for part in (name, str(value))]
    # Whatever comes of it stands in the records; a runtime without one is refused below.
    subprocess.run([sys.executable, "-m", "validate.parity", *words], stdout=subprocess.DEVNULL, check=False)


def _blank(matrix: Matrix, argument: str, artifact: Artifact, runtime: Runtime, batch: int) -> Record:
    options = matrix.options(runtime)
    command = records.command(
        "runtimes.bench",
        argument,
        artifact,
        matrix.weights,
        runtime=runtime.name,
        precision=matrix.precision,
        batch=batch,
        threads=matrix.threads,
    )
    return records.blank("latency", artifact, runtime.name, matrix.precision, options.device) | {
        "command": command,
        "batch": batch,
        "threads": options.thread_count(),
        "runtime_version": runtime.version(),
        **_NO_NUMBERS,
    }


def _numbers(matrix: Matrix, artifact: Artifact, runtime: Runtime, batch: int, parity: Record | None) -> Record:
    if parity is None:
        return {"status": "refused", "reason": "parity could not be checked, so a speed would mean nothing"}
    if not parity["passed"]:
        return {"status": "refused", "reason": f"failed parity: {parity['reason']}"}
    try:
        numbers = measure(Job(str(artifact.path), runtime.name, batch, matrix.options(runtime), matrix.effort))
    except JobError as error:
        cli.say(error.log[-2000:].strip())
        return {"status": "failed", "reason": str(error)}
    ran_as = numbers["effective"]["precision"]
    if ran_as != matrix.precision:
        return {**_NO_NUMBERS, "effective": numbers["effective"], "status": "failed",
                "reason": f"{runtime.name} computed in {ran_as} instead of {matrix.precision}"}  # fmt: skip
    return numbers


def _same_cell(record: Record, blank: Record) -> bool:
    """Whether a stored record answers a cell, for good or because it was refused."""
    keys = ("kind", "artifact", "runtime", "runtime_version", "precision", "device", "batch", "threads")
    return record["status"] in ("ok", "refused") and all(record.get(key) == blank[key] for key in keys)
