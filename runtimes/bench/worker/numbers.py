"""What a visit measured: JSON on its way out of its process, and in `visits.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from statistics import median
from typing import Any

from convert.common import typed
from runtimes.base import DeviceTimes
from runtimes.bench.worker.energy import EnergyWindows
from runtimes.records.kinds import ServerCurve
from runtimes.records.parts import DeviceMedians, Disturbance, Effective, ServerTimes
from runtimes.system.contention import Contention


@dataclass(frozen=True, kw_only=True)
class VisitMemory:
    """Resident memory of the visit's process in bytes. device_bytes: in use on the GPU at the end, by whomever."""

    before_load_bytes: int | None = None
    after_load_bytes: int | None = None
    peak_bytes: int | None = None
    device_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class VisitNumbers:
    """What a visit of any mode measured.

    A mode gives the first three: the kept samples and those of the warm-up before them, and whether the times had
    settled by then. `visit.run_job` fills in the rest. discrepancies: what ran otherwise than asked, in sentences.
    other_peak_bytes: memory of the streams that had a process of their own. server_times: by the statistics of a server
    that computed. energy: None of a mode that does not count it.
    """

    samples_ms: tuple[float, ...]
    warmup_ms: tuple[float, ...]
    steady: bool
    load_ms: float | None = None
    first_ms: float | None = None
    memory: VisitMemory = field(default_factory=VisitMemory)
    disturbance: Disturbance = field(default_factory=Disturbance)
    cores: tuple[int, ...] | None = None
    threads_readback: int | None = None
    discrepancies: tuple[str, ...] = ()
    effective: Effective = field(default_factory=Effective)
    other_peak_bytes: int = 0
    server_times: ServerTimes | None = None
    energy: EnergyWindows | None = None

    @property
    def measured_s(self) -> float:
        """Seconds in which it measured, the warm-up left out."""
        return sum(self.samples_ms) / 1e3


@dataclass(frozen=True)
class TurnOf:
    """One turn of a visit: its name, which the turns of other cells at that moment have too, and how many of the
    visit's samples, in their order, are its own. Samples of the warm-up have no name."""

    name: str
    count: int


@dataclass(frozen=True, kw_only=True)
class LatencyNumbers(VisitNumbers):
    """Of mode latency.

    met: what each sample met; empty where the system tells nothing. turns: how samples fall into turns.
    device_times_ms: medians of the kept samples by the device's own events; None without one.
    """

    met: tuple[Contention, ...] = ()
    turns: tuple[TurnOf, ...] = ()
    device_times_ms: DeviceMedians | None = None


@dataclass(frozen=True, kw_only=True)
class ThroughputNumbers(VisitNumbers):
    """Of mode throughput, at one batch and number of streams.

    images_per_s: images completed in a window of duration_s. samples_ms: the latency of each request that ended in it.
    stream_processes: streams that had a process of their own.
    """

    images_per_s: float
    duration_s: float
    stream_processes: int = 0

    @property
    def measured_s(self) -> float:
        """Seconds of the window: its streams are busy at the same time."""
        return self.duration_s


@dataclass(frozen=True, kw_only=True)
class ServerNumbers(ServerCurve, VisitNumbers):
    """Of mode server. samples_ms: back to back. rates_s: seconds that all rates took."""

    streams: int
    rates_s: float = 0.0

    @property
    def measured_s(self) -> float:
        """Seconds of what was asked back to back, by all streams at the same time, and of the rates."""
        return super().measured_s / self.streams + self.rates_s


def device_medians(times: Sequence[DeviceTimes] | Sequence[DeviceMedians]) -> DeviceMedians | None:
    """The medians of some times by the device's own events; None without any."""
    tables = [typed.table(one) for one in times]
    names = [field.name for field in fields(DeviceMedians)]
    return DeviceMedians(**{name: median(one[name] for one in tables) for name in names}) if tables else None


def read(table: Mapping[str, Any]) -> VisitNumbers:
    """The numbers that a table of JSON types holds, of whichever mode. ValueError names what is wrong with it."""
    kind = ServerNumbers if "points" in table else ThroughputNumbers if "images_per_s" in table else LatencyNumbers
    return typed.read(kind, table)
