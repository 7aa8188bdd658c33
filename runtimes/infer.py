"""Logits of an artifact on a runtime, computed in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.common import scratch, typed, worker
from convert.common.files import writing
from runtimes import registry
from runtimes.base import Effective, Options, Session

_IMAGES = "images.npy"


@dataclass(frozen=True)
class Pass:
    """One way to push images through: in batches of `batch`, in the given order (indices into the images)."""

    batch: int
    order: Sequence[int]


@dataclass(frozen=True)
class _Inference:
    """What a process of its own is to do. images: images.npy in `folder`, where it puts the results too."""

    artifact: str
    runtime: str
    options: Options
    folder: str
    passes: tuple[Pass, ...] = ()

    def call(self, function: str) -> Any:
        """Have it done by a function of this module. JobError when the runtime crashes, raises or is not available."""
        environment = registry.get(self.runtime).environment(self.options)
        return worker.call(f"runtimes.infer:{function}", typed.table(self), environment=environment)

    def open(self) -> Session:
        return registry.get(self.runtime).open(artifacts.load(Path(self.artifact)), self.options)


def infer(
    artifact: Artifact, runtime: str, options: Options, images: np.ndarray, passes: Sequence[Pass]
) -> tuple[list[np.ndarray], Effective]:
    """Logits of the images in each pass, and what was effective.

    images: (count, 3, height, width) float32. Returns a list of logits (len(order), classes) in the pass's order; where
    the length is no multiple of the batch, the first images fill up the last one and their second logits are dropped.
    JobError when the runtime crashes, raises or is not available.
    """
    with scratch.folder() as folder, writing(folder):
        np.save(folder / _IMAGES, images)
        listed = tuple(Pass(one.batch, list(one.order)) for one in passes)
        found = _Inference(str(artifact.path), runtime, options, str(folder), listed).call("run_job")
        return [np.load(folder / f"{i}.npy") for i in range(len(passes))], typed.read(Effective, found)


def run_job(table: dict[str, Any]) -> Any:
    """The other side of `infer`: reads the images, writes the logits, returns what was effective."""
    job = typed.read(_Inference, table)
    images = np.load(Path(job.folder, _IMAGES), mmap_mode="r")
    with job.open() as session:
        for i, one in enumerate(job.passes):
            order = np.array(one.order)
            starts = range(0, len(order), one.batch)
            chunks = (order.take(range(start, start + one.batch), mode="wrap") for start in starts)
            rows = [session.run(np.ascontiguousarray(images[chunk])) for chunk in chunks]
            np.save(Path(job.folder, f"{i}.npy"), np.concatenate(rows)[: len(order)])
        return typed.table(session.effective())


def infer_all(
    artifact: Artifact, runtime: str, options: Options, images: np.ndarray, folder: Path
) -> tuple[dict[str, Path], Effective]:
    """Every output of a model that may have several, and what was effective.

    images: (batch, 3, height, width) float32, pushed through as one batch. Returns a .npy file in `folder` for each
    output, by its name. A runtime without `run_all` must be given a model with one output. JobError as for `infer`.
    """
    with writing(folder):
        np.save(folder / _IMAGES, images)
    done = _Inference(str(artifact.path), runtime, options, str(folder)).call("run_all_job")
    return {name: folder / file for name, file in done["files"].items()}, typed.read(Effective, done["effective"])


def run_all_job(table: dict[str, Any]) -> dict[str, Any]:
    """The other side of `infer_all`: one run, every output in a file of its own."""
    job = typed.read(_Inference, table)
    images = np.load(Path(job.folder, _IMAGES))
    with job.open() as session:
        names = [output.name for output in session.outputs]
        logits = session.run(images)  # some runtimes can tell what they did only after a `run`
        if registry.get(job.runtime).intermediate:
            found = session.run_all(images)
        else:
            found = dict(zip(names, [logits], strict=True))
        files = {name: f"output-{i}.npy" for i, name in enumerate(names)}
        for name, file in files.items():
            np.save(Path(job.folder, file), found[name])
        return {"files": files, "effective": typed.table(session.effective())}
