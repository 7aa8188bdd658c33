"""What a results folder says: records that are sound, of the artifacts in force, the latest one of each cell."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from convert.errors import InputError
from convert.zoo import MODELS
from runtimes.base import PRECISIONS
from runtimes.bench import store
from runtimes.bench.proof import proof
from runtimes.bench.store import Record

MEASURED = ("ok", "unstable")

# What makes two records the same cell: the later one replaces the earlier one.
CELL = {
    "latency": ("model", "runtime", "precision", "device", "settings", "batch", "threads", "streams"),
    "throughput": ("model", "runtime", "precision", "device", "settings", "batch", "streams"),
    "parity": ("model", "runtime", "runtime_version", "precision", "device", "settings", "inputs", "batches"),
    "accuracy": ("model", "runtime", "precision", "device", "settings", "dataset", "limit", "preprocessing"),
}
_TEXTS = ("reason", "command", "artifact", "device", "time_utc", "dataset")
_NUMBERS = (
    *("batch", "threads", "count", "median_ms", "p90_ms", "p95_ms", "p99_ms", "load_ms", "first_ms"),
    *("peak_memory_bytes", "images_per_s", "streams", "duration_s", "max_abs", "mean_abs", "cosine"),
    *("top1_agreement", "top5_agreement", "nonfinite", "images", "unreadable", "top1", "top5", "mcnemar_p"),
)
_INTERVALS = ("ci95_ms", "top1_ci95")
_FLAGS = ("passed", "batch_invariant", "subset")
_TABLES = ("effective", "model_info", "tolerance", "settings", "device_times_ms")


@dataclass(frozen=True)
class Results:
    """What the tables are made of.

    records: one per cell, in the order of the tables. stale: model -> number of records left out because a newer
    artifact has replaced theirs.
    """

    name: str
    records: tuple[Record, ...]
    environment: dict[str, Any]
    stale: dict[str, int]

    def of(self, kind: str, **fields: Any) -> list[Record]:
        """The records of a kind whose fields have these values."""
        return [r for r in self.records if r["kind"] == kind and all(r.get(k) == v for k, v in fields.items())]

    @property
    def models(self) -> list[str]:
        """Every model with a record, PaddleClas' seven first."""
        return list(dict.fromkeys(record["model"] for record in self.records))

    def source(self, model: str) -> Record | None:
        """The record that tells the facts about a model: one with `model_info`, of fp32 where there is one."""
        found = [r for r in self.records if r["model"] == model and r.get("model_info")]
        return next((r for r in found if r["precision"] == "fp32"), found[0] if found else None)

    def fact(self, model: str, table: str, name: str) -> Any:
        """One fact about a model, as `fact(model, "macs", "total")`; None where no record tells."""
        record = self.source(model)
        facts = record["model_info"].get(table) if record else None
        return facts.get(name) if isinstance(facts, dict) else None

    def count(self, model: str, table: str, name: str) -> float | None:
        """Like `fact`, of a number."""
        value = self.fact(model, table, name)
        return value if is_number(value) else None

    def notes(self, model: str) -> list[str]:
        """What the conversion did to a model beyond translating it."""
        notes = (self.source(model) or {"model_info": {}})["model_info"].get("notes")
        return [str(note) for note in notes] if isinstance(notes, list) else []

    def seeded(self, model: str) -> bool:
        """True when the weights of any of the model's artifacts were drawn, not trained."""
        return any(record["model"] == model and _tells_seeded(record) for record in self.records)

    def doubt(self, record: Record) -> str | None:
        """Why the speed of a record must not be shown, in a sentence; None when its parity passed."""
        found = proof(record, self.of("parity"))
        return None if found.passed else found.reason

    @cached_property
    def several_threads(self) -> bool:
        """Whether latencies were asked for with more than one number of threads."""
        return len(_thread_counts(self.records)) > 1


def load(folder: Path) -> Results:
    """Read a results folder. InputError when it is none, holds no record or is damaged; the message says where."""
    records = store.read(folder)
    if not records:
        raise InputError(f"{folder}: no record in {store.RESULTS} yet; make some with `make bench`")
    for number, record in enumerate(records, start=1):
        fault = _fault(record)
        if fault:
            raise InputError(
                f"{folder / store.RESULTS}: record {number} is damaged ({fault}); remove it to use the rest"
            )
    in_force, stale = _newest_artifacts(records)
    kept = sorted(_latest_cells(in_force), key=_order)
    return Results(folder.resolve().name, tuple(kept), _environment(folder / store.ENVIRONMENT), stale)


def _tells_seeded(record: Record) -> bool:
    weights = (record.get("model_info") or {}).get("weights")
    return isinstance(weights, dict) and weights.get("kind") == "seeded"


def _thread_counts(records: Iterable[Record]) -> set[int]:
    """The numbers of threads with which latencies were asked for."""
    return {record["threads"] for record in records if record["kind"] == "latency" and record.get("threads")}


def _environment(file: Path) -> dict[str, Any]:
    try:
        environment = json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_number)
        if not isinstance(environment, dict):
            raise ValueError("not a table")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: damaged ({error}); remove it to report without it") from None
    return environment


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _fault(record: Record) -> str | None:
    """What is wrong with a record's fields, in a few words. Absent and null ones are sound: not all is known of all."""
    for name in ("kind", "status", "model", "runtime", "precision"):
        if not isinstance(record[name], str):
            return f"{name} = {record[name]!r} is no text"
    if record["kind"] not in CELL or record["status"] not in store.STATUSES:
        return f"kind {record['kind']!r}, status {record['status']!r}"
    for names, sound, kind in (
        (_TEXTS, lambda value: isinstance(value, str), "text"),
        (_NUMBERS, is_number, "number"),
        (_INTERVALS, _is_interval, "interval"),
        (_FLAGS, lambda value: isinstance(value, bool), "truth value"),
        (_TABLES, lambda value: isinstance(value, dict), "table"),
    ):
        for name in names:
            if record.get(name) is not None and not sound(record[name]):
                return f"{name} = {record[name]!r} is no {kind}"
    if record["kind"] == "latency" and record["status"] in MEASURED and (record.get("median_ms") or 0) <= 0:
        return f"status {record['status']} with median_ms = {record.get('median_ms')!r}"
    return None


def is_number(value: object) -> bool:
    """Whether it is a number that can be shown: no truth value, no NaN, no infinity."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_interval(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value)) and 0 <= value[0] <= value[1]


def _newest_artifacts(records: list[Record]) -> tuple[list[Record], dict[str, int]]:
    """The records of the artifact measured last, for each model and precision, and how many others each model has."""
    newest = {(r["model"], r["precision"]): r["artifact"] for r in records if r["artifact"]}
    in_force, stale = [], Counter[str]()
    for record in records:
        if record["artifact"] in (None, newest.get((record["model"], record["precision"]))):
            in_force.append(record)
        else:
            stale[record["model"]] += 1
    return in_force, dict(stale)


def _latest_cells(records: Iterable[Record]) -> list[Record]:
    """The last record of each cell. One that was not measured may not know its threads: those of all others count."""
    records = list(records)
    counts = _thread_counts(records)
    usual = counts.pop() if len(counts) == 1 else None
    cells = {}
    for record in records:
        key = {name: record.get(name) or None for name in ("kind", *CELL[record["kind"]])}
        if "threads" in key and key["threads"] is None:
            key["threads"] = usual
        cells[json.dumps(key, sort_keys=True)] = record
    return list(cells.values())


def runtime_order(record: Record) -> tuple[Any, ...]:
    """Where a record's column stands: Paddle, then other runtimes by name; precision; threads or streams."""
    runtime, precision = record["runtime"], record["precision"]
    rank = PRECISIONS.index(precision) if precision in PRECISIONS else len(PRECISIONS)
    return runtime != "paddle", runtime, rank, precision, record.get("threads") or record.get("streams") or 0


def _order(record: Record) -> tuple[Any, ...]:
    """Where a record's row stands: models as PaddleClas lists them, then one's own; runtime and precision; batch."""
    model = record["model"]
    rank = list(MODELS).index(model) if model in MODELS else len(MODELS)
    return rank, model, *runtime_order(record)[:4], record.get("batch") or 0, *runtime_order(record)[4:]
