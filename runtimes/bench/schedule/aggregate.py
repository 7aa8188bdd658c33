"""A cell's record, made of its visits."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from runtimes.base import discrepancy
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.plan.settings import Policy
from runtimes.bench.schedule.climb import BestPoint
from runtimes.bench.schedule.executor import VisitOutcome
from runtimes.bench.worker.numbers import LatencyNumbers, ServerNumbers, ThroughputNumbers, VisitNumbers
from runtimes.records.blank import command, start
from runtimes.records.kinds import Latency, Server, Throughput, TimedRecord
from runtimes.records.parts import (
    DeviceMedians,
    Disturbance,
    Effective,
    Interval,
    IntervalMethod,
    Memory,
    Process,
)
from runtimes.statistics import Noise, across_runs, relative_half_width, summarize
from runtimes.system import disturbance
from runtimes.system import speed_probe as probe

_KINDS: dict[str, type[TimedRecord]] = {"latency": Latency, "throughput": Throughput, "server": Server}

R = TypeVar("R", bound=TimedRecord)


@dataclass(frozen=True)
class Failure:
    """Why a visit, and so its cell, has no numbers. effective: what ran instead, where that is the reason."""

    reason: str | None
    effective: Effective | None = None

    def of(self, record: R) -> R:
        """The record of the cell that failed."""
        return replace(record, status="failed", reason=self.reason, effective=self.effective)


def blank(cell: Cell, key: str, policy: Policy) -> TimedRecord:
    """A cell's record before anything was measured."""
    options: dict[str, Any] = {
        "precision": cell.precision,
        "batch": cell.batch if cell.mode == "latency" else None,
        "mode": None if cell.mode == "latency" else cell.mode,
        **_mode_arguments(cell),
        **policy.arguments(),
        **cell.selection.arguments([cell.runtime]),
    }
    return start(
        _KINDS[cell.mode],
        cell.artifact,
        cell.runtime,
        cell.options,
        command=command("runtimes.bench", cell.argument, cell.artifact, cell.weights, **options),
        key=key,
        batch=cell.batch,
        threads=cell.options.thread_count(),
    )


def _mode_arguments(cell: Cell) -> dict[str, Any]:
    options = cell.mode_options
    return {
        "batch": ",".join(map(str, options["batches"])) if "batches" in options else None,
        "latency_bound": options.get("latency_bound_ms"),
        "percentile": options.get("percentile"),
    } if cell.mode != "latency" else {}  # fmt: skip


def failure(cell: Cell, outcome: VisitOutcome) -> Failure | None:
    """What a visit without numbers, or one that ran as something else, makes of its cell; None where all is well."""
    numbers = outcome.numbers
    if numbers is None:
        return Failure(outcome.failure)
    wrong = discrepancy(cell.runtime.name, numbers.effective, cell.options)
    reasons = [*([wrong] if wrong else []), *numbers.discrepancies]
    return Failure("; ".join(reasons), numbers.effective) if reasons else None


def trouble(outcome: VisitOutcome) -> str | None:
    """What disturbed a visit, in a sentence; None where nothing did."""
    found = (probe.disturbed(outcome.slowdown), disturbance.disturbed(_numbers(outcome).disturbance))
    return "; ".join(filter(None, found)) or None


def usable(visits: Sequence[VisitOutcome], at_least: int) -> list[VisitOutcome]:
    """The visits that were not disturbed; where those are too few, the least slowed-down ones beside them."""
    quiet = [visit for visit in visits if not trouble(visit)]
    if len(quiet) >= at_least:
        return quiet
    rest = sorted((visit for visit in visits if trouble(visit)), key=lambda visit: visit.slowdown)
    chosen = [*quiet, *rest[: at_least - len(quiet)]]
    return [visit for visit in visits if any(visit is one for one in chosen)]


def samples(visits: Sequence[VisitOutcome]) -> list[Sequence[float]]:
    """The kept samples of each visit, in milliseconds."""
    return [visit.numbers.samples_ms for visit in visits if visit.numbers]


def medians(visits: Sequence[VisitOutcome]) -> list[float]:
    """The median of each visit, in milliseconds."""
    return [statistics.median(one) for one in samples(visits) if one]


def latency(record: Latency, visits: Sequence[VisitOutcome], others: Noise, runs: Noise, policy: Policy) -> Latency:
    """The record of a cell of mode latency, from the one before measuring and the visits that count (`usable`).

    others: how far processes lie apart in the run's other cells; runs: how far runs do.
    """
    by_process = samples(visits)
    summary = summarize(by_process, others, runs)
    reasons = _doubts(visits)
    half = relative_half_width(summary.median_ms, summary.run_ci95_ms)
    if half > policy.target:
        wide = "unknown" if summary.run_ci95_ms is None else f"{half:.1%}"
        reasons.append(f"the run's 95 % interval is wider than asked: half of it is {wide}, not {policy.target:.1%}")
    if not all(_numbers(visit).steady for visit in visits):
        reasons.append("the times did not get steady")
    return replace(
        record,
        samples_ms=tuple(sample for one in by_process for sample in one),
        **vars(summary),
        target=policy.target,
        device_times_ms=_device_medians([_numbers(visit) for visit in visits]),
        **_common(visits, reasons),
    )


def throughput(
    record: Throughput,
    found: BestPoint,
    visits: Sequence[VisitOutcome],
    interval: tuple[Interval | None, IntervalMethod],
    runs: Noise,
) -> Throughput:
    """The record of a cell of mode throughput. visits: those to the batch and streams that were found.

    interval: the run's own, and how it was made. runs: how far runs lie apart.
    """
    rate, (own, method) = statistics.median(map(rate_of, visits)), interval
    return replace(
        record,
        batch=found.batch,
        streams=found.streams,
        searched=found.searched,
        images_per_s=rate,
        ci95_images_per_s=across_runs(rate, own, runs),
        run_ci95_images_per_s=own,
        interval=method,
        duration_s=sum(_rated(visit).duration_s for visit in visits),
        **_common(visits, _doubts(visits)),
    )


def rate_of(visit: VisitOutcome) -> float:
    """Images per second of a visit in mode throughput."""
    return _rated(visit).images_per_s


def server(record: Server, visit: VisitOutcome) -> Server:
    """The record of a cell of mode server, of one visit: it holds every rate."""
    numbers = _numbers(visit)
    assert isinstance(numbers, ServerNumbers)
    return replace(
        record,
        points=numbers.points,
        qps_max=numbers.qps_max,
        percentile=numbers.percentile,
        latency_bound_ms=numbers.latency_bound_ms,
        bound=numbers.bound,
        capacity_qps=numbers.capacity_qps,
        unloaded_ms=numbers.unloaded_ms,
        loadgen=numbers.loadgen,
        streams=numbers.streams,
        **_common([visit], _doubts([visit])),
    )


def _numbers(visit: VisitOutcome) -> VisitNumbers:
    assert visit.numbers is not None
    return visit.numbers


def _rated(visit: VisitOutcome) -> ThroughputNumbers:
    assert isinstance(visit.numbers, ThroughputNumbers)
    return visit.numbers


def _doubts(visits: Sequence[VisitOutcome]) -> list[str]:
    """What disturbed any of the visits, each cause once and at its worst."""
    found = [_numbers(visit).disturbance for visit in visits]
    slowdown = max(visit.slowdown for visit in visits)
    of_gpus = [disturbance.disturbed(Disturbance(gpu=one.gpu)) for one in found]
    reasons = [probe.disturbed(slowdown), disturbance.disturbed(replace(_worst(found), gpu=None)), *of_gpus]
    return list(dict.fromkeys(reason for reason in reasons if reason))


def _common(visits: Sequence[VisitOutcome], reasons: list[str]) -> dict[str, Any]:
    """The fields of every kind (`TimedRecord`). reasons: why the number is doubtful, each in a clause."""
    numbers = [_numbers(visit) for visit in visits]
    memory = [one.memory for one in numbers]
    peak = _most(one.peak_bytes or None for one in memory)
    worst = _worst([replace(_numbers(visit).disturbance, slowdown=visit.slowdown) for visit in visits])
    return {
        "load_ms": _median(one.load_ms for one in numbers),
        "first_ms": _median(one.first_ms for one in numbers),
        "peak_memory_bytes": peak,
        "memory": Memory(
            process_bytes=peak,
            model_bytes=_most(_minus(one.peak_bytes, one.before_load_bytes) for one in memory),
            loaded_bytes=_most(_minus(one.after_load_bytes, one.before_load_bytes) for one in memory),
            device_bytes=_most(one.device_bytes for one in memory),
        ),
        "disturbance": worst,
        "foreign_load": worst.foreign_load,
        "processes": tuple(map(_process, visits)),
        "cores": numbers[0].cores,
        "threads_readback": numbers[0].threads_readback,
        "effective": numbers[0].effective,
        "disturbed": "; ".join(_doubts(visits)) or None,
        "status": "unstable" if reasons else "ok",
        "reason": "; ".join(dict.fromkeys(reasons)) or None,
    }


def _process(visit: VisitOutcome) -> Process:
    numbers = _numbers(visit)
    rated = numbers if isinstance(numbers, ThroughputNumbers) else None
    return Process(
        count=len(numbers.samples_ms),
        median_ms=statistics.median(numbers.samples_ms) if numbers.samples_ms else None,
        images_per_s=rated.images_per_s if rated else None,
        stream_processes=rated.stream_processes if rated else None,
        load_ms=numbers.load_ms,
        first_ms=numbers.first_ms,
        warmup_count=len(numbers.warmup_ms),
        steady=numbers.steady,
        slowdown=visit.slowdown if visit.speed_ms else None,
        speed_ms=visit.speed_ms,
        foreign_load=numbers.disturbance.foreign_load,
        disturbed=trouble(visit),
        time_utc=visit.time_utc,
    )


def _worst(found: Sequence[Disturbance]) -> Disturbance:
    """The worst that any visit reports of each quantity; null where none could tell, and the reasons of all."""
    merged: dict[str, Any] = {}
    for name in (field.name for field in dataclasses.fields(Disturbance)):
        values = [value for one in found if (value := getattr(one, name)) is not None]
        if name == "unmeasured":
            merged[name] = {key: why for one in values for key, why in one.items()}
        elif name == "frequency_mhz":  # the smaller is the worse
            merged[name] = min(values, key=lambda value: value.min, default=None)
        elif name == "gpu":
            merged[name] = values[-1] if values else None
        else:
            merged[name] = max(values, default=None)
    return Disturbance(**merged)


def _device_medians(numbers: Iterable[VisitNumbers]) -> DeviceMedians | None:
    found = [one.device_times_ms for one in numbers if isinstance(one, LatencyNumbers) and one.device_times_ms]
    names = [field.name for field in dataclasses.fields(DeviceMedians)]
    return DeviceMedians(**{name: _median(getattr(one, name) for one in found) for name in names}) if found else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _minus(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else after - before


def _most(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
