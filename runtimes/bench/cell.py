"""Measure one cell: a model on a runtime in a precision at a batch size, in a process of its own.

A job comes in as JSON and its numbers go out as JSON, so that whatever starts the process may stand elsewhere.
"""

from __future__ import annotations

import gc
import resource
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from convert import artifact as artifacts
from convert import isolate
from runtimes import registry
from runtimes.base import DeviceTimes, Options, Session, UnavailableError
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
    """A cell's description.

    artifact: its folder. environment: variables that its process starts with. timeout_s: after which it is stopped.
    """

    artifact: str
    runtime: str
    batch: int
    options: Options = field(default_factory=Options)
    effort: Effort = field(default_factory=Effort)
    environment: dict[str, str] = field(default_factory=dict)
    timeout_s: float = 900.0


def measure(job: Job) -> dict[str, Any]:
    """Run a job in a fresh process: samples_ms, their statistics, load_ms, first_ms, peak_memory_bytes, effective,
    and foreign_load (see disturbance.py).

    device_times_ms: medians by the device's own events, None without a device. JobError says why there are no numbers:
    the runtime refused, raised, crashed, or took too long.
    """
    numbers: dict[str, Any] = isolate.call(
        "runtimes.bench.cell:run_job", asdict(job), timeout_s=job.timeout_s, environment=job.environment
    )
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
    with runtime.open(artifact, Options.from_dict(job["options"])) as session:
        loaded = time.perf_counter()
        session.run(images)
        first = time.perf_counter()
        before = disturbance.read()
        samples, device_times = _sample(session, images, Effort(**job["effort"]))
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
        "device_times_ms": device_times,
        "foreign_load": foreign,
        "effective": effective,
    }


def _sample(session: Session, images: np.ndarray, effort: Effort) -> tuple[list[float], dict[str, float] | None]:
    """Wall-clock milliseconds of each inference after the warm-up, and the median of the device's own times.

    The collector rests, so that it strikes none.
    """
    gc.collect()
    gc.disable()
    try:
        _until(session, images, effort.warmup_s, effort.warmup_count, effort.max_s)
        samples, on_device = _until(session, images, effort.min_s, effort.min_count, effort.max_s)
    finally:
        gc.enable()
    if not on_device:
        return samples, None
    columns = {name: [getattr(times, name) for times in on_device] for name in asdict(on_device[0])}
    return samples, {name: statistics.median(values) for name, values in columns.items()}


def _until(
    session: Session, images: np.ndarray, seconds: float, count: int, limit: float
) -> tuple[list[float], list[DeviceTimes]]:
    run, device_times, clock = session.run, session.device_times, time.perf_counter
    samples: list[float] = []
    on_device: list[DeviceTimes] = []
    begin = clock()
    while True:
        start = clock()
        run(images)
        end = clock()
        samples.append(1e3 * (end - start))
        if times := device_times():
            on_device.append(times)
        elapsed = end - begin
        if elapsed >= limit or (elapsed >= seconds and len(samples) >= count):
            return samples, on_device
