"""Streams beside the first one of mode throughput: each in a thread, or in a process of its own where a runtime holds
Python's global lock while it computes, so that threads would run one after the other.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from convert import artifact as artifacts
from convert.common import typed
from convert.common.isolate import JobError, death, die_with_parent
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


@dataclass
class Apart:
    """A stream in a process of its own. peak_bytes: of its memory, known when it is over."""

    process: subprocess.Popen[str]
    peak_bytes: int = field(default=0)

    @classmethod
    def start(cls, job: Job, streams: int) -> Apart:
        """One of so many, loaded and ready; the memory that the job may have is divided among them. JobError says why
        there is none."""
        limit = job.memory_limit_bytes
        job = replace(job, memory_limit_bytes=limit // streams if limit else None)
        command = [sys.executable, "-m", "runtimes.bench.worker.streams"]
        apart = cls(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        try:
            apart._tell(json.dumps(typed.table(job)))
            apart._hear()
        except BaseException:
            apart.close()
            raise
        return apart

    def __call__(self, stop: threading.Event) -> list[Request]:
        self._tell("go")
        stop.wait()
        self._tell("stop")
        found = self._hear()
        self.peak_bytes = found["peak_bytes"]
        return [(start, end) for start, end in found["requests"]]

    def close(self) -> None:
        """End it, and wait for it: only then its time counts as ours (os.times)."""
        self.process.kill()
        self.process.communicate()

    def _tell(self, line: str) -> None:
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):  # it is dead: `_hear` says why
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise JobError(f"a stream: {death(self.process.wait())}")
        found: dict[str, Any] = json.loads(line)
        if "failure" in found:
            raise JobError(f"a stream: {found['failure']}")
        return found


def _main() -> None:
    """The other side of `Apart`."""
    die_with_parent()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what runtimes print

    def say(table: dict[str, Any]) -> None:
        out.write(json.dumps(table) + "\n")
        out.flush()

    job, stop = typed.read(Job, json.loads(sys.stdin.readline())), threading.Event()

    def listen() -> None:
        sys.stdin.readline()
        stop.set()

    try:
        artifact, runtime = artifacts.load(Path(job.artifact)), registry.get(job.runtime)
        images = visit.example(artifact, job.batch)
        with memory.limited(job.memory_limit_bytes), runtime.open(artifact, job.session_options) as session:
            stream = here(lambda: session.run(images))
            say({})
            sys.stdin.readline()
            gc.disable()
            threading.Thread(target=listen, daemon=True).start()
            say({"requests": stream(stop), "peak_bytes": memory.peak() or 0})
    except Exception as error:
        traceback.print_exc()
        said = (str(error).strip() or "no message").splitlines()[0]
        say({"failure": f"{type(error).__name__}: {said}"})
    os._exit(0)  # native libraries that crash while they are torn down have said what they had to say


if __name__ == "__main__":
    _main()
