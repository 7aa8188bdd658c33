"""Logits of an artifact on a runtime, computed in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from convert import artifact as artifacts
from convert import isolate
from convert.artifact import Artifact
from runtimes import registry
from runtimes.base import Options


def infer(
    artifact: Artifact, runtime: str, options: Options, images: np.ndarray, batches: Sequence[int]
) -> tuple[dict[int, np.ndarray], dict[str, Any]]:
    """Logits of the same images at each batch size, and what was effective.

    images: (count, 3, height, width) float32. Returns {batch: logits (count, classes)}; where the count is no multiple
    of the batch, the first images fill up the last one and their second logits are dropped. JobFailed when the runtime
    crashes, raises or is not available.
    """
    with tempfile.TemporaryDirectory(prefix="vitbench-") as folder:
        np.save(Path(folder, "images.npy"), images)
        job = {
            "artifact": str(artifact.path),
            "runtime": runtime,
            "options": asdict(options),
            "folder": folder,
            "batches": list(batches),
        }
        effective = isolate.call("runtimes.infer:run_job", job)
        logits = {batch: np.load(Path(folder, f"{batch}.npy")) for batch in batches}
    return logits, effective


def run_job(job: dict[str, Any]) -> dict[str, Any]:
    """The other side of `infer`: reads the images, writes the logits, returns what was effective."""
    folder = Path(job["folder"])
    images = np.load(folder / "images.npy")
    runtime = registry.get(job["runtime"])
    with runtime.open(artifacts.load(Path(job["artifact"])), Options(**job["options"])) as session:
        for batch in job["batches"]:
            rows = [session.run(chunk) for chunk in _chunks(images, batch)]
            np.save(folder / f"{batch}.npy", np.concatenate(rows)[: len(images)])
        return session.effective().as_dict()


def _chunks(images: np.ndarray, batch: int) -> Iterator[np.ndarray]:
    for start in range(0, len(images), batch):
        yield images.take(range(start, start + batch), axis=0, mode="wrap")
