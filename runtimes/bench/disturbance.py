"""How much of the processor others took while a cell was measured, from the system's own counters."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import psutil

# Of the cores that the cell may use. An idle machine shows about 1 %; one busy process on two cores shows 50 %.
TOLERABLE_SHARE = 0.1
# The counters tick every 10 ms on Linux: over less than this they say nothing.
_SHORTEST_S = 1.0
# Time that somebody computed, steal (another virtual machine) among it. Guest time is contained in user time.
_BUSY = ("user", "nice", "system", "irq", "softirq", "steal")


@dataclass(frozen=True)
class Counters:
    """Seconds: the clock, what all processes computed on our cores, and what this one did. cores: how many are ours."""

    clock_s: float
    busy_s: float
    own_s: float
    cores: int


def read() -> Counters:
    """The counters now, of the cores that this process may run on."""
    times = psutil.cpu_times(percpu=True)
    ours = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(times))
    busy = sum(getattr(times[core], field, 0.0) for core in ours if core < len(times) for field in _BUSY)
    own = os.times()
    return Counters(time.perf_counter(), busy, own.user + own.system, len(ours))


def foreign_share(before: Counters, after: Counters) -> float | None:
    """The share of our cores' time that others took in between; None where it was too short to tell."""
    seconds = after.clock_s - before.clock_s
    if seconds < _SHORTEST_S:
        return None
    foreign = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
    return min(1.0, max(0.0, foreign / (seconds * after.cores)))
