"""Which records are of the same cell."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from convert.common import typed
from runtimes.records.kinds import Record, Throughput

# What mode throughput chose by searching is a result, and makes no other cell.
_CHOSEN = ("batch", "streams")


def cell(record: Record, usual_threads: int | None = None) -> str:
    """Equal for two records of one machine of which the later one replaces the earlier one.

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


def differing(one: Record, other: Record) -> list[str]:
    """The fields that keep two records of a kind from being held against each other."""
    values = _values(one, one.COMPARED), _values(other, one.COMPARED)
    return [name for name in one.COMPARED if values[0][name] != values[1][name]]


def _values(record: Record, names: Iterable[str]) -> dict[str, Any]:
    """Values of fields as JSON types; what is empty counts as absent."""
    return {name: typed.table(getattr(record, name)) or None for name in names}
