"""What a piece of work met: how long its threads waited for a core, and what others computed meanwhile.

Linux counts both: each thread's time on a run queue (the kernel's Documentation/scheduler/sched-stats.rst, "schedstat",
nanoseconds), and the busy time of each core (/proc/stat, ticks of 10 ms). Elsewhere nothing is known.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtimes.system import helpers

_PROC = Path("/proc")
_STAT = Path("/proc/stat")
_TICK_S = 0.01
# The machine on which `runtimes/undisturbed.py` got its numbers.
_CALIBRATED_CORES = 2
# Columns of /proc/stat that somebody computed in (proc(5)): user, nice, system, irq, softirq, steal.
_BUSY = (1, 2, 3, 6, 7, 8)


@dataclass(frozen=True)
class Moment:
    """clock_s: of `time.perf_counter`. waited_s: that each of our threads waited for a core so far, by its number;
    own_s: that they computed, those that came to an end too. busy_s: that anybody computed on our cores. None where the
    system does not count it. Threads of a server that computes for us are ours."""

    clock_s: float
    own_s: float = 0.0
    waited_s: Mapping[str, float] | None = None
    busy_s: float | None = None
    cores: int = 1


@dataclass(frozen=True)
class Contention:
    """What a sample met.

    waited: time that its threads waited for a core, as a share of its wall time: that of two average threads together,
    or of the one that waited longest. On two cores that is all of it; on many it is not the sum of what each of them
    waits on an idle machine too.
    foreign: share of the cores' time that others computed, beyond what ticks of the clock leave open.
    """

    waited: float = 0.0
    foreign: float = 0.0

    @property
    def share(self) -> float:
        """The worse of the two."""
        return max(self.waited, self.foreign)


def now(others: Sequence[int] = ()) -> Moment:
    """The counters of this process and of the cores that it may run on. others: processes that compute for it."""
    ours = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}
    own_s = time.process_time() + helpers.cpu_s(others)
    return Moment(time.perf_counter(), own_s, _waited(("self", *map(str, others))), _busy(ours), len(ours))


def between(before: Moment, after: Moment) -> Contention | None:
    """What was met between two moments; None where the system does not tell, which is not the same as nothing."""
    if before.waited_s is None or after.waited_s is None:
        return None
    wall_s = after.clock_s - before.clock_s
    if wall_s <= 0:
        return Contention()
    foreign = 0.0
    if before.busy_s is not None and after.busy_s is not None:
        others_s = after.busy_s - before.busy_s - (after.own_s - before.own_s) - _TICK_S
        foreign = min(1.0, max(0.0, others_s / (after.cores * wall_s)))
    # A thread that came to an end takes its waiting with it.
    each = [max(0.0, waited - before.waited_s.get(thread, 0.0)) for thread, waited in after.waited_s.items()]
    waited = max(*each, sum(each) * min(1.0, _CALIBRATED_CORES / after.cores)) if len(each) > 1 else sum(each)
    return Contention(round(waited / wall_s, 3), round(foreign, 3))


def _waited(processes: Sequence[str]) -> dict[str, float] | None:
    """Seconds that each thread of some processes waited; a thread that ends while we look is left out."""
    waited: dict[str, float] = {}
    try:
        tasks = [task for process in processes for task in (_PROC / process / "task").iterdir()]
    except OSError:
        return None
    for task in tasks:
        try:
            _, in_queue, _ = map(int, (task / "schedstat").read_text(encoding="ascii").split())
        except (OSError, ValueError):
            continue
        waited[task.name] = in_queue / 1e9
    return waited or None


def _busy(cores: set[int]) -> float | None:
    try:
        lines = _STAT.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    ticks = 0
    for line in lines[1:]:
        name, _, rest = line.partition(" ")
        if not name.startswith("cpu"):
            break
        if int(name[3:]) in cores:
            columns = rest.split()
            ticks += sum(int(columns[at - 1]) for at in _BUSY if at <= len(columns))
    return ticks * _TICK_S
