"""Processes that compute for us and are none of ours, as a server on this machine: no strangers."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

# The clock that counts a process' time on processors (the kernel's include/linux/posix-timers.h, MAKE_PROCESS_CPUCLOCK
# with CPUCLOCK_SCHED): in nanoseconds, where /proc/PID/stat has ticks of 10 ms.
_CPUCLOCK_SCHED = 2


def cpu_s(processes: Iterable[int]) -> float:
    """Seconds that some processes computed so far, by their numbers; one that has ended counts for nothing."""
    return sum(map(_cpu_s, processes))


def _cpu_s(process: int) -> float:
    with suppress(OSError, psutil.Error):
        if sys.platform == "linux":
            return time.clock_gettime(~process << 3 | _CPUCLOCK_SCHED)
        times = psutil.Process(process).cpu_times()
        return float(times.user + times.system)
    return 0.0
