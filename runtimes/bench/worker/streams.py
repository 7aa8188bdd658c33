"""Streams beside the first one of mode throughput: each in a thread, or in a process of its own where a runtime holds
Python's global lock while it computes, so that threads would run one after the other.
"""

from __future__ import annotations

import gc
import itertools
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from convert import artifact as artifacts
from convert.common import typed
from convert.common.worker import JobError, Worker
from runtimes import registry
from runtimes.bench.worker import visit
from runtimes.bench.worker.job import Job
from runtimes.system import memory

Request = tuple[float, float]  # begin and end in seconds of `time.perf_counter`, which all processes share
Stream = Callable[[threading.Event], list[Request]]  # requests back to back until the event; it has run once before

# The lock is looked for in a few inferences, by a thread that wakes each half millisecond. One that is too short says
# nothing, and costs little: between inferences the lock is free.
_LOOKS, _TICK_S, _SHORTEST_S, _HELD_SHARE = 7, 0.0005, 0.004, 0.8


def here(run: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> Stream:
    """A stream in the thread that makes it and calls it."""
    run()

    def stream(stop: threading.Event) -> list[Request]:
        requests = []
        while not stop.is_set():
            start = clock()
            run()
            requests.append((start, clock()))
        return requests

    return stream


def holds_lock(run: Callable[[], object]) -> bool:
    """Whether other threads stand still while it runs, by how long one that wants to go on is kept from it at a time:
    nearly a whole run in most runs. False for runs below 4 ms, of which it cannot be told."""
    ticks: list[float] = []
    stop = threading.Event()

    def tick() -> None:
        while not stop.is_set():
            time.sleep(_TICK_S)
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    runs: list[Request] = []
    try:
        for _ in range(_LOOKS):
            start = time.perf_counter()
            run()
            runs.append((start, time.perf_counter()))
    finally:
        stop.set()
        thread.join()
    if statistics.median(end - start for start, end in runs) < _SHORTEST_S:
        return False
    shares = []
    for start, end in runs:
        marks = [start, *(tick for tick in ticks if start < tick < end), end]
        shares.append(max(b - a for a, b in itertools.pairwise(marks)) / (end - start))
    return statistics.median(shares) > _HELD_SHARE


class Apart:
    """A stream in a process of its own, loaded and ready. peak_bytes: of its memory, known when it is over.

    streams: among how many of them the memory that the job may have is divided. JobError says why there is none, or
    why it gave no requests.
    """

    def __init__(self, job: Job, streams: int) -> None:
        limit = job.memory_limit_bytes
        job = replace(job, memory_limit_bytes=limit // streams if limit else None)
        self.peak_bytes = 0
        self.worker = Worker("runtimes.bench.worker.streams:serve", typed.table(job))
        try:
            self._receive()
        except BaseException:
            self.close()
            raise

    def __call__(self, stop: threading.Event) -> list[Request]:
        self.worker.send("go")
        stop.wait()
        self.worker.send("stop")
        found = self._receive()
        self.peak_bytes = found["peak_bytes"]
        return [(start, end) for start, end in found["requests"]]

    def close(self) -> None:
        self.worker.close(kill=True)

    def _receive(self) -> Any:
        try:
            return self.worker.receive()
        except JobError as error:
            raise JobError(f"a stream: {error}", error.log) from None


def serve(table: dict[str, Any], messages: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The other side of `Apart`: an answer when the model is loaded, and at the second message what came of it."""
    job, stop = typed.read(Job, table), threading.Event()

    def listen() -> None:
        next(messages)
        stop.set()

    artifact, runtime = artifacts.load(Path(job.artifact)), registry.get(job.runtime)
    images = visit.example(artifact, job.batch)
    with memory.limited(job.memory_limit_bytes), runtime.open(artifact, job.session_options) as session:
        stream = here(lambda: session.run(images))
        yield {}
        next(messages)
        gc.disable()
        threading.Thread(target=listen, daemon=True).start()
        yield {"requests": stream(stop), "peak_bytes": memory.peak() or 0}
