"""From a line of JSON to a record, with what is wrong with it in a clause."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping
from typing import Any

from convert.common import typed
from runtimes.records.kinds import FORMAT, KINDS, Accuracy, Latency, Record
from runtimes.system.contention import Contention
from runtimes.undisturbed import RULE, undisturbed

# Without these it is no record, whatever else it holds.
REQUIRED = ("kind", *(one.name for one in dataclasses.fields(Record) if one.default is one.default_factory))
_LATER = ("machine", "run")  # told by whoever reads several results together


def from_table(table: Mapping[str, Any]) -> Record:
    """The record that a table of JSON types holds. ValueError says in a clause what is wrong with it."""
    if problem := newer_format(table):
        raise ValueError(problem)
    missing = [name for name in REQUIRED if name not in table]
    if missing:
        raise ValueError(f"fields are missing: {', '.join(missing)}")
    kind = table["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"kind {kind!r}")
    record = typed.read(
        KINDS[kind], {name: value for name, value in table.items() if value is not None or name in REQUIRED}
    )
    _check(record)
    return record


def _check(record: Record) -> None:
    """ValueError where what a record says does not follow from what it holds."""
    if isinstance(record, Latency) and record.samples_ms:
        median = _median(record)
        if record.count not in (None, len(record.samples_ms)):
            raise ValueError(f"count = {record.count}, and it has {len(record.samples_ms)} samples")
        if record.median_ms is not None and not math.isclose(median, record.median_ms, rel_tol=1e-6):
            raise ValueError(f"median_ms = {record.median_ms}, and that of its samples is {median}")
    if isinstance(record, Accuracy) and record.outcomes:
        read = len(record.outcomes) - record.outcomes.count("-")
        if record.images not in (None, read):
            raise ValueError(f"images = {record.images}, and its outcomes are of {read}")
        first = record.outcomes.count("1") / read if read else None
        if record.top1 is not None and (first is None or not math.isclose(first, record.top1, rel_tol=1e-6)):
            raise ValueError(f"top1 = {record.top1}, and that of its outcomes is {first}")


def _median(record: Latency) -> float:
    """The median that the samples of a record give. ValueError where it is not of those that it says it is of."""
    if not record.undisturbed:
        return statistics.median(record.samples_ms)
    told = f"undisturbed = {record.undisturbed}, and"
    if not len(record.samples_ms) == len(record.waited) == len(record.foreign):
        counts = f"{len(record.waited)} and {len(record.foreign)}"
        raise ValueError(f"{told} waited and foreign are of {counts} samples")
    if record.rule != RULE and record.median_ms is not None:  # of another version: it cannot be followed here
        return record.median_ms
    found = undisturbed(
        record.samples_ms, [Contention(*met) for met in zip(record.waited, record.foreign, strict=True)]
    )
    used = len(found.used) if found else 0
    if not found or used != record.undisturbed:
        raise ValueError(f"{told} its median is of {used} samples")
    return found.ms


def to_table(record: Record) -> dict[str, Any]:
    """A record as JSON types, as it is stored."""
    # Made anew: msgspec leaves a null that was not in the file out of what it reads, and then out of what it writes.
    table: dict[str, Any] = typed.table(dataclasses.replace(record))
    return {name: value for name, value in table.items() if name not in _LATER or value is not None}


def newer_format(table: Mapping[str, Any]) -> str | None:
    """What is wrong with the format that a record names, in a clause; None where it is read here."""
    version = table.get("format", 1)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        return f"a record of format {version!r}: there is none"
    if version > FORMAT:
        return f"a record of format {version}; this vitbench reads up to {FORMAT}: update it"
    return None
