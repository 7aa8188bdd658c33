"""One visit to a cell, in a process of its own: a job comes in as JSON, its numbers go out as JSON.

Nothing here imports SciPy: statistics are the parent's work, and the import takes half a second.

Affinity is read back and not narrowed to the number of threads: runtimes have threads beside those of their operators,
which would have to share a core with them. What the scheduler does with a thread is part of the latency that users see.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.common import commands, typed
from runtimes import registry
from runtimes.base import Runtime, Session, UnavailableError
from runtimes.bench.worker import latency
from runtimes.bench.worker.energy import Meter
from runtimes.bench.worker.job import Job
from runtimes.bench.worker.numbers import VisitMemory, VisitNumbers
from runtimes.records.parts import Disturbance, Effective
from runtimes.served.counts import ServerCounts
from runtimes.system import contention, disturbance, memory

Measure = Callable[["Opened", Job], VisitNumbers]


@dataclass(frozen=True)
class _Prepared:
    """All that a visit needs before it loads its model: the runtime's package is imported, and the images are there."""

    artifact: Artifact
    runtime: Runtime
    images: np.ndarray


@dataclass(frozen=True)
class Opened:
    """A session that has run once, and all it takes to open more of them.

    images: float32 (batch, 3, height, width), the job's batch. before_load_bytes, after_load_bytes: resident memory.
    others: processes that compute for this one.
    """

    session: Session
    artifact: Artifact
    runtime: Runtime
    images: np.ndarray
    load_ms: float = 0.0
    first_ms: float = 0.0
    before_load_bytes: int = 0
    after_load_bytes: int = 0
    others: tuple[int, ...] = ()


def run_job(table: dict[str, Any]) -> dict[str, Any]:
    """Load, run once, and measure as the job's mode does: a `Job` as JSON, and its `VisitNumbers` as JSON.

    UnavailableError when the runtime refuses.
    """
    job = typed.read(Job, table)
    measure: Measure = importlib.import_module(commands.module(f"runtimes.bench.worker.{job.mode}")).measure
    with _opened(job, _prepare(job)) as opened:
        counts, before = opened.session.counts(), disturbance.read(job.options.device, opened.others)
        numbers = measure(opened, job)
        after = disturbance.read(job.options.device, opened.others)
        return _whole(opened, job, numbers, disturbance.difference(before, after), counts)


def take_turns(table: dict[str, Any], turns: Iterator[dict[str, Any] | None]) -> Iterator[dict[str, Any]]:
    """A visit of mode latency, whose session stays while those of other cells have their turns.

    table: a `Job` as JSON. It answers, with nothing, when its runtime is imported, and loads the model at the next
    message, whatever that says: imports of several rivals may go on at once, and a load is timed. It answers when the
    session is warm, and after each turn (`name`, and `seconds` to measure): `count` and `seconds` of all samples that
    are kept so far, and the first time `others`, processes that compute for it. None ends it, with its `LatencyNumbers`
    as JSON. Latency is wall-clock time from images in memory to logits in memory. UnavailableError when the runtime
    refuses.
    """
    job = typed.read(Job, table)
    prepared = _prepare(job)
    yield {}
    next(turns)
    with _opened(job, prepared) as opened:
        session = opened.session
        watch = latency.Stopwatch(
            functools.partial(session.run, opened.images),
            session.device_times,
            job.options.device,
            look=functools.partial(contention.now, opened.others),
            others=opened.others,
            meter=Meter.of(opened.runtime, job.options.device, job.batch),
        )
        watch.warm_up(job.effort.warmup_max_s)
        counts = session.counts()
        yield {"count": len(watch.kept_ms), "seconds": sum(watch.kept_ms) / 1e3, "others": opened.others}
        for turn in iter(functools.partial(next, turns), None):
            watch.turn(turn["name"], turn["seconds"])
            yield {"count": len(watch.kept_ms), "seconds": sum(watch.kept_ms) / 1e3}
        yield _whole(opened, job, watch.numbers(), disturbance.over(watch.spans), counts)


def _prepare(job: Job) -> _Prepared:
    memory.be_the_first_to_go()
    artifact, runtime = artifacts.load(Path(job.artifact)), registry.get(job.runtime)
    reason = runtime.unavailable(job.options)  # which imports the package: that is no part of loading a model
    if reason:
        raise UnavailableError(reason)
    return _Prepared(artifact, runtime, example(artifact, job.batch))


@contextmanager
def _opened(job: Job, prepared: _Prepared) -> Iterator[Opened]:
    artifact, runtime, images = prepared.artifact, prepared.runtime, prepared.images
    with memory.limited(job.memory_limit_bytes):
        before_load = memory.resident()
        start = time.perf_counter()
        with runtime.open(artifact, job.session_options) as session:
            loaded = time.perf_counter()
            session.run(images)
            first = time.perf_counter()
            times_ms = 1e3 * (loaded - start), 1e3 * (first - loaded)
            others = runtime.processes(job.session_options)
            yield Opened(session, artifact, runtime, images, *times_ms, before_load, memory.resident(), others)


def _whole(
    opened: Opened, job: Job, numbers: VisitNumbers, disturbed: Disturbance, counts: ServerCounts | None
) -> dict[str, Any]:
    """The numbers of a mode, with what every visit has, as JSON. counts: of a server, before they were measured."""
    # Before `effective`: reading it back may take memory that the model does not need.
    peak = max(memory.peak() or 0, opened.after_load_bytes) + numbers.other_peak_bytes
    held = VisitMemory(
        before_load_bytes=opened.before_load_bytes,
        after_load_bytes=opened.after_load_bytes,
        peak_bytes=peak,
        device_bytes=_device_bytes(disturbed),
    )
    after = opened.session.counts() if counts else None
    if counts and after:
        numbers = dataclasses.replace(numbers, server_times=after.times_since(counts))
        disturbed = dataclasses.replace(disturbed, foreign_requests=after.foreign_since(counts))
    elsewhere = opened.runtime.elsewhere is not None  # then this process neither loads nor holds a model
    effective = opened.session.effective()
    told, wrong = _threads(job, effective)
    whole = dataclasses.replace(
        numbers,
        load_ms=None if elsewhere else opened.load_ms,
        first_ms=opened.first_ms,
        memory=VisitMemory() if elsewhere else held,
        disturbance=disturbed,
        cores=tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else None,
        threads_readback=told,
        discrepancies=(wrong,) if wrong else (),
        effective=effective,
    )
    return dict(typed.table(whole))


def example(artifact: Artifact, batch: int) -> np.ndarray:
    """Standard normal images, float32 (batch, 3, height, width): the same ones each time."""
    return np.random.default_rng(0).standard_normal((batch, 3, *artifact.image_shape), dtype=np.float32)


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
    return told, f"{job.runtime} reports {told} thread{'s' * (told != 1)} instead of {asked}" if wrong else None
