"""One visit to a cell, in a process of its own: a job comes in as JSON, its numbers go out as JSON.

Nothing here imports SciPy: statistics are the parent's work, and the import takes half a second.

Affinity is read back and not narrowed to the number of threads: runtimes have threads beside those of their operators,
which would have to share a core with them. What the scheduler does with a thread is part of the latency that users see.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.common import typed
from runtimes import registry
from runtimes.base import Runtime, Session, UnavailableError
from runtimes.bench.worker.job import Job
from runtimes.bench.worker.numbers import VisitMemory, VisitNumbers
from runtimes.records.parts import Disturbance, Effective
from runtimes.system import disturbance, memory

Measure = Callable[["Opened", Job], VisitNumbers]


@dataclass(frozen=True)
class Opened:
    """What a mode gets: a session that has run once, and all it takes to open more of them.

    images: float32 (batch, 3, height, width), the job's batch.
    """

    session: Session
    artifact: Artifact
    runtime: Runtime
    images: np.ndarray


def run_job(table: dict[str, Any]) -> dict[str, Any]:
    """Load, run once, and measure as the job's mode does: a `Job` as JSON, and its `VisitNumbers` as JSON.

    Latency is wall-clock time from images in memory to logits in memory. UnavailableError when the runtime refuses.
    """
    job = typed.read(Job, table)
    memory.be_the_first_to_go()
    artifact, runtime = artifacts.load(Path(job.artifact)), registry.get(job.runtime)
    images = example(artifact, job.batch)
    measure: Measure = importlib.import_module(f"runtimes.bench.worker.{job.mode}").measure
    reason = runtime.unavailable()  # which imports the package: that is no part of loading a model
    if reason:
        raise UnavailableError(reason)
    with memory.limited(job.memory_limit_bytes):
        before_load = memory.resident()
        start = time.perf_counter()
        with runtime.open(artifact, job.session_options) as session:
            loaded = time.perf_counter()
            session.run(images)
            first = time.perf_counter()
            after_load = memory.resident()
            before = disturbance.read(job.options.device)
            numbers = measure(Opened(session, artifact, runtime, images), job)
            disturbed = disturbance.difference(before, disturbance.read(job.options.device))
            # Before `effective`: reading it back may take memory that the model does not need.
            peak = max(memory.peak() or 0, after_load) + numbers.other_peak_bytes
            effective = session.effective()
    told, wrong = _threads(job, effective)
    whole = dataclasses.replace(
        numbers,
        load_ms=1e3 * (loaded - start),
        first_ms=1e3 * (first - loaded),
        memory=VisitMemory(
            before_load_bytes=before_load,
            after_load_bytes=after_load,
            peak_bytes=peak,
            device_bytes=_device_bytes(disturbed),
        ),
        disturbance=disturbed,
        cores=tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else None,
        threads_readback=told,
        discrepancies=(wrong,) if wrong else (),
        effective=effective,
    )
    return dict(typed.table(whole))


def example(artifact: Artifact, batch: int) -> np.ndarray:
    """Standard normal images, float32 (batch, 3, height, width): the same ones each time."""
    size = artifact.image_size
    return np.random.default_rng(0).standard_normal((batch, 3, size, size), dtype=np.float32)


def _device_bytes(disturbed: Disturbance) -> int | None:
    """Memory in use on the GPU at the end, the driver's own and that of others included; None without a GPU."""
    used = (disturbed.gpu or {}).get("memory_used_bytes")
    return used[1] if used else None


def _threads(job: Job, effective: Effective) -> tuple[int | None, str | None]:
    """Threads as the runtime reports them, None where it does not; and in a sentence where they are not as asked."""
    told = effective.details.get("threads")
    if not isinstance(told, int):
        return None, None
    asked = job.options.thread_count()
    wrong = told != asked and job.mode == "latency"
    return told, f"{job.runtime} reports {told} threads instead of {asked}" if wrong else None
