"""Mode latency: one request at a time."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import asdict
from typing import Any

from runtimes.base import DeviceTimes
from runtimes.bench.worker import warmup as steady
from runtimes.bench.worker.job import Job
from runtimes.bench.worker.visit import Opened


def measure(opened: Opened, job: Job) -> dict[str, Any]:
    """Wall-clock milliseconds of one inference after the other: samples_ms, the warmup_ms before them, and whether the
    times were steady by then (steady.py).

    device_times_ms: medians of the kept samples by the device's own events, None without a device. The garbage
    collector rests, so that it strikes none.
    """
    run, device_times, clock = opened.session.run, opened.session.device_times, time.perf_counter
    images, effort = opened.images, job.effort
    samples: list[float] = []
    on_device: list[DeviceTimes] = []
    warm: int | None = None
    kept_s, warm_s, checked_s = 0.0, 0.0, 0.0
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
                # Looking takes time too: at most every window, which is what could change the answer.
                if elapsed - checked_s < steady.WINDOW_S / 4:
                    continue
                checked_s = elapsed
                warm = steady.begins(samples)
                if warm is None and elapsed < effort.warmup_max_s:
                    continue
                settled, warm = warm is not None, len(samples) if warm is None else warm
                warm_s = sum(samples[:warm]) / 1e3
            kept_s = elapsed - warm_s
            enough = kept_s >= effort.min_s and len(samples) - warm >= effort.min_count
            if (enough or kept_s >= effort.max_s) and len(samples) > warm:
                break
    finally:
        gc.enable()
    kept = on_device[warm:]
    columns = {name: [getattr(times, name) for times in kept] for name in (asdict(kept[0]) if kept else ())}
    return {
        "samples_ms": samples[warm:],
        "warmup_ms": samples[:warm],
        "steady": settled,
        "device_times_ms": {name: statistics.median(values) for name, values in columns.items()} or None,
    }
