"""From a line of JSON to a record, with what is wrong with it in a clause."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from convert.common import typed
from runtimes.records.kinds import FORMAT, KINDS, Record

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
    return typed.read(
        KINDS[kind], {name: value for name, value in table.items() if value is not None or name in REQUIRED}
    )


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
