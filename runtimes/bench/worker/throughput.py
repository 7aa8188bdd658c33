"""Mode throughput: requests back to back on several streams, counted in a window in which all of them are busy."""

from __future__ import annotations

import dataclasses
import gc
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from runtimes.base import Options, Runtime
from runtimes.bench.worker import streams
from runtimes.bench.worker.energy import Mark, Meter
from runtimes.bench.worker.job import Effort, Job
from runtimes.bench.worker.numbers import ThroughputNumbers
from runtimes.bench.worker.streams import Apart, Request, Stream
from runtimes.bench.worker.visit import Opened
from runtimes.bench.worker.warmup import WarmUp

_START_S = 600.0  # a stream that is not ready by then never will be


def changes(runtime: Runtime, options: Options, batch: int, count: int) -> dict[str, Any]:
    """What makes a cell's job measure one point: its batch, options and mode_options. count: of streams.

    A runtime with streams of its own divides its threads among them; on others each stream is a session of its own with
    its share of the threads, rounded down.
    """
    if runtime.streams:
        divided = dataclasses.replace(options, streams=count)
    else:
        divided = dataclasses.replace(options, threads=max(1, options.thread_count() // count))
    return {"batch": batch, "options": divided, "mode_options": {"streams": count}}


def measure(opened: Opened, job: Job) -> ThroughputNumbers:
    """Images per second of the job's batch on `mode_options["streams"]` streams (1 where it does not say).

    A sample is the latency of a request, which waits for its turn on the cores. The warm-up is that of the first
    stream. Where the runtime holds Python's lock while it computes, the other streams have processes of their own.
    """
    count = int(job.mode_options.get("streams") or job.options.streams or 1)
    others: list[Apart] = []

    def run() -> object:
        return opened.session.run(opened.images)

    with ExitStack() as stack:
        lock = threading.Lock()
        # A GPU runs one process at a time: there they would gain nothing either.
        held = count > 1 and not opened.runtime.streams and job.options.device == "CPU" and streams.holds_lock(run)

        def another() -> Stream:
            if held:
                apart = Apart(job, count)
                stack.callback(apart.close)
                others.append(apart)
                return apart
            with lock:  # in the thread that will use it: a GPU's context belongs to one
                session = opened.session.twin() or opened.runtime.open(opened.artifact, job.session_options)
                stack.callback(session.close)
            return streams.here(lambda: session.run(opened.images))

        meter, marks = Meter.of(opened.runtime, job.options.device, job.batch), list[Mark | None]()
        found = drive(run, [another] * (count - 1), job.effort, mark=lambda: marks.append(meter.mark()))
        if len(marks) == 2 and marks[0] and marks[1]:
            inside = dataclasses.replace(found, begin=marks[0].time_s, end=marks[1].time_s)
            meter.add(marks[0], marks[1], inside.done())
    return ThroughputNumbers(
        images_per_s=found.per_second() * job.batch,
        stream_processes=len(others),
        other_peak_bytes=sum(apart.peak_bytes for apart in others),
        duration_s=found.end - found.begin,
        samples_ms=found.inside_ms(),
        warmup_ms=tuple(found.warmup_ms),
        steady=found.steady,
        energy=meter.windows(),
    )


@dataclass(frozen=True)
class Window:
    """Requests of all streams as (start, end) in seconds, and the window in which every stream was busy."""

    begin: float
    end: float
    requests: Sequence[Request]
    warmup_ms: list[float] = field(default_factory=list)
    steady: bool = True

    def inside_ms(self) -> tuple[float, ...]:
        """Milliseconds of those that ended in the window, in the order of their ends."""
        inside = sorted((r for r in self.requests if self.begin < r[1] <= self.end), key=lambda r: r[1])
        return tuple(1e3 * (end - start) for start, end in inside)

    def per_second(self) -> float:
        """Requests done per second."""
        return self.done() / (self.end - self.begin)

    def done(self) -> float:
        """Requests done in it. One across an edge counts with the share of its time that lies inside.

        Counting ends would be right on average too, but off by up to one request a stream.
        """
        done = 0.0
        for start, end in self.requests:
            overlap = min(end, self.end) - max(start, self.begin)
            if overlap > 0:
                done += overlap / (end - start)
        return done


def drive(
    run: Callable[[], object],
    others: Sequence[Callable[[], Stream]],
    effort: Effort,
    clock: Callable[[], float] = time.perf_counter,
    mark: Callable[[], None] = lambda: None,
) -> Window:
    """Keep one stream in this thread and one for each of `others` busy; each is made and waited for in a thread.

    Warm-up until this thread's times are steady with all streams at work, then min_s and min_count, or max_s. The
    window begins and ends with a request of this thread; the others go on beyond it. mark: called twice, when the
    warm-up is known to be over and when the window ends. Raises what any stream raised.
    """
    gate, stop = threading.Barrier(1 + len(others)), threading.Event()

    def stream(make: Callable[[], Stream]) -> list[Request]:
        try:
            mine = make()
            gate.wait(_START_S)
            return mine(stop)
        except BaseException:
            stop.set()
            gate.abort()
            raise

    own, warm, settled = list[Request](), 0, False
    gc.collect()
    gc.disable()
    try:
        with ThreadPoolExecutor(1 + len(others)) as pool:
            futures = [pool.submit(stream, make) for make in others]
            try:
                gate.wait(_START_S)
                # The first request is warm-up always: the others start beside it. The event is set where one failed.
                own, warm, settled = back_to_back(run, effort, clock, stop.is_set, 1, mark)
            except threading.BrokenBarrierError:
                pass  # a stream failed, and says why
            finally:
                stop.set()
                gate.abort()
    finally:
        gc.enable()
    for error in (one.exception() for one in futures):
        if error and not isinstance(error, threading.BrokenBarrierError):
            raise error
    if not own:
        raise TimeoutError(f"a stream did not start within {_START_S:.0f} s")
    requests = [request for record in (own, *(one.result() for one in futures)) for request in record]
    return Window(own[warm][0], own[-1][1], requests, [1e3 * (end - start) for start, end in own[:warm]], settled)


def back_to_back(
    run: Callable[[], object],
    effort: Effort,
    clock: Callable[[], float],
    broken: Callable[[], bool],
    least_warm: int = 0,
    mark: Callable[[], None] = lambda: None,
) -> tuple[list[Request], int, bool]:
    """Requests until the warm-up is over, and then until both minima are reached, or the maximum time is over.

    Returns them, how many of them are warm-up (least_warm, at least), and whether the times were steady by then.
    broken: asked after each request; where it says yes, nothing is left to measure for. mark: as of `drive`.
    """
    requests: list[Request] = []
    samples: list[float] = []
    warmup, warm, begin = WarmUp(effort.warmup_max_s), None, clock()
    while True:
        start = clock()
        run()
        end = clock()
        requests.append((start, end))
        if broken():
            return requests, 0, False
        if warm is None:
            samples.append(1e3 * (end - start))
            length = warmup.length(samples, end - begin)
            if length is None:
                continue
            warm = max(least_warm, length)
            mark()
        count = len(requests) - warm
        kept_s = end - requests[warm][0] if count else 0.0
        if count and (kept_s >= effort.max_s or (kept_s >= effort.min_s and count >= effort.min_count)):
            mark()
            return requests, warm, warmup.settled
