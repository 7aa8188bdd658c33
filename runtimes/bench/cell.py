"""Measure one cell: a model on a runtime in a precision at a batch size, in a process of its own.

A job comes in as JSON and its numbers go out as JSON, so that whatever starts the process may stand elsewhere.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from convert import artifact as artifacts
from convert import isolate
from runtimes import registry
from runtimes.base import Options, Session, UnavailableError
from runtimes.bench import disturbance
from runtimes.bench.statistics import summarize


@dataclass(frozen=True)
class Effort:
    """How long a cell is measured: until both minima are reached, or the maximum time is over.

    warmup_s and warmup_count: both, too, before the first sample that is kept. Times in seconds.
    """

    warmup_s: float = 1.0
    warmup_count: int = 3
    min_s: float = 5.0
    min_count: int = 10
    max_s: float = 120.0


@dataclass(frozen=True)
class Job:
    """A cell's description. artifact: its folder. timeout_s: when a cell that hangs is stopped."""

    artifact: str
    runtime: str
    batch: int
    options: Options = field(default_factory=Options)
    effort: Effort = field(default_factory=Effort)
    timeout_s: float = 900.0


def measure(job: Job) -> dict[str, Any]:
    """Run a job in a fresh process: samples_ms, their statistics, load_ms, first_ms, peak_memory_bytes, effective,
    and foreign_load (see disturbance.py).

    JobError says why there are no numbers: the runtime refused, raised, crashed, or took too long.
    """
    numbers: dict[str, Any] = isolate.call("runtimes.bench.cell:run_job", asdict(job), timeout_s=job.timeout_s)
    return numbers


def run_job(job: dict[str, Any]) -> dict[str, Any]:
    """The other side of `measure`. Latency is wall-clock time from images in memory to logits in memory."""
    artifact = artifacts.load(Path(job["artifact"]))
    runtime = registry.get(job["runtime"])
    size = artifact.image_size
    images = np.random.default_rng(0).standard_normal((job["batch"], 3, size, size), dtype=np.float32)
    reason = runtime.unavailable()  # which imports the package: that is no part of loading a model
    if reason:
        raise UnavailableError(reason)
    start = time.perf_counter()
    with runtime.open(artifact, Options(**job["options"])) as session:
        loaded = time.perf_counter()
        session.run(images)
        first = time.perf_counter()
        before = disturbance.read()
        samples = _sample(session, images, Effort(**job["effort"]))
        foreign = disturbance.foreign_share(before, disturbance.read())
        # Before `effective`: reading it back may take memory that the model does not need.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        effective = session.effective().as_dict()
    return {
        "samples_ms": samples,
        **summarize(samples),
        "load_ms": 1e3 * (loaded - start),
        "first_ms": 1e3 * (first - loaded),
        "peak_memory_bytes": peak,
        "foreign_load": foreign,
        "effective": effective,
    }


def _sample(session: Session, images: np.ndarray, effort: Effort) -> list[float]:
    """Wall-clock milliseconds of each inference after the warm-up. The collector rests, so that it strikes none."""
    gc.collect()
    gc.disable()
    try:
        _until(session, images, effort.warmup_s, effort.warmup_count, effort.max_s)
        return _until(session, images, effort.min_s, effort.min_count, effort.max_s)
    finally:
        gc.enable()


def _until(session: Session, images: np.ndarray, seconds: float, count: int, limit: float) -> list[float]:
    run, clock = session.run, time.perf_counter
    samples: list[float] = []
    begin = clock()
    while True:
        start = clock()
        run(images)
        end = clock()
        samples.append(1e3 * (end - start))
        elapsed = end - begin
        if elapsed >= limit or (elapsed >= seconds and len(samples) >= count):
            return samples
