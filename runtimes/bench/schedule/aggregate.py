"""A cell's record, made of its visits."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from runtimes.base import discrepancy
from runtimes.bench import describe
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.plan.settings import Policy
from runtimes.bench.schedule import energy
from runtimes.bench.schedule.climb import BestPoint
from runtimes.bench.schedule.outcome import VisitOutcome
from runtimes.bench.worker.numbers import LatencyNumbers, ServerNumbers, ThroughputNumbers, device_medians
from runtimes.records.blank import command, start
from runtimes.records.kinds import Latency, Server, ServerCurve, Throughput, TimedRecord
from runtimes.records.parts import Disturbance, Interval, IntervalMethod, Memory, Process, Turn
from runtimes.served.counts import median_times
from runtimes.statistics import Noise, across_runs, relative_half_width, summarize
from runtimes.system import disturbance
from runtimes.system import speed_probe as probe
from runtimes.system.contention import Contention
from runtimes.undisturbed import corrected, undisturbed

_KINDS: dict[str, type[TimedRecord]] = {"latency": Latency, "throughput": Throughput, "server": Server}

_TOO_FEW = "other programs left too few samples alone to tell a quiet machine's median"

R = TypeVar("R", bound=TimedRecord)


def blank(cell: Cell, key: str, policy: Policy) -> TimedRecord:
    """A cell's record before anything was measured."""
    given, latency = cell.mode_options, cell.mode == "latency"
    options: dict[str, Any] = {
        "precision": cell.precision,
        "batch": cell.batch if latency else ",".join(map(str, given.get("batches", ()))) or None,
        "mode": None if latency else cell.mode,
        "latency_bound": given.get("latency_bound_ms"),
        "percentile": given.get("percentile"),
        **policy.arguments(),
        **cell.selection.arguments([cell.runtime]),
    }
    asked = {name: given.get(name) for name in ("latency_bound_ms", "percentile")} if cell.mode == "server" else {}
    return start(
        _KINDS[cell.mode],
        cell.artifact,
        cell.runtime,
        cell.options,
        command=command("runtimes.bench", cell.argument, cell.artifact, cell.chosen, **options),
        key=key,
        batch=cell.batch,
        threads=cell.options.thread_count(),
        **asked,
    )


def failure(cell: Cell, outcome: VisitOutcome) -> str | None:
    """Why a visit has no numbers, or none of what was asked for, in a sentence; None where all is well."""
    numbers = outcome.numbers
    if numbers is None:
        return outcome.failure or "it failed"
    wrong = discrepancy(cell.runtime.name, numbers.effective, cell.options)
    return "; ".join([*([wrong] if wrong else []), *numbers.discrepancies]) or None


def failed(record: R, cell: Cell, outcome: VisitOutcome) -> R | None:
    """The record of a cell one of whose visits failed; None where it did not."""
    reason = failure(cell, outcome)
    effective = outcome.numbers.effective if outcome.numbers else None
    return replace(record, status="failed", reason=reason, effective=effective) if reason else None


def trouble(outcome: VisitOutcome) -> str | None:
    """What makes a visit's times doubtful, in a sentence; None where nothing does.

    Other programs do not where enough samples tell what a quiet machine would show.
    """
    numbers, found = outcome.measured, outcome.measured.disturbance
    reasons = [_slow(outcome)]
    if isinstance(numbers, LatencyNumbers) and numbers.met:
        if undisturbed(numbers.samples_ms, numbers.met):
            found = replace(found, foreign_load=None)  # which its samples know better
        else:
            reasons.append(_TOO_FEW)
    return "; ".join(filter(None, [*reasons, disturbance.disturbed(found)])) or None


def _slow(visit: VisitOutcome) -> str | None:
    return probe.disturbed(visit.slowdown, known=bool(visit.speed_ms))


def quiet(visits: Sequence[VisitOutcome]) -> list[VisitOutcome]:
    return [visit for visit in visits if not trouble(visit)]


def usable(visits: Sequence[VisitOutcome], at_least: int) -> list[VisitOutcome]:
    """The visits that were not disturbed; where those are too few, the least slowed-down ones beside them.

    A visit whose samples know what they met counts although other programs ran: the samples that they left alone tell.
    """

    def doubtful(visit: VisitOutcome) -> bool:
        return bool(_slow(visit) if met([visit]) else trouble(visit))

    order = sorted(range(len(visits)), key=lambda index: (doubtful(visits[index]), visits[index].slowdown))
    sound = sum(not doubtful(visit) for visit in visits)
    return [visits[index] for index in sorted(order[: max(at_least, sound)])]


def samples(visits: Sequence[VisitOutcome]) -> list[Sequence[float]]:
    """The kept samples of each visit, in milliseconds."""
    return [visit.measured.samples_ms for visit in visits]


def met(visits: Sequence[VisitOutcome]) -> list[Sequence[Contention]]:
    """What the samples of each visit met; empty where the system of any tells nothing."""
    found: list[Sequence[Contention]] = [
        visit.numbers.met if isinstance(visit.numbers, LatencyNumbers) else () for visit in visits
    ]
    return found if all(found) else []


def medians(visits: Sequence[VisitOutcome]) -> list[float]:
    """The median of each visit in milliseconds, as on a quiet machine where its samples tell that."""
    found = zip(samples(visits), met(visits) or [()] * len(visits), strict=True)
    return [_median_of(one, part) for one, part in found if one]


def _median_of(samples_ms: Sequence[float], part: Sequence[Contention]) -> float:
    known = undisturbed(samples_ms, part)
    return known.ms if known else statistics.median(samples_ms)


def turns(visits: Sequence[VisitOutcome]) -> tuple[Turn, ...]:
    """The turns of all visits, in the order of their samples."""
    found = []
    for visit in visits:
        numbers, start = visit.measured, 0
        assert isinstance(numbers, LatencyNumbers)
        for turn in numbers.turns:
            span = slice(start, start + turn.count)
            start += turn.count
            part = numbers.met[span] or (Contention(),) * turn.count
            times = [corrected(ms, one) for ms, one in zip(numbers.samples_ms[span], part, strict=True)]
            if times:
                met_share = statistics.fmean(one.share for one in part)
                found.append(Turn(name=turn.name, ms=statistics.median(times), met=round(met_share, 3)))
    return tuple(found)


def latency(
    record: Latency,
    visits: Sequence[VisitOutcome],
    others: Noise,
    runs: Noise,
    policy: Policy,
    every: Sequence[VisitOutcome] = (),
) -> Latency:
    """The record of a cell of mode latency, from the one before measuring and the visits that count (`usable`).

    others: how far processes lie apart in the run's other cells; runs: how far runs do. every: all visits, by default
    those that count; their turns tell which cell is faster also where the machine was slow, for all of them alike.
    """
    summary = summarize(samples(visits), others, runs, met(visits))
    assert summary.median_ms
    tells = bool(summary.undisturbed) if summary.waited else None
    reasons = _doubts(visits, tells)
    half = relative_half_width(summary.median_ms, summary.run_ci95_ms)
    if half > policy.target:
        wide = "unknown" if summary.run_ci95_ms is None else f"{half:.1%}"
        reasons.append(f"the run's 95 % interval is wider than asked: half of it is {wide}, not {policy.target:.1%}")
    if not all(visit.measured.steady for visit in visits):
        reasons.append("the times did not get steady")
    found = [visit.measured for visit in visits]
    on_device = [one.device_times_ms for one in found if isinstance(one, LatencyNumbers) and one.device_times_ms]
    return replace(
        record,
        **vars(replace(summary, turns=turns(every or visits))),
        target=policy.target,
        device_times_ms=device_medians(on_device),
        **_common(visits, reasons, tells),
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
    rate, (own, method) = statistics.median(rated(visit).images_per_s for visit in visits), interval
    return replace(
        record,
        batch=found.batch,
        streams=found.streams,
        searched=found.searched,
        images_per_s=rate,
        ci95_images_per_s=across_runs(rate, own, runs),
        run_ci95_images_per_s=own,
        interval=method,
        duration_s=sum(rated(visit).duration_s for visit in visits),
        **_common(visits, _doubts(visits)),
    )


def rated(visit: VisitOutcome) -> ThroughputNumbers:
    """The numbers of a visit in mode throughput."""
    assert isinstance(visit.numbers, ThroughputNumbers)
    return visit.numbers


def server(record: Server, visit: VisitOutcome) -> Server:
    """The record of a cell of mode server, of one visit: it holds every rate."""
    numbers = visit.measured
    assert isinstance(numbers, ServerNumbers)
    found = {field.name: getattr(numbers, field.name) for field in dataclasses.fields(ServerCurve)}
    whole = replace(record, streams=numbers.streams, **found)
    return replace(whole, **_common([visit], [*_doubts([visit]), *describe.not_carried(whole)]))


def _doubts(visits: Sequence[VisitOutcome], tells: bool | None = None) -> list[str]:
    """What disturbed any of the visits, each cause once and at its worst. tells: whether the samples of all of them
    together tell what a quiet machine would show, and so know better than the share that others took; None where it
    is not known what they met."""
    found = [visit.measured.disturbance for visit in visits]
    if tells:
        found = [replace(one, foreign_load=None) for one in found]
    slowest = max(visits, key=lambda visit: visit.slowdown)
    of_gpus = [disturbance.disturbed(Disturbance(gpu=one.gpu)) for one in found]
    too_few = _TOO_FEW if tells is False else None
    slow = _slow(slowest) or next(filter(None, map(_slow, visits)), None)
    reasons = [slow, too_few, disturbance.disturbed(replace(_worst(found), gpu=None)), *of_gpus]
    return list(dict.fromkeys(reason for reason in reasons if reason))


def _common(visits: Sequence[VisitOutcome], reasons: list[str], tells: bool | None = None) -> dict[str, Any]:
    """The fields of every kind (`TimedRecord`). reasons: why the number is doubtful, each in a clause; tells: as in
    `_doubts`."""
    numbers = [visit.measured for visit in visits]
    memory = [one.memory for one in numbers]
    peak = _most(one.peak_bytes or None for one in memory)
    worst = _worst(
        [
            replace(visit.measured.disturbance, slowdown=visit.slowdown, programs=dict(visit.programs))
            for visit in visits
        ]
    )
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
        "server_times": median_times([one.server_times for one in numbers if one.server_times]),
        "energy": energy.of(visits),
        "disturbance": worst,
        "foreign_load": worst.foreign_load,
        "processes": tuple(map(_process, visits)),
        "cores": numbers[0].cores,
        "threads_readback": numbers[0].threads_readback,
        "effective": numbers[0].effective,
        "disturbed": "; ".join(_doubts(visits, tells)) or None,
        "status": "unstable" if reasons else "ok",
        "reason": "; ".join(dict.fromkeys(reasons)) or None,
    }


def _process(visit: VisitOutcome) -> Process:
    numbers = visit.measured
    throughput = numbers if isinstance(numbers, ThroughputNumbers) else None
    return Process(
        count=len(numbers.samples_ms),
        median_ms=statistics.median(numbers.samples_ms) if numbers.samples_ms else None,
        images_per_s=throughput.images_per_s if throughput else None,
        stream_processes=throughput.stream_processes if throughput else None,
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
        elif name == "programs":
            merged[name] = max(values, key=lambda shares: sum(shares.values()), default={})
        elif name == "frequency_mhz":  # the smaller is the worse
            merged[name] = min(values, key=lambda value: value.min, default=None)
        elif name == "gpu":
            merged[name] = values[-1] if values else None
        else:
            merged[name] = max(values, default=None)
    return Disturbance(**merged)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _minus(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else after - before


def _most(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
