"""Logits of an artifact on a runtime, computed in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.common import isolate, typed
from runtimes import registry
from runtimes.base import Effective, Options


@dataclass(frozen=True)
class Pass:
    """One way to push images through: in batches of `batch`, in the given order (indices into the images)."""

    batch: int
    order: Sequence[int]


def infer(
    artifact: Artifact, runtime: str, options: Options, images: np.ndarray, passes: Sequence[Pass]
) -> tuple[list[np.ndarray], Effective]:
    """Logits of the images in each pass, and what was effective.

    images: (count, 3, height, width) float32. Returns a list of logits (len(order), classes) in the pass's order; where
    the length is no multiple of the batch, the first images fill up the last one and their second logits are dropped.
    JobError when the runtime crashes, raises or is not available.
    """
    with tempfile.TemporaryDirectory(prefix="vitbench-") as folder:
        np.save(Path(folder, "images.npy"), images)
        job = {
            "artifact": str(artifact.path),
            "runtime": runtime,
            "options": asdict(options),
            "folder": folder,
            "passes": [{"batch": one.batch, "order": list(one.order)} for one in passes],
        }
        found = isolate.call("runtimes.infer:run_job", job, environment=_environment(runtime, options))
        return [np.load(Path(folder, f"{i}.npy")) for i in range(len(passes))], typed.read(Effective, found)


def run_job(job: dict[str, Any]) -> Any:
    """The other side of `infer`: reads the images, writes the logits, returns what was effective."""
    folder = Path(job["folder"])
    images = np.load(folder / "images.npy", mmap_mode="r")
    runtime = registry.get(job["runtime"])
    with runtime.open(artifacts.load(Path(job["artifact"])), Options.from_dict(job["options"])) as session:
        for i, one in enumerate(job["passes"]):
            order = np.array(one["order"])
            chunks = (
                order.take(range(start, start + one["batch"]), mode="wrap")
                for start in range(0, len(order), one["batch"])
            )
            rows = [session.run(np.ascontiguousarray(images[chunk])) for chunk in chunks]
            np.save(folder / f"{i}.npy", np.concatenate(rows)[: len(order)])
        return typed.table(session.effective())


def infer_all(
    artifact: Artifact, runtime: str, options: Options, images: np.ndarray, folder: Path
) -> tuple[dict[str, Path], Effective]:
    """Every output of a model that may have several, and what was effective.

    images: (batch, 3, height, width) float32, pushed through as one batch. Returns a .npy file in `folder` for each
    output, by its name. A runtime without `run_all` must be given a model with one output. JobError as for `infer`.
    """
    source = folder / "images.npy"
    np.save(source, images)
    job = {
        "artifact": str(artifact.path),
        "runtime": runtime,
        "options": asdict(options),
        "images": str(source),
        "folder": str(folder),
    }
    done = isolate.call("runtimes.infer:run_all_job", job, environment=_environment(runtime, options))
    return {name: folder / file for name, file in done["files"].items()}, typed.read(Effective, done["effective"])


def run_all_job(job: dict[str, Any]) -> dict[str, Any]:
    """The other side of `infer_all`: one run, every output in a file of its own."""
    runtime, folder = registry.get(job["runtime"]), Path(job["folder"])
    images = np.ascontiguousarray(np.load(job["images"]))
    with runtime.open(artifacts.load(Path(job["artifact"])), Options.from_dict(job["options"])) as session:
        names = [output.name for output in session.outputs]
        if runtime.intermediate:
            # Some runtimes can tell what they did only after a `run`.
            session.run(images)
            found = session.run_all(images)
        else:
            (name,) = names
            found = {name: session.run(images)}
        files = {name: f"output-{i}.npy" for i, name in enumerate(names)}
        for name, file in files.items():
            np.save(folder / file, found[name])
        return {"files": files, "effective": typed.table(session.effective())}


def _environment(runtime: str, options: Options) -> dict[str, str]:
    return registry.get(runtime).environment(options)
