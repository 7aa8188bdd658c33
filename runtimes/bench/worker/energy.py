"""Energy of what a visit measures: the hardware's counter, read before and after windows of nothing but inferences."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from runtimes.base import Runtime, UnavailableError, usable_cores
from runtimes.gpu import nvml
from runtimes.records.energy import EnergySource
from runtimes.system import rapl

# A hundred times the period in which a counter moves, so that an edge of a window is at most 1 % of it: RAPL's does so
# about every 1 ms (Intel, Software Developer's Manual, volume 3B, MSR_PKG_ENERGY_STATUS; AMD: Linux,
# Documentation/hwmon/amd_energy.rst), NVML's every 20 to 100 ms (PETSc, manual page PetscLogGpuEnergyMeter).
_SHORTEST_S: dict[EnergySource, float] = {"rapl": 0.1, "nvml": 10.0}


@dataclass(frozen=True)
class EnergyWindows:
    """A visit's windows together. reason: why they tell nothing; then there are none."""

    joules: float = 0.0
    images: float = 0.0
    seconds: float = 0.0
    source: EnergySource | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Mark:
    """A counter at a moment."""

    time_s: float
    counter: Any


@dataclass
class Meter:
    """Counts energy and images in windows between two marks.

    look: reads the counter; UnavailableError where it cannot. joules: of two readings and the seconds between them.
    batch: images in one inference. reason: why there is no energy to tell of; then no counter is read any more.
    too_short_s: the longest window that was left out.
    """

    source: EnergySource | None = None
    look: Callable[[], Any] = tuple
    joules: Callable[[Any, Any, float], float] = lambda before, after, seconds: 0.0
    batch: int = 1
    reason: str | None = "nobody asked for it"
    found: EnergyWindows = field(default_factory=EnergyWindows)
    too_short_s: float = 0.0
    clock: Callable[[], float] = time.perf_counter

    @classmethod
    def of(cls, runtime: Runtime, device: str, batch: int, root: Path = rapl.ROOT) -> Meter:
        """The meter of a cell. root: of the system's counters of the processor."""
        reason = _unfit(runtime, device)
        if device == "CPU":
            return cls("rapl", partial(rapl.read, root), rapl.joules, batch, reason)
        return cls("nvml", partial(nvml.energy_mj, device), _of_gpu, batch, reason)

    def mark(self) -> Mark | None:
        """The counter now; None where there is none."""
        if self.reason:
            return None
        try:
            return Mark(self.clock(), self.look())
        except UnavailableError as error:
            self.reason = str(error)
            return None

    def add(self, first: Mark | None, last: Mark | None, runs: float) -> None:
        """Count a window with so many inferences in it. One that is too short for the counter is left out."""
        if self.reason or self.source is None or first is None or last is None:
            return
        seconds = last.time_s - first.time_s
        if seconds < _SHORTEST_S[self.source]:
            self.too_short_s = max(seconds, self.too_short_s)
            return
        try:
            used = self.joules(first.counter, last.counter, seconds)
        except UnavailableError as error:
            self.reason = str(error)
            return
        known = self.found
        self.found = EnergyWindows(
            known.joules + used, known.images + runs * self.batch, known.seconds + seconds, self.source
        )

    def windows(self) -> EnergyWindows:
        """What was counted; the reason where nothing was."""
        reason = self.reason
        if not reason and self.found.seconds == 0:
            least, had = _SHORTEST_S[self.source or "rapl"], self.too_short_s
            reason = (
                f"the energy counter needs {least:g} s at a stretch, and there were {had:.2g} s: take mode throughput "
                "with more --min-seconds"
            )
        elif not reason and not self.found.joules > 0:
            reason = "the energy counter did not move"
        return EnergyWindows(source=self.source, reason=reason) if reason else self.found


def _unfit(runtime: Runtime, device: str) -> str | None:
    """Why the counter of a device would tell of something else than the cell; None where it does not."""
    if runtime.elsewhere:
        return "a server computed, and which processor it did that on is not known"
    if device != "CPU":
        if runtime.package == "openvino":
            return f"NVML counts the energy of NVIDIA's GPUs, and that of {runtime.name} may be another"
        return None
    ours, every = usable_cores(), os.cpu_count() or 1
    if ours < every:
        return (
            f"the energy counter is of the whole processor, and vitbench may use {ours} of its {every} cores: what "
            "others compute on the rest is not known"
        )
    return None


def _of_gpu(before: int, after: int, seconds: float) -> float:
    if after < before:
        raise UnavailableError("the driver was loaded again meanwhile")
    return (after - before) / 1e3
