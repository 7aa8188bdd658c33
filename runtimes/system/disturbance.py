"""What disturbed a visit, from the system's own counters; what there is no counter for is null, with the reason."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from runtimes.base import UnavailableError
from runtimes.gpu import nvml
from runtimes.records.parts import Disturbance, Frequency
from runtimes.system import helpers

# Of the cores that the cell may use. An idle machine shows about 1 %; one busy process on two cores shows 50 %.
TOLERABLE_FOREIGN = 0.1
# Time that the hypervisor gave to others.
TOLERABLE_STEAL = 0.02
# The counters tick every 10 ms on Linux: over less than this they say nothing.
_SHORTEST_S = 1.0
# Time that somebody computed, steal (another virtual machine) among it. Guest time is contained in user time.
_BUSY = ("user", "nice", "system", "irq", "softirq", "steal")
_CPUS = Path("/sys/devices/system/cpu")
_PRESSURE = Path("/proc/pressure/cpu")


@dataclass(frozen=True)
class Counters:
    """The system's counters at one moment.

    clock_s: of `time.perf_counter`.
    busy_s: seconds that all processes computed on our cores.
    steal_s: what of it the hypervisor gave to others.
    own_s: what this process did, those that it started and waited for, and those that compute for it.
    cores: how many are ours.
    counts: by name; None where there is no counter, and `unmeasured` says why.
    pressure_s: seconds in which somebody on the whole machine waited for a core.
    """

    clock_s: float
    busy_s: float
    steal_s: float | None
    own_s: float
    cores: int
    counts: Mapping[str, int | None] = field(default_factory=dict)
    frequency_mhz: tuple[float, ...] = ()
    temperature_c: float | None = None
    gpu: nvml.GpuReading | None = None
    pressure_s: float | None = None
    unmeasured: Mapping[str, str] = field(default_factory=dict)


def read(device: str = "CPU", others: Sequence[int] = ()) -> Counters:
    """The counters now, of the cores that this process may run on and of the device where it is a GPU.

    others: processes that compute for this one.
    """
    times = psutil.cpu_times(percpu=True)
    ours = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(times))
    mine = [times[core] for core in ours if core < len(times)]
    busy = sum(getattr(one, name, 0.0) for one in mine for name in _BUSY)
    steal = sum(one.steal for one in mine) if all(hasattr(one, "steal") for one in mine) else None
    own, process = os.times(), psutil.Process()
    unmeasured = {} if steal is not None else {"steal": "the system counts no stolen time"}
    counts = {
        "involuntary_switches": process.num_ctx_switches().involuntary,
        "major_faults": _major_faults(unmeasured),
        "throttled_count": _throttled(unmeasured),
    }
    return Counters(
        time.perf_counter(),
        busy,
        steal,
        own.user + own.system + own.children_user + own.children_system + helpers.cpu_s(others),
        len(ours),
        counts,
        _frequencies(unmeasured),
        _temperature(unmeasured),
        _gpu(device, unmeasured),
        _pressure(unmeasured),
        unmeasured,
    )


def difference(before: Counters, after: Counters) -> Disturbance:
    """What happened between two readings: events in between, and the hotter, and all clocks, of both moments."""
    return over([(before, after)])


def over(spans: Sequence[tuple[Counters, Counters]]) -> Disturbance:
    """What happened in some spans of time together, each between two readings; one at least."""
    before, after = spans[0][0], spans[-1][1]

    def added(read: Callable[[Counters], float | None]) -> float | None:
        ends = [(read(one), read(other)) for one, other in spans]
        return (
            sum(late - early for early, late in ends if early is not None and late is not None)
            if all(None not in pair for pair in ends)
            else None
        )

    seconds, own_s = added(lambda one: one.clock_s) or 0.0, added(lambda one: one.own_s) or 0.0
    unmeasured = dict(after.unmeasured)
    foreign: float | None = None
    own, steal, pressure = foreign, foreign, foreign
    if seconds >= _SHORTEST_S:
        total = seconds * after.cores
        foreign, own = min(1.0, max(0.0, ((added(lambda one: one.busy_s) or 0.0) - own_s) / total)), own_s / total
        stolen_s, pressure_s = added(lambda one: one.steal_s), added(lambda one: one.pressure_s)
        steal = None if stolen_s is None else max(0.0, stolen_s) / total
        pressure = None if pressure_s is None else min(1.0, pressure_s / seconds)
    else:
        shares = ("foreign_load", "own_load", "steal", "pressure")
        unmeasured |= dict.fromkeys(shares, f"counters say nothing over less than {_SHORTEST_S:g} s")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    if load is None:
        unmeasured["load_average_1min"] = "the system has none"
    readings = [one for span in spans for one in span]
    frequencies = sorted(mhz for one in readings for mhz in one.frequency_mhz)
    hottest = [one.temperature_c for one in readings if one.temperature_c is not None]
    return Disturbance(
        foreign_load=foreign,
        own_load=own,
        steal=steal,
        pressure=pressure,
        load_average_1min=load,
        frequency_mhz=Frequency(min=frequencies[0], median=frequencies[len(frequencies) // 2]) if frequencies else None,
        temperature_c=max(hottest, default=None),
        involuntary_switches=_counted(spans, "involuntary_switches"),
        major_faults=_counted(spans, "major_faults"),
        throttled_count=_counted(spans, "throttled_count"),
        gpu=nvml.difference(before.gpu, after.gpu) if before.gpu and after.gpu else None,
        unmeasured=unmeasured,
    )


def disturbed(found: Disturbance) -> str | None:
    """What makes a visit's times doubtful, in a sentence; None where nothing does."""
    reasons = []
    if (found.foreign_load or 0) > TOLERABLE_FOREIGN:
        reasons.append(f"other processes took {found.foreign_load:.0%} of the processor meanwhile")
    if found.foreign_requests:
        s = "s" * (found.foreign_requests != 1)
        reasons.append(f"the server answered {found.foreign_requests} request{s} of others meanwhile")
    if (found.steal or 0) > TOLERABLE_STEAL:
        reasons.append(f"the hypervisor took {found.steal:.0%} of the processor for others")
    if found.throttled_count:
        reasons.append("the processor was throttled")
    if found.gpu:
        reasons.append(nvml.disturbed(found.gpu) or "")
    return "; ".join(filter(None, reasons)) or None


def _counted(spans: Sequence[tuple[Counters, Counters]], name: str) -> int | None:
    """How often something happened in the spans; None where nobody counts it."""
    total = 0
    for before, after in spans:
        early, late = before.counts.get(name), after.counts.get(name)
        if early is None or late is None:
            return None
        total += late - early
    return total


def _major_faults(unmeasured: dict[str, str]) -> int | None:
    try:
        import resource
    except ImportError:
        unmeasured["major_faults"] = "the system does not count them"
        return None
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_majflt)


def _pressure(unmeasured: dict[str, str]) -> float | None:
    """Seconds, from "some avg10=... total=MICROSECONDS" (the kernel's Documentation/accounting/psi.rst)."""
    try:
        words = _PRESSURE.read_text(encoding="ascii").splitlines()[0].split()
    except OSError:
        unmeasured["pressure"] = "the system has no pressure stall information"
        return None
    return int(words[-1].removeprefix("total=")) / 1e6


def _throttled(unmeasured: dict[str, str]) -> int | None:
    files = list(_CPUS.glob("cpu[0-9]*/thermal_throttle/*_throttle_count"))
    if not files:
        unmeasured["throttled_count"] = "the system counts no throttling (usual on virtual machines)"
        return None
    return sum(int(file.read_text(encoding="ascii")) for file in files)


def _frequencies(unmeasured: dict[str, str]) -> tuple[float, ...]:
    """Clocks in MHz that are measured and not nominal ones: cpufreq's, which a virtual machine has not."""
    files = _CPUS.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    found = tuple(int(file.read_text(encoding="ascii")) / 1e3 for file in files)
    if not found:
        unmeasured["frequency_mhz"] = "the system does not tell the clock (usual on virtual machines)"
    return found


def _temperature(unmeasured: dict[str, str]) -> float | None:
    sensors = psutil.sensors_temperatures() if hasattr(psutil, "sensors_temperatures") else {}
    found = [one.current for entries in sensors.values() for one in entries if one.current]
    if not found:
        unmeasured["temperature_c"] = "the system shows no sensor (usual on virtual machines)"
        return None
    return max(found)


def _gpu(device: str, unmeasured: dict[str, str]) -> nvml.GpuReading | None:
    if not device.startswith("GPU"):
        return None
    try:
        return nvml.read(device)
    except UnavailableError as error:
        unmeasured["gpu"] = str(error)
        return None
