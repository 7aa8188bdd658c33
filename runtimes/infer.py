"""Logits of an artifact on a runtime, computed in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert import artifact as artifacts
from convert import isolate
from convert.artifact import Artifact
from runtimes import registry
from runtimes.base import Options


@dataclass(frozen=True)
class Pass:
    """One way to push images through: in batches of `batch`, in the given order (indices into the images)."""

    batch: int
    order: Sequence[int]


def infer(
    artifact: Artifact, runtime: str, options: Options, images: np.ndarray, passes: Sequence[Pass]
) -> tuple[list[np.ndarray], dict[str, Any]]:
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
        effective = isolate.call("runtimes.infer:run_job", job)
        return [np.load(Path(folder, f"{i}.npy")) for i in range(len(passes))], effective


def run_job(job: dict[str, Any]) -> dict[str, Any]:
    """The other side of `infer`: reads the images, writes the logits, returns what was effective."""
    folder = Path(job["folder"])
    images = np.load(folder / "images.npy", mmap_mode="r")
    runtime = registry.get(job["runtime"])
    with runtime.open(artifacts.load(Path(job["artifact"])), Options(**job["options"])) as session:
        for i, one in enumerate(job["passes"]):
            order = np.array(one["order"])
            chunks = (
                order.take(range(start, start + one["batch"]), mode="wrap")
                for start in range(0, len(order), one["batch"])
            )
            rows = [session.run(np.ascontiguousarray(images[chunk])) for chunk in chunks]
            np.save(folder / f"{i}.npy", np.concatenate(rows)[: len(order)])
        return session.effective().as_dict()
