"""Mode latency: one request at a time."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Sequence

from convert.common import typed
from runtimes.base import DeviceTimes
from runtimes.bench.worker.job import Job
from runtimes.bench.worker.numbers import LatencyNumbers
from runtimes.bench.worker.visit import Opened
from runtimes.bench.worker.warmup import WarmUp
from runtimes.records.parts import DeviceMedians


def measure(opened: Opened, job: Job) -> LatencyNumbers:
    """Wall-clock milliseconds of one inference after the other.

    The garbage collector rests, so that it strikes none.
    """
    run, device_times, clock = opened.session.run, opened.session.device_times, time.perf_counter
    images, effort = opened.images, job.effort
    samples: list[float] = []
    on_device: list[DeviceTimes] = []
    warm: int | None = None
    warmup, kept_s, warm_s = WarmUp(effort.warmup_max_s), 0.0, 0.0
    gc.collect()
    gc.disable()
    try:
        begin = clock()
        while True:
            start = clock()
            run(images)
            end = clock()
            samples.append(1e3 * (end - start))
            if times := device_times():
                on_device.append(times)
            elapsed = end - begin
            if warm is None:
                warm = warmup.length(samples, elapsed)
                if warm is None:
                    continue
                warm_s = sum(samples[:warm]) / 1e3
            kept_s = elapsed - warm_s
            enough = kept_s >= effort.min_s and len(samples) - warm >= effort.min_count
            if (enough or kept_s >= effort.max_s) and len(samples) > warm:
                break
    finally:
        gc.enable()
    return LatencyNumbers(
        samples_ms=tuple(samples[warm:]),
        warmup_ms=tuple(samples[:warm]),
        steady=warmup.settled,
        device_times_ms=_medians(on_device[warm:]),
    )


def _medians(times: Sequence[DeviceTimes]) -> DeviceMedians | None:
    tables = [typed.table(one) for one in times]
    return (
        DeviceMedians(**{name: statistics.median(one[name] for one in tables) for name in tables[0]})
        if tables
        else None
    )
