"""What stored results say: sound records, of the artifacts in force, one of each cell on each machine: as a rule the
newest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from convert.common.errors import InputError
from convert.precision.table import FP32, NAMES
from convert.zoo import MODELS
from reports.load import machines, reach, reading
from reports.load.reading import StoredRun
from reports.text import command_line, one_line
from runtimes import registry
from runtimes.records import identity
from runtimes.records.kinds import Accuracy, Latency, Parity, Record, TimedRecord
from runtimes.records.parity_gate import Gate, gate
from runtimes.records.parts import CountsInfo, ModelInfo
from runtimes.system import environment

SEVERAL = "several machines"  # in place of a label, of an accuracy that is of no single one

Kind = TypeVar("Kind", bound=Record)
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Results:
    """What the tables are made of.

    records: one per cell and machine, in the order of the tables; each carries `machine` (the label of the machine that
    it was measured on) and `run` (the name of its run). environments: label of the machine -> its newest environment.
    stale: model -> number of records left out because a newer artifact has replaced theirs. mixed: model -> the weights
    that its records are of, those left out included, where they are several. damaged: path of what could not be read
    -> why. passed_over: records with numbers that are newer than the one which stands for their cell, and measured
    worse. runs: the name of each run, and when its newest record was made (UTC; empty where none says), as they were
    given. judged: what `standing.slower` found, by the id of the record, which stands beside it and so lives on.
    """

    name: str
    records: tuple[Record, ...]
    environments: dict[str, dict[str, Any]]
    stale: dict[str, int]
    damaged: dict[str, str] = field(default_factory=dict)
    mixed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    passed_over: tuple[Record, ...] = ()
    runs: tuple[tuple[str, str], ...] = ()
    judged: dict[int, tuple[Record, Any]] = field(default_factory=dict, init=False, compare=False)

    @property
    def environment(self) -> dict[str, Any]:
        """The environment of the only machine; empty where there are several, or it was not kept."""
        return next(iter(self.environments.values())) if len(self.environments) == 1 else {}

    def of(self, kind: type[Kind], **fields: Any) -> list[Kind]:
        """The records of a kind whose fields have these values."""
        found = [record for record in self.records if isinstance(record, kind)]
        return [record for record in found if all(getattr(record, name) == value for name, value in fields.items())]

    @property
    def models(self) -> list[str]:
        """Every model with a record, PaddleClas' seven first."""
        return list(dict.fromkeys(record.model for record in self.records))

    @property
    def several_machines(self) -> bool:
        """Whether tables have to say which machine a row is about."""
        return len(self.environments) > 1

    def source(self, model: str) -> Record | None:
        """The record that tells the facts about a model: one with `model_info`, of fp32 where there is one."""
        found = [record for record in self.records if record.model == model and record.model_info]
        return next((record for record in found if record.precision == FP32), found[0] if found else None)

    def facts(self, model: str) -> ModelInfo:
        """The facts about a model; all of them null where no record tells."""
        source = self.source(model)
        return (source and source.model_info) or ModelInfo()

    def macs(self, model: str) -> CountsInfo:
        """Multiply-accumulates for one image; all null where no record tells."""
        return self.facts(model).macs or CountsInfo()

    def parameters(self, model: str) -> CountsInfo:
        """Parameters of a model; all null where no record tells."""
        return self.facts(model).parameters or CountsInfo()

    def seeded(self, model: str) -> bool:
        """True when the weights of any of the model's artifacts were drawn, not trained."""
        return model in self._seeded

    @cached_property
    def _seeded(self) -> set[str]:
        told = ((record.model, record.model_info and record.model_info.weights) for record in self.records)
        return {model for model, weights in told if weights and weights.kind == "seeded"}

    def unvouched(self, model: str) -> bool:
        """True when any record of the model is of an ONNX file that no Paddle program vouches for."""
        return model in self._unvouched

    @cached_property
    def _unvouched(self) -> set[str]:
        return {record.model for record in self.records if record.model_info and record.model_info.unvouched}

    def accuracies(self, record: Record) -> list[Accuracy]:
        """The accuracies of what a record measured, on its machine and with its settings: one per set of images. One
        that several kinds of machine answered counts for those that it names, and where it failed for any."""
        several = self._accuracies.get(configuration(record, SEVERAL), []) if record.machine != SEVERAL else []
        own = self._accuracies.get(configuration(record), [])
        return own + [one for one in several if self._concerns(one, record)]

    def accurate(self, record: Record) -> bool | None:
        """Whether accuracy held for what a record measured; False where it did not on one set of images, be it by
        chance (`undecided`).

        None where it is not known: not measured, held against nothing, or of seeded weights, where it means nothing.
        """
        if self.seeded(record.model):
            return None
        verdicts = [accuracy.passed for accuracy in self.accuracies(record)]
        return False if False in verdicts else True if True in verdicts else None

    def missed(self, record: Record) -> list[Accuracy]:
        """The accuracies of what a record measured that did not reach their bar, those first that do so for sure."""
        missed = [accuracy for accuracy in self.accuracies(record) if accuracy.passed is False]
        return sorted(missed, key=lambda accuracy: bool(accuracy.undecided))

    def undecided(self, record: Record) -> bool:
        """Whether what a record measured missed a bar, and by no more than chance explains wherever it did: it takes no
        part where only accurate ones do, and is not condemned either."""
        return self.accurate(record) is False and all(accuracy.undecided for accuracy in self.missed(record))

    @cached_property
    def _accuracies(self) -> dict[str, list[Accuracy]]:
        return grouped(self.of(Accuracy), configuration)

    def _concerns(self, several: Accuracy, record: Record) -> bool:
        """Whether an accuracy that several kinds of machine answered says something of a record of one machine."""
        if several.artifact and record.artifact and several.artifact != record.artifact:
            return False
        here = self.environments.get(machine_of(record), {})
        return several.passed is False or any(environment.answered(name, here) for name in several.machines or ())

    def doubt(self, record: TimedRecord) -> str | None:
        """Why the speed of a record must not be shown; None when parity passed and its machine can be so fast."""
        found = self._proof(record)
        return None if found.passed else found.reason

    def proven(self, record: TimedRecord) -> bool | None:
        """Whether a speed is that of the model; None where parity was not checked."""
        return self._proof(record).passed

    def _proof(self, record: TimedRecord) -> Gate:
        found = gate(record, self._parities.get(_subject(record), ()))
        why = reach.impossible(self.environments, record) if found.passed else None
        return Gate(False, why) if why else found

    @cached_property
    def _parities(self) -> dict[tuple[Any, ...], list[Parity]]:
        return grouped(self.of(Parity), _subject)

    @cached_property
    def several_threads(self) -> bool:
        """Whether latencies were asked for with more than one number of threads."""
        return len(_thread_counts(self.records)) > 1


def load(paths: Path | Sequence[Path]) -> Results:
    """Read results folders and exported files (`python -m reports.export`) as one.

    What is damaged is left out, and `damaged` names it, as long as something is left; InputError when nothing is.
    Records of several runs go by the time at which they were made. On one machine the newest of a cell counts,
    whichever run it is of, unless an earlier one is better measured (`identity.better_measured`); machines never
    replace each other.
    """
    paths = [paths] if isinstance(paths, Path) else list(dict.fromkeys(paths))
    stored: list[StoredRun] = []
    damaged: dict[str, str] = {}
    for path in paths:
        try:
            stored += reading.read(path)
        except InputError as error:
            damaged[str(path)] = error.message
    if not stored:
        raise InputError("; ".join(damaged.values()) or "no results were given")
    labels, environments = machines.told_apart([one.environment for one in stored], [one.machine for one in stored])
    records = _by_time(stored, labels)
    in_force, stale = _newest_artifacts(records)
    name = " + ".join(dict.fromkeys(one.name for one in stored))
    kept, passed_over = _one_of_each_cell(in_force)
    ordered = tuple(sorted(kept, key=_order))
    passed = tuple(passed_over)
    return Results(name, ordered, environments, stale, damaged, _mixed_weights(records), passed, reading.runs(stored))


def _by_time(stored: Sequence[StoredRun], labels: Sequence[str]) -> list[Record]:
    """All records in the order in which they were made, each with its machine and its run.

    Within a run the order of its lines holds, whatever the clock said.
    """
    timed: list[tuple[str, Record]] = []
    for one, label in zip(stored, labels, strict=True):
        latest = ""
        for record in one.records:
            latest = max(latest, record.time_utc or "")
            several = isinstance(record, Accuracy) and record.machines and not record.machine
            machine = SEVERAL if several else record.machine or label
            timed.append((latest, _bounded(replace(record, machine=machine, run=one.name))))
    return [record for _, record in sorted(timed, key=lambda pair: pair[0])]


def _bounded(record: Record) -> Record:
    """A record whose names and sentences are each one line of text that can be shown."""
    texts = {name: value for name, value in vars(record).items() if isinstance(value, str) and name != "outcomes"}
    lines: dict[str, Any] = {
        name: command_line(value) if name == "command" else one_line(value) for name, value in texts.items()
    }
    return replace(record, **lines)


def grouped(records: Iterable[Kind], key: Callable[[Kind], Key]) -> dict[Key, list[Kind]]:
    """Records by what they have in common, in their order."""
    groups: dict[Key, list[Kind]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return groups


def machine_of(record: Record) -> str:
    """The label of the machine that a record of `Results` was measured on."""
    return record.machine or machines.UNKNOWN


def batch_of(record: Record) -> int | None:
    """The images in one request, of a record of a kind that tells."""
    return record.batch if isinstance(record, (TimedRecord, Accuracy)) else None


def _subject(record: Record) -> tuple[Any, ...]:
    return record.machine, record.model, record.runtime, record.precision


def configuration(record: Record, machine: str | None = None) -> str:
    """What a latency and an accuracy of one thing share. machine: another one than its own."""
    subject = [machine or record.machine, *_subject(record)[1:]]
    return json.dumps([*subject, record.device or "CPU", dict(record.settings) or None], sort_keys=True)


def _thread_counts(records: Iterable[Record]) -> set[int]:
    """The numbers of threads with which latencies were asked for."""
    return {record.threads for record in records if isinstance(record, Latency) and record.threads}


def _newest_artifacts(records: list[Record]) -> tuple[list[Record], dict[str, int]]:
    """The records of the artifact measured last, for each machine, model and precision, and how many others each model
    has."""
    newest = {_made(record): record.artifact for record in records if record.artifact}
    in_force, stale = [], Counter[str]()
    for record in records:
        if record.artifact in (None, newest.get(_made(record))):
            in_force.append(record)
        else:
            stale[record.model] += 1
    return in_force, dict(stale)


def _made(record: Record) -> tuple[Any, ...]:
    """What has one artifact at a time: a folder to ship is another one than the artifact that it was made from."""
    return record.machine, record.model, record.precision, _form(record)


def _form(record: Record) -> str | None:
    return record.model_info.form if record.model_info else None


def _mixed_weights(records: Iterable[Record]) -> dict[str, tuple[str, ...]]:
    """The models whose records are of several weights, and which: maybe two models that have one name."""
    found: dict[str, dict[tuple[str | None, str], str]] = {}
    for record in records:
        weights = record.model_info and record.model_info.weights
        if weights and weights.sha256:
            shown = f"{weights.source} ({weights.sha256[:8]})" if weights.kind == "file" else str(weights.source)
            found.setdefault(record.model, {})[weights.kind, weights.sha256] = shown
    return {model: tuple(each.values()) for model, each in found.items() if len(each) > 1}


def _one_of_each_cell(records: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    """The record of each cell of each machine that counts, and those that are newer and measured worse.

    One that was not measured may not know its threads: those of all others count.
    """
    counts = _thread_counts(records)
    usual = counts.pop() if len(counts) == 1 else None
    kept: dict[str, Record] = {}
    passed_over: dict[str, list[Record]] = {}
    for record in records:
        cell = f"{identity.cell(record, usual)} {_form(record)}"
        if cell in kept and identity.better_measured(kept[cell], record):
            passed_over.setdefault(cell, []).append(record)
        else:
            kept[cell] = record
            passed_over.pop(cell, None)
    return list(kept.values()), [record for each in passed_over.values() for record in each]


def runtime_order(record: Record) -> tuple[Any, ...]:
    """Where a record's column stands: Paddle, then other runtimes by name; precision; threads or streams."""
    rank = NAMES.index(record.precision) if record.precision in NAMES else len(NAMES)
    threads = record.threads if isinstance(record, (TimedRecord, Accuracy)) else None
    return (
        record.runtime != registry.reference().name,
        record.runtime,
        rank,
        record.precision,
        threads or record.streams or 0,
    )


def _order(record: Record) -> tuple[Any, ...]:
    """Where a record's row stands: models as PaddleClas lists them, then one's own; machine; runtime and precision;
    batch."""
    rank = list(MODELS).index(record.model) if record.model in MODELS else len(MODELS)
    *runtime, within = runtime_order(record)
    return rank, record.model, record.machine, *runtime, batch_of(record) or 0, within
