"""What stored results say: sound records, of the artifacts in force, the newest one of each cell on each machine."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from convert.common.errors import InputError
from convert.zoo import MODELS
from reports.load import machines, reading
from reports.load.reading import MEASURED as MEASURED
from reports.load.reading import Stored
from reports.load.reading import is_number as is_number
from runtimes.base import PRECISIONS
from runtimes.records.parity_gate import Proof, proof
from runtimes.records.store import Record

# What makes two records of one machine the same cell: the later one replaces the earlier one.
CELL = {
    "latency": ("model", "runtime", "precision", "device", "settings", "batch", "threads", "streams"),
    "throughput": ("model", "runtime", "precision", "device", "settings", "threads", "batch", "streams"),
    "server": ("model", "runtime", "precision", "device", "settings", "threads", "streams", "bound", "percentile"),
    "parity": ("model", "runtime", "runtime_version", "precision", "device", "settings", "inputs", "batches"),
    "accuracy": ("model", "runtime", "precision", "device", "settings", "dataset", "limit", "preprocessing"),
}
# What a search chose is a result; it does not make another cell.
_FOUND = {"throughput": ("batch", "streams")}


@dataclass(frozen=True)
class Results:
    """What the tables are made of.

    records: one per cell and machine, in the order of the tables; each carries `machine` (the label of the machine that
    it was measured on) and `run` (the name of its run). environments: label of the machine -> its newest environment.
    stale: model -> number of records left out because a newer artifact has replaced theirs. damaged: path of what could
    not be read -> why. replaced: number of records left out because another run measured the same cell later.
    """

    name: str
    records: tuple[Record, ...]
    environments: dict[str, dict[str, Any]]
    stale: dict[str, int]
    damaged: dict[str, str] = field(default_factory=dict)
    replaced: int = 0

    @property
    def environment(self) -> dict[str, Any]:
        """The environment of the only machine; empty where there are several, or it was not kept."""
        return next(iter(self.environments.values())) if len(self.environments) == 1 else {}

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
        return model in self._seeded

    @cached_property
    def _seeded(self) -> set[str]:
        return {record["model"] for record in self.records if _tells_seeded(record)}

    def accuracies(self, record: Record) -> list[Record]:
        """The accuracies of what a record measured, on its machine and with its settings: one per set of images."""
        return self._accuracies.get(_configuration(record), [])

    def accurate(self, record: Record) -> bool | None:
        """Whether accuracy held for what a record measured; False where it did not on one set of images.

        None where it is not known: not measured, held against nothing, or of seeded weights, where it means nothing.
        """
        if self.seeded(record["model"]):
            return None
        verdicts = [accuracy.get("passed") for accuracy in self.accuracies(record)]
        return False if False in verdicts else True if True in verdicts else None

    @cached_property
    def _accuracies(self) -> dict[str, list[Record]]:
        accuracies = defaultdict(list)
        for record in self.of("accuracy"):
            accuracies[_configuration(record)].append(record)
        return dict(accuracies)

    def doubt(self, record: Record) -> str | None:
        """Why the speed of a record must not be shown, in a sentence; None when its parity passed on its machine."""
        found = self._proof(record)
        return None if found.passed else found.reason

    def proven(self, record: Record) -> bool | None:
        """Whether parity passed for what a record measured; None where it was not checked."""
        return self._proof(record).passed

    def _proof(self, record: Record) -> Proof:
        return proof(record, self._parities.get(_subject(record), ()))

    @cached_property
    def _parities(self) -> dict[tuple[Any, ...], list[Record]]:
        parities = defaultdict(list)
        for record in self.of("parity"):
            parities[_subject(record)].append(record)
        return parities

    @cached_property
    def several_threads(self) -> bool:
        """Whether latencies were asked for with more than one number of threads."""
        return len(_thread_counts(self.records)) > 1


def load(paths: Path | Sequence[Path]) -> Results:
    """Read results folders and exported files (`python -m reports.export`) as one.

    What is damaged is left out, and `damaged` names it, as long as something is left; InputError when nothing is.
    Records of several runs go by the time at which they were made. On one machine the newest of a cell counts,
    whichever run it is of; machines never replace each other.
    """
    paths = [paths] if isinstance(paths, Path) else list(dict.fromkeys(paths))
    stored: list[Stored] = []
    damaged: dict[str, str] = {}
    for path in paths:
        try:
            stored += reading.read(path)
        except InputError as error:
            damaged[str(path)] = error.message
    if not stored:
        raise InputError("; ".join(damaged.values()) or "no results were given")
    labels, environments = machines.told_apart([one.environment for one in stored])
    records = _by_time(stored, labels)
    in_force, stale = _newest_artifacts(records)
    kept, replaced = _latest_cells(in_force)
    name = " + ".join(dict.fromkeys(one.name for one in stored))
    return Results(name, tuple(sorted(kept, key=_order)), environments, stale, damaged, replaced)


def _by_time(stored: Sequence[Stored], labels: Sequence[str]) -> list[Record]:
    """All records in the order in which they were made, each with its machine and its run.

    Within a run the order of its lines holds, whatever the clock said.
    """
    timed: list[tuple[str, Record]] = []
    for one, label in zip(stored, labels, strict=True):
        latest = ""
        for record in one.records:
            latest = max(latest, record.get("time_utc") or "")
            timed.append((latest, {"machine": label, **_without_null(record), "run": one.name}))
    return [record for _, record in sorted(timed, key=lambda pair: pair[0])]


def _without_null(record: Record) -> Record:
    """The record, without a machine that it does not name."""
    return {name: value for name, value in record.items() if name != "machine" or value}


def _subject(record: Record) -> tuple[Any, ...]:
    return tuple(record.get(name) for name in ("machine", "model", "runtime", "precision"))


def _configuration(record: Record) -> str:
    """What a latency and an accuracy of one thing share."""
    settings, device = record.get("settings") or None, record.get("device") or "CPU"
    return json.dumps([*_subject(record), device, settings], sort_keys=True)


def _tells_seeded(record: Record) -> bool:
    weights = (record.get("model_info") or {}).get("weights")
    return isinstance(weights, dict) and weights.get("kind") == "seeded"


def _thread_counts(records: Iterable[Record]) -> set[int]:
    """The numbers of threads with which latencies were asked for."""
    return {record["threads"] for record in records if record["kind"] == "latency" and record.get("threads")}


def _newest_artifacts(records: list[Record]) -> tuple[list[Record], dict[str, int]]:
    """The records of the artifact measured last, for each machine, model and precision, and how many others each model
    has."""
    newest = {(r["machine"], r["model"], r["precision"]): r["artifact"] for r in records if r["artifact"]}
    in_force, stale = [], Counter[str]()
    for record in records:
        if record["artifact"] in (None, newest.get((record["machine"], record["model"], record["precision"]))):
            in_force.append(record)
        else:
            stale[record["model"]] += 1
    return in_force, dict(stale)


def _latest_cells(records: Iterable[Record]) -> tuple[list[Record], int]:
    """The last record of each cell of each machine, and how many were left out for one of another run.

    One that was not measured may not know its threads: those of all others count.
    """
    records = list(records)
    counts = _thread_counts(records)
    usual = counts.pop() if len(counts) == 1 else None
    cells: dict[str, Record] = {}
    replaced = 0
    for record in records:
        names = ("kind", "machine", *CELL[record["kind"]])
        found = _FOUND.get(record["kind"], ()) if record.get("searched") else ()
        key = {name: record.get(name) or None for name in names if name not in found}
        if key.get("threads", usual) is None:
            key["threads"] = usual
        text = json.dumps(key, sort_keys=True)
        replaced += text in cells and cells[text]["run"] != record["run"]
        cells[text] = record
    return list(cells.values()), replaced


def runtime_order(record: Record) -> tuple[Any, ...]:
    """Where a record's column stands: Paddle, then other runtimes by name; precision; threads or streams."""
    runtime, precision = record["runtime"], record["precision"]
    rank = PRECISIONS.index(precision) if precision in PRECISIONS else len(PRECISIONS)
    return runtime != "paddle", runtime, rank, precision, record.get("threads") or record.get("streams") or 0


def _order(record: Record) -> tuple[Any, ...]:
    """Where a record's row stands: models as PaddleClas lists them, then one's own; machine; runtime and precision;
    batch."""
    model = record["model"]
    rank = list(MODELS).index(model) if model in MODELS else len(MODELS)
    runtime, within = runtime_order(record)[:4], runtime_order(record)[4:]
    return rank, model, record["machine"], *runtime, record.get("batch") or 0, *within
