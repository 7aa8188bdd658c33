"""Which records are of the same cell."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from convert.common import typed
from runtimes.records.kinds import ASKED_FOR, Accuracy, Latency, Record, Server, Throughput, TimedRecord
from runtimes.records.parts import NOT_REPORTED

# What mode throughput chose by searching is a result, and makes no other cell.
_CHOSEN = ("batch", "streams")
# What decides which images an accuracy is of.
_SELECTING = ("dataset", "limit")


def cell(record: Record, usual_threads: int | None = None) -> str:
    """Equal for two records of one machine of which the later one replaces the earlier one, unless that is better
    measured.

    usual_threads: what counts for a record that does not know its threads, because nothing was measured.
    """
    searched = isinstance(record, Throughput) and record.searched
    names = [name for name in record.CELL if not (searched and name in _CHOSEN)]
    values = _values(record, ("kind", "machine", *names))
    if "threads" in values and values["threads"] is None:
        values["threads"] = usual_threads
    return json.dumps(values, sort_keys=True)


def compared(record: Record) -> str:
    """Equal for two records, of two runs, that are held against each other."""
    return json.dumps(_values(record, ("kind", *record.COMPARED)), sort_keys=True)


def better_measured(one: Record, other: Record) -> bool:
    """Whether a record of a cell tells more of the same thing than another one: where all that can change a number is
    equal (`key`), and what a server says of itself; both with numbers; undisturbed, with the interval that was asked
    for, and that a narrower one."""
    if not (isinstance(one, TimedRecord) and isinstance(other, TimedRecord) and one.measured and other.measured):
        return False
    same = one.key is not None and one.key == other.key and _server(one) == _server(other)
    return same and _quality(one) > _quality(other)


def _server(record: TimedRecord) -> dict[str, Any]:
    """What a server told of itself; nothing where the runtime computes in our process."""
    effective = record.effective
    if effective is None or effective.device != NOT_REPORTED:
        return {}
    return {name: value for name, value in effective.details.items() if name != "processes_seen"}


def _quality(record: TimedRecord) -> tuple[bool, bool, float]:
    sound = record.status == "ok"
    target = record.target if isinstance(record, Latency) and sound else None
    return not record.disturbed, sound, -target if target else -math.inf


def differing(one: Record, other: Record) -> list[str]:
    """The fields that keep two records of a kind from being held against each other."""
    values = _values(one, one.COMPARED), _values(other, one.COMPARED)
    names = [name for name in one.COMPARED if values[0][name] != values[1][name]]
    return [name for name in names if name not in _SELECTING] if _same_images(one, other) else names


def _same_images(one: Record, other: Record) -> bool:
    """Whether the same images were classified, whatever their set is called: it may lie in another folder, and an
    exported file has no name of it."""
    return (
        isinstance(one, Accuracy)
        and isinstance(other, Accuracy)
        and one.selection_sha256 is not None
        and one.selection_sha256 == other.selection_sha256
    )


def _values(record: Record, names: Iterable[str]) -> dict[str, Any]:
    """Values of fields as JSON types; what is empty counts as absent."""
    values = {name: typed.table(getattr(record, name)) or None for name in names}
    if isinstance(record, Server):  # a bound that was asked for is part of the question, the bench's own choice is none
        values["bound"] = record.latency_bound_ms if record.bound in (None, ASKED_FOR) else None
    return values
