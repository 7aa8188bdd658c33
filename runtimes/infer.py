"""Logits of an artifact on a runtime, computed in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.common import typed, worker
from convert.common.disk import scratch
from convert.common.disk.files import writing
from runtimes import registry
from runtimes.base import Effective, Options, Session

_IMAGES = "images.npy"


@dataclass(frozen=True)
class Pass:
    """One way to push images through: in batches of `batch`, in the given order (indices into the images)."""

    batch: int
    order: Sequence[int]


@dataclass(frozen=True)
class Inference:
    """What a process of its own is to load."""

    artifact: str
    runtime: str
    options: Options

    @property
    def environment(self) -> dict[str, str]:
        return registry.get(self.runtime).environment(self.options)

    def open(self) -> Session:
        return registry.get(self.runtime).open(artifacts.load(Path(self.artifact)), self.options)


@dataclass(frozen=True)
class _Asked:
    """What it is to do. folder: with images.npy, where it puts the results too."""

    folder: str
    passes: tuple[Pass, ...] = ()


class Opening:
    """A session that opens in a process of its own from now on, so that the caller need not wait for it.

    It computes nothing before `run`. The process is gone at the end of a `with` block.
    """

    def __init__(self, artifact: Artifact, runtime: str, options: Options) -> None:
        wanted = Inference(str(artifact.path), runtime, options)
        self._worker = worker.Worker("runtimes.infer:serve", typed.table(wanted), wanted.environment)

    def run(self, images: np.ndarray, passes: Sequence[Pass]) -> tuple[list[np.ndarray], Effective]:
        """As `infer`, of which it is the second half."""
        with scratch.folder() as folder, writing(folder):
            np.save(folder / _IMAGES, images)
            listed = tuple(Pass(one.batch, list(one.order)) for one in passes)
            self._worker.send(typed.table(_Asked(str(folder), listed)))
            found = worker.answer(self._worker)
            return [np.load(folder / f"{i}.npy") for i in range(len(passes))], typed.read(Effective, found)

    def stop(self) -> None:
        """End it, whatever it is at."""
        self._worker.close(kill=True)

    def __enter__(self) -> Opening:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._worker.close(kill=error is not None)


def infer(
    artifact: Artifact, runtime: str, options: Options, images: np.ndarray, passes: Sequence[Pass]
) -> tuple[list[np.ndarray], Effective]:
    """Logits of the images in each pass, and what was effective.

    images: (count, 3, height, width) float32. Returns a list of logits (len(order), classes) in the pass's order; where
    the length is no multiple of the batch, the first images fill up the last one and their second logits are dropped.
    JobError when the runtime crashes, raises or is not available.
    """
    with Opening(artifact, runtime, options) as opening:
        return opening.run(images, passes)


def serve(table: dict[str, Any], messages: Iterator[Any]) -> Iterator[Any]:
    """The other side of `Opening`: opens, and when it is asked reads the images, writes the logits, yields what was
    effective."""
    with typed.read(Inference, table).open() as session:
        for message in messages:
            asked = typed.read(_Asked, message)
            images = np.load(Path(asked.folder, _IMAGES), mmap_mode="r")
            for i, one in enumerate(asked.passes):
                order = np.array(one.order)
                starts = range(0, len(order), one.batch)
                chunks = (order.take(range(start, start + one.batch), mode="wrap") for start in starts)
                rows = [session.run(np.ascontiguousarray(images[chunk])) for chunk in chunks]
                np.save(Path(asked.folder, f"{i}.npy"), np.concatenate(rows)[: len(order)])
            yield typed.table(session.effective())


def infer_all(
    artifact: Artifact, runtime: str, options: Options, images: np.ndarray, folder: Path
) -> tuple[dict[str, Path], Effective]:
    """Every output of a model that may have several, and what was effective.

    images: (batch, 3, height, width) float32, pushed through as one batch. Returns a .npy file in `folder` for each
    output, by its name. A runtime without `run_all` must be given a model with one output. JobError as for `infer`.
    """
    with writing(folder):
        np.save(folder / _IMAGES, images)
    wanted = Inference(str(artifact.path), runtime, options)
    payload = {"wanted": typed.table(wanted), "folder": str(folder)}
    done = worker.call("runtimes.infer:run_all_job", payload, environment=wanted.environment)
    return {name: folder / file for name, file in done["files"].items()}, typed.read(Effective, done["effective"])


def run_all_job(payload: dict[str, Any]) -> dict[str, Any]:
    """The other side of `infer_all`: one run, every output in a file of its own."""
    job, folder = typed.read(Inference, payload["wanted"]), Path(payload["folder"])
    images = np.load(folder / _IMAGES)
    with job.open() as session:
        names = [output.name for output in session.outputs]
        logits = session.run(images)  # some runtimes can tell what they did only after a `run`
        if registry.get(job.runtime).intermediate:
            found = session.run_all(images)
        else:
            found = dict(zip(names, [logits], strict=True))
        files = {name: f"output-{i}.npy" for i, name in enumerate(names)}
        for name, file in files.items():
            np.save(folder / file, found[name])
        return {"files": files, "effective": typed.table(session.effective())}
