"""What is going to be measured: the cells that a matrix of models, runtimes, precisions and so on has."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convert import cli
from convert.artifact import ARTIFACTS, Artifact
from convert.build import Request
from convert.common.disk.files import sha256_json
from convert.common.errors import CheckFailed, InputError
from convert.model_options import ModelOptions
from runtimes.base import Options, Runtime
from runtimes.bench.plan.settings import Matrix
from runtimes.options import Selection, lacking


@dataclass(frozen=True)
class Cell:
    """One thing to measure. argument: how the user named the model; chosen: what was said of it besides.

    options.batches: every batch size that its model will see, so that what is compiled is what parity was checked on.
    batch: images per request; 1 in mode server, and where a search begins in mode throughput. mode_options: what one
    mode alone knows (`Matrix.mode_options`).
    """

    argument: str
    artifact: Artifact
    runtime: Runtime
    precision: str
    options: Options
    batch: int
    mode: str = "latency"
    chosen: ModelOptions = field(default_factory=ModelOptions)
    mode_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people call it: model, precision, runtime, and what tells it from its neighbours."""
        parts = [f"{self.artifact.model} {self.made} on {self.runtime.name}"]
        if self.options.device != self.runtime.default_device:
            parts.append(self.options.device)
        if self.options.threads:
            parts.append(f"{self.options.threads} thread{'s' * (self.options.threads != 1)}")
        parts.append(f"batch {self.batch}" if self.mode == "latency" else self.mode)
        return ", ".join(parts)

    @property
    def made(self) -> str:
        """Its precision; of int8 that stands beside the model's own, with another smoothing, its folder."""
        folder = self.artifact.path.name
        return folder if folder.startswith(f"{self.precision}-") else self.precision

    @property
    def impossible(self) -> str | None:
        """Why its model cannot do its batch, in a sentence; None where it can."""
        return self.artifact.no_batch(self.batch)

    @property
    def selection(self) -> Selection:
        """What a command has to be given to ask for this cell's session."""
        options = self.options
        cache = Path(options.cache) if options.cache else None
        settings = {self.runtime.name: options.extra} if options.extra else {}
        return Selection([self.runtime], True, options.device, options.threads, options.streams, cache, settings)


def key(cell: Cell, machine: str) -> str:
    """sha256 of all that can change a number. machine: the executor's word for the one that measures.

    Where engines are kept changes none. Batches that the others have change none on a CPU, where nothing is compiled
    for them; elsewhere they decide what an engine is built for. Settings count with their defaults, so that a default
    that is spelled out is no other cell.
    """
    options, runtime = cell.options, cell.runtime
    return sha256_json(
        {
            "artifact": cell.artifact.sha256,
            "runtime": runtime.name,
            "runtime_version": runtime.version(),
            "precision": options.precision,
            "device": options.device,
            "threads": options.thread_count(),
            "streams": options.streams,
            "batches": [] if options.device == "CPU" else list(options.batches),
            "settings": {name: runtime.setting(options, name) for name in sorted(runtime.settings)},
            "batch": cell.batch,
            "mode": cell.mode,
            "mode_options": dict(cell.mode_options),
            "machine": machine,
        }
    )


def cannot_exist(matrices: Sequence[Matrix]) -> tuple[str, ...]:
    """What was asked for and is in no cell: the precisions that nobody has, and those that a named runtime lacks, in a
    clause each."""
    return lacking(
        (selection, precision)
        for matrix in matrices
        for selection, precision in itertools.product(matrix.selections, matrix.precision)
    )


# The artifacts of a matrix in a precision, by the names that the user gave.
Obtain = Callable[[Matrix, str], Mapping[str, Artifact]]


def cells(
    matrices: Sequence[Matrix],
    missing: list[Request] | None = None,
    unmade: list[str] | None = None,
    obtain: Obtain | None = None,
) -> tuple[Cell, ...]:
    """The cells of some matrices, each once, in the order in which they were asked for.

    Models are converted where they are not yet. InputError when one cannot be, or two models share a name. missing,
    unmade: as in `cli.artifacts`; those have no cells. obtain: instead of converting, for whoever has the artifacts.
    """

    def converted(matrix: Matrix, precision: str) -> Mapping[str, Artifact]:
        return artifacts(matrix, precision, missing, unmade)

    found = [cell for matrix in matrices for cell in _combinations(matrix, obtain or converted)]
    batches: dict[str, set[int]] = {}
    there: dict[Path, Cell] = {}
    for cell in found:
        other = there.setdefault(cell.artifact.path, cell)
        if other.artifact.sha256 != cell.artifact.sha256:
            one, two = other.chosen.weights, cell.chosen.weights
            raise InputError(
                f"{cell.artifact.path}: asked for with --weights {one} and with {two}, and has"
                " room for one of them: use --artifacts or another plan for the other"
            )
        if other.artifact.preprocessing != cell.artifact.preprocessing:
            one, two = other.chosen.preprocessing, cell.chosen.preprocessing
            raise InputError(
                f"{cell.artifact.path}: asked for with --preprocessing {one} and with {two}, and has one of them: use"
                " another plan for the other"
            )
        fixed = cell.artifact.batch
        seen = {fixed} if fixed else {cell.batch, *cell.mode_options.get("batches", ())}
        batches.setdefault(cell.artifact.sha256, {fixed or 1}).update(seen)
    once: dict[str, Cell] = {}
    for cell in found:
        together = tuple(sorted(batches[cell.artifact.sha256]))
        whole = dataclasses.replace(cell, options=dataclasses.replace(cell.options, batches=together))
        once.setdefault(key(whole, ""), whole)
    if not once and unmade:
        raise CheckFailed(unmade[0])
    if not once and not missing:
        why = "; ".join(cannot_exist(matrices))
        raise InputError(f"{why}: `python -m runtimes` shows which has which")
    return tuple(once.values())


def artifacts(
    matrix: Matrix, precision: str, missing: list[Request] | None = None, unmade: list[str] | None = None
) -> dict[str, Artifact]:
    """The artifacts of a matrix in a precision, converted where they are not yet; see `cli.artifacts`."""
    root = Path(matrix.artifacts or ARTIFACTS)
    return cli.artifacts(",".join(matrix.model), matrix.chosen, precision, root, missing, unmade)


def _combinations(matrix: Matrix, obtain: Obtain) -> Iterator[Cell]:
    for selection, precision in itertools.product(matrix.selections, matrix.precision):
        if not (able := selection.able(precision)):
            continue
        found = obtain(matrix, precision)
        axes = itertools.product(found.items(), able, matrix.threads, matrix.mode)
        for (argument, artifact), runtime, threads, mode in axes:
            if runtime not in selection.having(precision, artifact):
                continue
            options = dataclasses.replace(selection.options(runtime, precision), threads=threads)
            given, fixed = matrix.mode_options(mode), artifact.batch
            wanted: tuple[int, ...] = matrix.batch if mode == "latency" else (1,)
            if fixed and mode != "server" and (not matrix.batches_given or fixed in matrix.batch):
                # A batch that is named and not possible is refused in a cell of its own.
                wanted = matrix.batch if mode == "latency" and matrix.batches_given else (fixed,)
                given = {**given, "batches": [fixed]} if "batches" in given else given
            elif fixed and mode == "throughput":
                wanted = (max(matrix.batch),)
            for batch in wanted:
                yield Cell(argument, artifact, runtime, precision, options, batch, mode, matrix.chosen, given)
