"""A cell's record, made of its visits."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from runtimes.base import discrepancy
from runtimes.bench.plan.matrix import Cell, Policy
from runtimes.bench.schedule.executor import Outcome
from runtimes.records import blank as records
from runtimes.records.store import Record
from runtimes.statistics import Noise, across_runs, relative_half_width, summarize
from runtimes.system import disturbance
from runtimes.system import speed_probe as probe

# What a record has only after measuring; null before.
_UNKNOWN = ("load_ms", "first_ms", "peak_memory_bytes", "memory", "disturbance", "disturbed", "processes")
_LATENCY = (
    *("median_ms", "ci95_ms", "run_ci95_ms", "interval", "p90_ms", "p95_ms", "p99_ms", "cv", "outliers", "target"),
    *("device_times_ms", "foreign_load"),
)
# The larger is the worse, except for these.
_SMALLEST = ("frequency_mhz",)


def blank(cell: Cell, key: str, policy: Policy) -> Record:
    """A cell's record before anything was measured."""
    options: dict[str, Any] = {
        "precision": cell.precision,
        "batch": cell.batch if cell.mode == "latency" else None,
        "mode": None if cell.mode == "latency" else cell.mode,
        **_mode_arguments(cell),
        **policy.arguments(),
        **cell.asked.arguments([cell.runtime]),
    }
    measured = ("count", "samples_ms", *_LATENCY) if cell.mode == "latency" else ()
    return records.blank(cell.mode, cell.artifact, cell.runtime, cell.precision, cell.options) | {
        "command": records.command("runtimes.bench", cell.argument, cell.artifact, cell.weights, **options),
        "key": key,
        "batch": cell.batch,
        "threads": cell.options.thread_count(),
        **dict.fromkeys((*measured, *_UNKNOWN)),
        **({"samples_ms": []} if cell.mode == "latency" else {}),
    }


def _mode_arguments(cell: Cell) -> dict[str, Any]:
    options = cell.mode_options
    return {
        "batch": ",".join(map(str, options["batches"])) if "batches" in options else None,
        "latency_bound": options.get("latency_bound_ms"),
        "percentile": options.get("percentile"),
    } if cell.mode != "latency" else {}  # fmt: skip


def failure(cell: Cell, outcome: Outcome) -> Record | None:
    """What a visit without numbers, or one that ran as something else, makes of its cell; None where all is well."""
    if outcome.numbers is None:
        return {"status": "failed", "reason": outcome.failure}
    effective = outcome.numbers["effective"]
    wrong = discrepancy(cell.runtime.name, effective, cell.options)
    reasons = [*([wrong] if wrong else []), *outcome.numbers.get("discrepancies", ())]
    return {"effective": effective, "status": "failed", "reason": "; ".join(reasons)} if reasons else None


def trouble(outcome: Outcome) -> str | None:
    """What disturbed a visit, in a sentence; None where nothing did."""
    assert outcome.numbers is not None
    found = (probe.disturbed(outcome.slowdown), disturbance.disturbed(outcome.numbers["disturbance"]))
    return "; ".join(filter(None, found)) or None


def usable(visits: Sequence[Outcome], at_least: int) -> list[Outcome]:
    """The visits that were not disturbed; where those are too few, the least slowed-down ones beside them."""
    quiet = [visit for visit in visits if not trouble(visit)]
    if len(quiet) >= at_least:
        return quiet
    rest = sorted((visit for visit in visits if trouble(visit)), key=lambda visit: visit.slowdown)
    chosen = [*quiet, *rest[: at_least - len(quiet)]]
    return [visit for visit in visits if any(visit is one for one in chosen)]


def samples(visits: Sequence[Outcome]) -> list[list[float]]:
    """The kept samples of each visit, in milliseconds."""
    return [list(visit.numbers["samples_ms"]) for visit in visits if visit.numbers]


def medians(visits: Sequence[Outcome]) -> list[float]:
    """The median of each visit, in milliseconds."""
    return [statistics.median(one) for one in samples(visits) if one]


def latency(visits: Sequence[Outcome], others: Noise, runs: Noise, policy: Policy) -> Record:
    """The measured part of a record of kind latency, made of the visits that count (`usable`)."""
    by_process = samples(visits)
    summary = summarize(by_process, others, runs)
    reasons = _doubts(visits)
    steady = all(_numbers(visit)["steady"] for visit in visits)
    half = relative_half_width(summary["median_ms"], summary["run_ci95_ms"])
    if half > policy.target:
        wide = "unknown" if summary["run_ci95_ms"] is None else f"{half:.1%}"
        reasons.append(f"the run's 95 % interval is wider than asked: half of it is {wide}, not {policy.target:.1%}")
    if not steady:
        reasons.append("the times did not get steady")
    times = [_numbers(visit)["device_times_ms"] for visit in visits]
    return {
        "samples_ms": [sample for one in by_process for sample in one],
        **summary,
        "target": policy.target,
        "device_times_ms": _medians([one for one in times if one]),
        **_common(visits),
        **_status(visits, reasons),
    }


def rated(
    found: Mapping[str, Any], visits: Sequence[Outcome], own: list[float] | None, how: Any, runs: Noise
) -> Record:
    """The measured part of a record of kind throughput. visits: those to the batch and streams that were chosen.

    found: batch, streams, images_per_s and what was searched. own: the run's own interval, made as `how` says. runs:
    how far runs lie apart.
    """
    return {
        **found,
        "ci95_images_per_s": across_runs(found["images_per_s"], own, runs),
        "run_ci95_images_per_s": own,
        "interval": how,
        "duration_s": sum(_numbers(visit)["duration_s"] for visit in visits),
        **_common(visits),
        **_status(visits, _doubts(visits)),
    }


def served(visit: Outcome) -> Record:
    """The measured part of a record of kind server, of one visit: it holds every rate."""
    numbers = _numbers(visit)
    own = ("points", "qps_max", "percentile", "latency_bound_ms", "bound", "capacity_qps", "unloaded_ms", "loadgen")
    return {
        **{name: numbers[name] for name in own},
        "streams": numbers["streams"],
        **_common([visit]),
        **_status([visit], _doubts([visit])),
    }


def _numbers(visit: Outcome) -> Mapping[str, Any]:
    assert visit.numbers is not None
    return visit.numbers


def _doubts(visits: Sequence[Outcome]) -> list[str]:
    """What disturbed any of the visits, each cause once and at its worst."""
    found = [_numbers(visit)["disturbance"] for visit in visits]
    slowdown = max(visit.slowdown for visit in visits)
    of_gpus = [disturbance.disturbed({"gpu": one.get("gpu")}) for one in found]
    reasons = [probe.disturbed(slowdown), disturbance.disturbed({**_worst(found), "gpu": None}), *of_gpus]
    return list(dict.fromkeys(reason for reason in reasons if reason))


def _status(visits: Sequence[Outcome], reasons: list[str]) -> Record:
    disturbed = "; ".join(_doubts(visits)) or None
    if not reasons:
        return {"disturbed": disturbed, "status": "ok", "reason": None}
    return {"disturbed": disturbed, "status": "unstable", "reason": "; ".join(dict.fromkeys(reasons))}


def _common(visits: Sequence[Outcome]) -> Record:
    numbers = [_numbers(visit) for visit in visits]
    memory = [one["memory"] for one in numbers]
    peaks = [one["peak_bytes"] for one in memory if one["peak_bytes"]]
    worst = _worst(
        [{**one["disturbance"], "slowdown": visit.slowdown} for one, visit in zip(numbers, visits, strict=True)]
    )
    return {
        "load_ms": statistics.median(one["load_ms"] for one in numbers),
        "first_ms": _median_of(one["first_ms"] for one in numbers),
        "peak_memory_bytes": max(peaks) if peaks else None,
        "memory": {
            "process_bytes": max(peaks) if peaks else None,
            "model_bytes": _most(_minus(one["peak_bytes"], one["before_load_bytes"]) for one in memory),
            "loaded_bytes": _most(_minus(one["after_load_bytes"], one["before_load_bytes"]) for one in memory),
            "device_bytes": _most(one.get("device_bytes") for one in memory),
        },
        "disturbance": worst,
        "foreign_load": worst.get("foreign_load"),
        "processes": [_process(visit) for visit in visits],
        "cores": numbers[0].get("cores"),
        "threads_readback": numbers[0].get("threads_readback"),
        "effective": numbers[0]["effective"],
    }


def _process(visit: Outcome) -> Record:
    numbers = _numbers(visit)
    kept = numbers.get("samples_ms") or []
    return {
        "count": len(kept),
        "median_ms": statistics.median(kept) if kept else None,
        **{name: numbers[name] for name in ("images_per_s", "stream_processes") if name in numbers},
        "load_ms": numbers["load_ms"],
        "first_ms": numbers["first_ms"],
        "warmup_count": len(numbers["warmup_ms"]) if "warmup_ms" in numbers else None,
        "steady": numbers.get("steady"),
        "slowdown": visit.slowdown if visit.speed_ms else None,
        "speed_ms": list(visit.speed_ms),
        "foreign_load": numbers["disturbance"].get("foreign_load"),
        "disturbed": trouble(visit),
        "time_utc": visit.time_utc,
    }


def _worst(found: Sequence[Mapping[str, Any]]) -> Record:
    """The worst that any visit reports of each quantity; null where none could tell, and the reasons of all."""
    merged: Record = {}
    for name in dict.fromkeys(name for one in found for name in one):
        values = [one[name] for one in found if one.get(name) is not None]
        if name == "unmeasured":
            merged[name] = {key: why for one in values for key, why in one.items()}
        elif values and all(isinstance(value, (int, float)) for value in values):
            merged[name] = min(values) if name in _SMALLEST else max(values)
        elif name in _SMALLEST and values:
            merged[name] = min(values, key=lambda value: value["min"])
        else:
            merged[name] = values[-1] if values else None
    return merged


def _medians(tables: Sequence[Mapping[str, float]]) -> dict[str, float] | None:
    return {name: statistics.median(one[name] for one in tables) for name in tables[0]} if tables else None


def _median_of(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _minus(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else after - before


def _most(values: Any) -> int | None:
    return max((value for value in values if value is not None), default=None)
