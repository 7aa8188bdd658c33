"""NVIDIA GPUs as their driver's management library (NVML) tells of them: what they are, and what disturbed them.

Whatever a GPU does not tell is None, with the reason in `unmeasured`.
NVML_API: NVIDIA, "NVML API Reference Guide", https://docs.nvidia.com/deploy/nvml-api/.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtimes.base import UnavailableError
from runtimes.gpu import nvml_library as library
from runtimes.gpu.nvml_library import Question

# What the driver lets stand in the way of higher clocks: bits of nvmlClocksEventReason* (NVML_API) -> our names.
_REASONS = {
    "GpuIdle": "gpu_idle",
    "ApplicationsClocksSetting": "application_clocks",
    "SwPowerCap": "power_cap",
    "HwSlowdown": "hardware_slowdown",
    "SyncBoost": "sync_boost",
    "SwThermalSlowdown": "thermal_slowdown_by_driver",
    "HwThermalSlowdown": "thermal_slowdown_by_hardware",
    "HwPowerBrakeSlowdown": "power_brake",
    "DisplayClockSetting": "display_clocks",
}
_THROTTLED = {
    "power_cap": "power",
    "power_brake": "power",
    "hardware_slowdown": "heat or power",
    "thermal_slowdown_by_driver": "heat",
    "thermal_slowdown_by_hardware": "heat",
}
# Share of the time between two readings that a GPU may be held back: both readings see an instant, the counter all.
_TOLERABLE_SHARE = 0.02
# The number that the kernel gives the first of all process namespaces (Linux, include/linux/proc_ns.h).
_FIRST_NAMESPACE = "pid:[4026531836]"


@dataclass(frozen=True)
class GpuReading:
    """A GPU at one moment.

    values: by the names in `_READ`; None where `unmeasured` says why. energy_mj and *_throttled_ns count upwards.
    """

    time_s: float
    values: Mapping[str, Any]
    unmeasured: Mapping[str, str]


def read(device: str) -> GpuReading:
    """What a GPU tells of itself now (`GPU`, `GPU.1`: CUDA's order). UnavailableError where it cannot be asked."""
    return GpuReading(time.perf_counter(), *library.ask(library.handle(device), _READ))


def difference(before: GpuReading, after: GpuReading) -> dict[str, Any]:
    """What happened between two readings of a GPU.

    Clocks in MHz, `temperature_c`, `power_w` and `memory_used_bytes` are [before, after]. `energy_mj`: used in between.
    `throttle_reasons`: names seen at either. `throttled_share`: of the time, how much power and heat held the clocks
    back, by the driver's counters. `foreign_*`: the larger of both. `utilisation`: the driver's own, of its last
    sampling period (up to a second), 0 to 1.
    """
    unmeasured = {**before.unmeasured, **after.unmeasured}
    seconds = max(after.time_s - before.time_s, 1e-9)

    def pair(name: str, combine: Callable[[Any, Any], Any]) -> Any:
        values = before.values[name], after.values[name]
        return None if None in values else combine(*values)

    def share(name: str) -> float | None:
        spent = pair(name, lambda first, last: last - first)
        return None if spent is None else min(1.0, max(0.0, spent * 1e-9 / seconds))

    def both(name: str) -> list[float] | None:
        found: list[float] | None = pair(name, lambda first, last: [first, last])
        return found

    found: dict[str, Any] = {
        "seconds": round(seconds, 3),
        **{name: both(name) for name in ("clock_sm_mhz", "clock_memory_mhz", "temperature_c", "power_w")},
        "clock_sm_max_mhz": after.values["clock_sm_max_mhz"],
        "throttle_reasons": pair("throttle_reasons", lambda first, last: sorted({*first, *last})),
        "throttled_share": {"power": share("power_throttled_ns"), "heat": share("heat_throttled_ns")},
        "energy_mj": pair("energy_mj", lambda first, last: last - first),
        "memory_used_bytes": both("memory_used_bytes"),
        "memory_total_bytes": after.values["memory_total_bytes"],
        "foreign_processes": pair("foreign_processes", max),
        "foreign_memory_bytes": pair("foreign_memory_bytes", max),
        "utilisation": after.values["utilisation"],
        "memory_utilisation": after.values["memory_utilisation"],
    }
    if found["energy_mj"] is not None and found["energy_mj"] < 0:
        found["energy_mj"], unmeasured["energy_mj"] = None, "the driver was loaded again meanwhile"
    return {**found, "unmeasured": unmeasured}


def disturbed(found: Mapping[str, Any]) -> str | None:
    """What of a `difference` makes a measurement doubtful, in a sentence; None where nothing does."""
    causes = []
    shares = {cause: share for cause, share in found["throttled_share"].items() if share is not None}
    # At full load a large GPU stands at its power limit all the time: that is its speed, and no disturbance.
    shares.pop("power", None)
    long = {cause: share for cause, share in shares.items() if share > _TOLERABLE_SHARE}
    causes += [f"clocks held back by {cause} for {share:.0%} of the time" for cause, share in long.items()]
    # A reason seen at an instant counts where no counter knows for how long.
    named = [name for name in found["throttle_reasons"] or () if name in _THROTTLED and name != "power_cap"]
    causes += [f"clocks held back by {_THROTTLED[name]} ({name})" for name in named if _THROTTLED[name] not in shares]
    if found["foreign_processes"]:
        causes.append(f"{found['foreign_processes']} other processes computing on it")
    return f"the GPU was disturbed: {', '.join(causes)}" if causes else None


def energy_mj(device: str) -> int:
    """Millijoules that a GPU's board used since its driver was loaded. UnavailableError where that is not known, or is
    of more than the GPU that the device is."""
    values, unmeasured = library.ask(
        library.handle(device), {"energy_mj": _READ["energy_mj"], "mig": _DESCRIBED["mig"]}
    )
    if values["energy_mj"] is None:
        raise UnavailableError(unmeasured["energy_mj"])
    if values["mig"]:
        raise UnavailableError("the GPU is divided (MIG), and its energy counter is of all parts")
    return int(values["energy_mj"])


def describe() -> list[dict[str, Any]]:
    """Every NVIDIA GPU of the machine, in NVML's order (that of the PCI bus). UnavailableError where there is none.

    No serial number, UUID or bus address is among it.
    """
    answers = [library.ask(handle, _DESCRIBED) for handle in library.handles()]
    return [{**values, "unmeasured": unmeasured} for values, unmeasured in answers]


def _reasons(api: Any, handle: Any) -> tuple[str, ...]:
    try:
        bits = api.nvmlDeviceGetCurrentClocksEventReasons(handle)
    except api.NVMLError_FunctionNotFound:  # drivers before 535 have the older name
        bits = api.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
    names = {getattr(api, f"nvmlClocksEventReason{name}"): ours for name, ours in _REASONS.items()}
    return tuple(ours for bit, ours in names.items() if bits & bit)


def _throttled_ns(policy: str) -> Callable[[Any, Any], int]:
    # Nanoseconds since the driver was loaded (NVML_API, nvmlViolationTime_t).
    return lambda api, handle: int(api.nvmlDeviceGetViolationStatus(handle, getattr(api, policy)).violationTime)


def _foreign(api: Any, handle: Any) -> list[Any]:
    """Compute processes on the GPU but this one. LookupError where ours cannot be told from others."""
    processes = list(api.nvmlDeviceGetComputeRunningProcesses(handle))
    if processes and not _shares_process_numbers():
        raise LookupError("inside a container processes have other numbers than those that NVML gives")
    return [process for process in processes if process.pid != os.getpid()]


def _shares_process_numbers() -> bool:
    try:
        return str(Path("/proc/self/ns/pid").readlink()) == _FIRST_NAMESPACE
    except OSError:
        return True  # no Linux, no such namespaces


def _foreign_memory(api: Any, handle: Any) -> int:
    memory = [process.usedGpuMemory for process in _foreign(api, handle)]
    if None in memory:
        raise LookupError("the driver does not tell the memory of each process")
    return sum(memory)


# name -> how it is asked for; NVMLError where the GPU does not tell.
_READ: dict[str, Question] = {
    "clock_sm_mhz": lambda api, handle: api.nvmlDeviceGetClockInfo(handle, api.NVML_CLOCK_SM),
    "clock_memory_mhz": lambda api, handle: api.nvmlDeviceGetClockInfo(handle, api.NVML_CLOCK_MEM),
    "clock_sm_max_mhz": lambda api, handle: api.nvmlDeviceGetMaxClockInfo(handle, api.NVML_CLOCK_SM),
    "throttle_reasons": _reasons,
    "power_throttled_ns": _throttled_ns("NVML_PERF_POLICY_POWER"),
    "heat_throttled_ns": _throttled_ns("NVML_PERF_POLICY_THERMAL"),
    "temperature_c": lambda api, handle: api.nvmlDeviceGetTemperature(handle, api.NVML_TEMPERATURE_GPU),
    "power_w": lambda api, handle: api.nvmlDeviceGetPowerUsage(handle) / 1000,  # NVML counts milliwatts
    "energy_mj": lambda api, handle: api.nvmlDeviceGetTotalEnergyConsumption(handle),
    "memory_used_bytes": lambda api, handle: api.nvmlDeviceGetMemoryInfo(handle).used,
    "memory_total_bytes": lambda api, handle: api.nvmlDeviceGetMemoryInfo(handle).total,
    "foreign_processes": lambda api, handle: len(_foreign(api, handle)),
    "foreign_memory_bytes": _foreign_memory,
    "utilisation": lambda api, handle: api.nvmlDeviceGetUtilizationRates(handle).gpu / 100,
    "memory_utilisation": lambda api, handle: api.nvmlDeviceGetUtilizationRates(handle).memory / 100,
}
_DESCRIBED: dict[str, Question] = {
    "name": lambda api, handle: api.nvmlDeviceGetName(handle),
    "memory_bytes": _READ["memory_total_bytes"],
    "compute_capability": lambda api, handle: ".".join(map(str, api.nvmlDeviceGetCudaComputeCapability(handle))),
    "driver": lambda api, handle: api.nvmlSystemGetDriverVersion(),
    # NVML writes CUDA 12.4 as 12040.
    "cuda_driver": lambda api, handle: "{}.{}".format(*divmod(api.nvmlSystemGetCudaDriverVersion_v2() // 10, 100)),
    "power_limit_w": lambda api, handle: api.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000,
    "mig": lambda api, handle: bool(api.nvmlDeviceGetMigMode(handle)[0]),
    "ecc": lambda api, handle: bool(api.nvmlDeviceGetEccMode(handle)[0]),
    "clock_sm_mhz": _READ["clock_sm_mhz"],
    "clock_sm_max_mhz": _READ["clock_sm_max_mhz"],
    "clock_memory_mhz": _READ["clock_memory_mhz"],
}
