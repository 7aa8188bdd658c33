"""Mode latency: one request at a time."""

from __future__ import annotations

import functools
import gc
import time
from collections.abc import Callable

from runtimes.base import DeviceTimes
from runtimes.bench.worker import numbers
from runtimes.bench.worker.job import Effort, Job
from runtimes.bench.worker.numbers import LatencyNumbers
from runtimes.bench.worker.streams import Request
from runtimes.bench.worker.visit import Opened
from runtimes.bench.worker.warmup import WarmUp


def measure(opened: Opened, job: Job) -> LatencyNumbers:
    """Wall-clock milliseconds of one inference after the other.

    The garbage collector rests, so that it strikes none.
    """
    on_device: list[DeviceTimes] = []

    def note() -> bool:
        if times := opened.session.device_times():
            on_device.append(times)
        return False

    run = functools.partial(opened.session.run, opened.images)
    gc.collect()
    gc.disable()
    try:
        requests, warm, steady = back_to_back(run, job.effort, time.perf_counter, note)
    finally:
        gc.enable()
    samples = tuple(1e3 * (end - start) for start, end in requests)
    return LatencyNumbers(
        samples_ms=samples[warm:],
        warmup_ms=samples[:warm],
        steady=steady,
        device_times_ms=numbers.device_medians(on_device[warm:]),
    )


def back_to_back(
    run: Callable[[], object],
    effort: Effort,
    clock: Callable[[], float],
    broken: Callable[[], bool],
    least_warm: int = 0,
) -> tuple[list[Request], int, bool]:
    """Requests until the warm-up is over, and then until both minima are reached, or the maximum time is over.

    Returns them, how many of them are warm-up (least_warm, at least), and whether the times were steady by then.
    broken: asked after each request; where it says yes, nothing is left to measure for.
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
        count = len(requests) - warm
        kept_s = end - requests[warm][0] if count else 0.0
        if count and (kept_s >= effort.max_s or (kept_s >= effort.min_s and count >= effort.min_count)):
            return requests, warm, warmup.settled
