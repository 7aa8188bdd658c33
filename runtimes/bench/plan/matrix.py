"""What is going to be measured: the cells that a matrix of models, runtimes, precisions and so on has."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convert import cli
from convert.artifact import Artifact
from convert.common.errors import InputError, listing
from convert.common.files import sha256_json
from convert.models import find, find_all
from runtimes.base import Options, Runtime
from runtimes.bench.worker.job import MODES
from runtimes.options import Selection

PERCENTILES = (90, 99)  # that the latency of a server may be bound at


@dataclass(frozen=True)
class Cell:
    """One thing to measure. argument: how the user named the model; weights: the `--weights` given.

    options.batches: every batch size that its model will see, so that what is compiled is what parity was checked on.
    batch: images per request; 1 in mode server, and where a search begins in mode throughput. mode_options: what one
    mode alone knows (see `Matrix`).
    """

    argument: str
    artifact: Artifact
    runtime: Runtime
    precision: str
    options: Options
    batch: int
    mode: str = "latency"
    weights: str | None = None
    mode_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What people call it: model, precision, runtime, and what tells it from its neighbours."""
        parts = [f"{self.artifact.model} {self.precision} on {self.runtime.name}"]
        if self.options.device != self.runtime.default_device:
            parts.append(self.options.device)
        if self.options.threads:
            parts.append(f"{self.options.threads} threads")
        parts.append(f"batch {self.batch}" if self.mode == "latency" else self.mode)
        return ", ".join(parts)

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


@dataclass(frozen=True)
class Matrix:
    """What was asked for: every combination is a cell. Sizes are checked where a matrix is made.

    models: by the names that the user gave. threads: None takes every core. batches_given: whether the user chose them.
    Mode throughput searches among the batches, mode server sends one image at a time.
    latency_bound_ms, percentile: of mode server; None leaves the bound to it, and means 99.
    """

    models: Sequence[str]
    selection: Selection
    precisions: Sequence[str] = ("fp32",)
    batches: Sequence[int] = (1, 4, 8)
    threads: Sequence[int | None] = (None,)
    modes: Sequence[str] = ("latency",)
    weights: str | None = None
    root: Path = Path("artifacts")
    batches_given: bool = False
    latency_bound_ms: float | None = None
    percentile: int | None = None

    def __post_init__(self) -> None:
        """InputError for what makes no sense."""
        unknown = [mode for mode in self.modes if mode not in MODES]
        if unknown or not self.modes:
            raise InputError(f"--mode {listing(unknown) or '(nothing)'}: choose from {', '.join(MODES)}")
        for option, values in (("--batch", self.batches), ("--threads", [t for t in self.threads if t is not None])):
            if any(value < 1 for value in values):
                raise InputError(f"{option} {min(values)}: whole numbers above zero are needed")
        for option, axis in (("--model", self.models), ("--batch", self.batches), ("--threads", self.threads)):
            if not axis:
                raise InputError(f"{option}: nothing given")
        if "server" not in self.modes:
            for option, value in (("--latency-bound", self.latency_bound_ms), ("--percentile", self.percentile)):
                if value is not None:
                    raise InputError(f"{option} {value:g}: only mode server has it; add --mode server")
        elif tuple(self.modes) == ("server",) and self.batches_given and tuple(self.batches) != (1,):
            raise InputError(f"--batch {','.join(map(str, self.batches))}: mode server sends one image at a time")
        if self.latency_bound_ms is not None and not self.latency_bound_ms > 0:
            raise InputError(f"--latency-bound {self.latency_bound_ms:g}: milliseconds above zero are needed")
        if self.percentile is not None and self.percentile not in PERCENTILES:
            raise InputError(f"--percentile {self.percentile}: choose from {', '.join(map(str, PERCENTILES))}")

    def mode_options(self, mode: str) -> dict[str, Any]:
        """What a cell's job tells the mode. throughput: `batches` to search among, ascending. server:
        `latency_bound_ms` (None: its own choice) and `percentile`."""
        if mode == "throughput":
            return {"batches": sorted(self.batches)}
        if mode == "server":
            return {"latency_bound_ms": self.latency_bound_ms, "percentile": self.percentile or max(PERCENTILES)}
        return {}


def models(text: str) -> list[str]:
    """The models of a `--model` list, by the names given. InputError for one that there is not."""
    found = find_all(text)
    for model in found:
        find(model)
    return found


def cells(matrices: Iterable[Matrix]) -> tuple[Cell, ...]:
    """The cells of some matrices, each once, in the order in which they were asked for.

    Models are converted where they are not yet. InputError when one cannot be, or two models share a name.
    """
    found = [cell for matrix in matrices for cell in _combinations(matrix)]
    batches: dict[str, set[int]] = {}
    there: dict[Path, Cell] = {}
    for cell in found:
        other = there.setdefault(cell.artifact.path, cell)
        if other.artifact.sha256 != cell.artifact.sha256:
            raise InputError(
                f"{cell.artifact.path}: asked for with --weights {other.weights} and with {cell.weights}, and has room"
                " for one of them: use --artifacts or another plan for the other"
            )
        batches.setdefault(cell.artifact.sha256, {1}).update({cell.batch, *cell.mode_options.get("batches", ())})
    once: dict[str, Cell] = {}
    for cell in found:
        together = tuple(sorted(batches[cell.artifact.sha256]))
        whole = dataclasses.replace(cell, options=dataclasses.replace(cell.options, batches=together))
        once.setdefault(key(whole, ""), whole)
    if not once:
        raise InputError("no runtime here has that precision: `python -m runtimes` shows which has which")
    return tuple(once.values())


def _combinations(matrix: Matrix) -> list[Cell]:
    made = []
    for precision in matrix.precisions:
        found = cli.artifacts(",".join(matrix.models), matrix.weights, precision, matrix.root)
        axes = itertools.product(found.items(), matrix.selection.having(precision), matrix.threads, matrix.modes)
        for (argument, artifact), runtime, threads, mode in axes:
            options = dataclasses.replace(matrix.selection.options(runtime, precision), threads=threads)
            given = matrix.mode_options(mode)
            for batch in matrix.batches if mode == "latency" else [1]:
                made.append(Cell(argument, artifact, runtime, precision, options, batch, mode, matrix.weights, given))
    return made
