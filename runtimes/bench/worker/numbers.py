"""What a visit measured: JSON on its way out of its process, and in `visits.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from convert.common import typed
from runtimes.records.parts import DeviceMedians, Disturbance, Effective, LoadGenInfo, ServerPoint


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
    other_peak_bytes: memory of the streams that had a process of their own.
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


@dataclass(frozen=True, kw_only=True)
class LatencyNumbers(VisitNumbers):
    """Of mode latency. device_times_ms: medians of the kept samples by the device's own events; None without one."""

    device_times_ms: DeviceMedians | None = None


@dataclass(frozen=True, kw_only=True)
class ThroughputNumbers(VisitNumbers):
    """Of mode throughput, at one batch and number of streams.

    images_per_s: images completed in a window of duration_s. requests: those that ended in it; samples_ms has the
    latency of each. stream_processes: streams that had a process of their own.
    """

    images_per_s: float
    batch: int
    streams: int
    duration_s: float
    requests: int
    stream_processes: int = 0


@dataclass(frozen=True, kw_only=True)
class ServerNumbers(VisitNumbers):
    """Of mode server; the fields mean what they mean in a record (`kinds.Server`). samples_ms: back to back."""

    points: tuple[ServerPoint, ...]
    qps_max: float | None
    percentile: int
    latency_bound_ms: float
    bound: str
    capacity_qps: float
    unloaded_ms: float
    streams: int
    loadgen: LoadGenInfo


def read(table: Mapping[str, Any]) -> VisitNumbers:
    """The numbers that a table of JSON types holds, of whichever mode. ValueError names what is wrong with it."""
    kind = ServerNumbers if "points" in table else ThroughputNumbers if "images_per_s" in table else LatencyNumbers
    return typed.read(kind, table)
