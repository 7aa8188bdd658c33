"""One set of results as it was stored: a run's folder, or the one file that `python -m reports.export` made of some."""

from __future__ import annotations

import dataclasses
import gzip
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.common import typed
from convert.common.disk import json_lines
from convert.common.errors import InputError
from runtimes.records import store
from runtimes.records.kinds import Record
from runtimes.records.reading import from_table, newer_format

EXPORT_FORMAT = 1
# An exported file comes from others. 1,000 cells take some 10 MB as JSON and 2 MB packed.
PACKED_LIMIT = 64 * 2**20
_KEY = re.compile("[0-9a-f]{16}")  # of a machine, by which a record names one of several environments
UNPACKED_LIMIT = 512 * 2**20


@dataclass(frozen=True)
class StoredRun:
    """Sound records, oldest first, and the environment that they were made in (empty where it was not kept). machine:
    the key by which the records of a cluster's run name it (`environment.setting_key`); None elsewhere."""

    name: str
    records: tuple[Record, ...]
    environment: dict[str, Any]
    machine: str | None = None


def read(path: Path) -> list[StoredRun]:
    """What a results folder or an exported file holds: one run, a run on several machines as one of each, or the runs
    that were exported together.

    InputError when it is neither, holds no record, is damaged or of a newer format; the message says where.
    """
    return _exported(path) if path.is_file() else _folder(path)


def runs(stored: Sequence[StoredRun]) -> tuple[tuple[str, str], ...]:
    """The name of each run, and when its newest record was made (UTC; empty where none says). What several machines
    made of one follows each other under its name, and is one run."""
    found: list[tuple[str, str]] = []
    machines: set[str | None] = set()
    for one in stored:
        latest = max(record.time_utc or "" for record in one.records)
        if found and found[-1][0] == one.name and one.machine not in machines:
            found[-1] = (one.name, max(found[-1][1], latest))
        else:
            found.append((one.name, latest))
            machines.clear()
        machines.add(one.machine)
    return tuple(found)


def _folder(folder: Path) -> list[StoredRun]:
    records = store.read(folder)
    if not records:
        raise InputError(f"{folder}: no record in {store.RESULTS} yet; make some with `make bench`")
    name, of = folder.resolve().name, dict[str | None, list[Record]]()
    for record in records:
        key = record.machine if _KEY.fullmatch(record.machine or "") else None
        of.setdefault(key, []).append(dataclasses.replace(record, machine=None) if key else record)
    return [
        StoredRun(name, tuple(those), _environment(store.environment_of(folder, key)), key) for key, those in of.items()
    ]


def _environment(file: Path) -> dict[str, Any]:
    try:
        return _table(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file}: damaged ({error}); remove it to report without it") from None


def _table(text: str) -> dict[str, Any]:
    """The object that a JSON text is. ValueError when it is none, or holds NaN or an infinity."""
    table = json_lines.loads(text)
    if not isinstance(table, dict):
        raise ValueError("not a table")
    return table


def _exported(file: Path) -> list[StoredRun]:
    try:
        document = _table(_unpack(file).decode("utf-8"))
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
        raise InputError(f"{file}: no results that `python -m reports.export` wrote ({error})") from None
    version = document.get("vitbench_export")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InputError(f"{file}: no results that `python -m reports.export` wrote (it does not say so)")
    if version > EXPORT_FORMAT:
        raise InputError(f"{file}: an export of format {version}; this vitbench reads up to {EXPORT_FORMAT}: update it")
    runs = document.get("runs")
    if not isinstance(runs, list) or not runs:
        raise InputError(f"{file}: damaged (it holds no run)")
    return [_run(run, f"{file}, run {number}") for number, run in enumerate(runs, start=1)]


def _run(run: Any, where: str) -> StoredRun:
    """A run of an exported file. Its records are held to what is held of a folder's."""
    if not isinstance(run, dict):
        raise InputError(f"{where}: damaged (no table)")
    name, environment, records = (run.get(field) for field in ("name", "environment", "records"))
    if not isinstance(name, str) or not isinstance(environment, dict) or not isinstance(records, list) or not records:
        raise InputError(f"{where}: damaged (name, environment and records are needed)")
    sound = tuple(_record(one, f"{where}, record {n}") for n, one in enumerate(records, start=1))
    key = run.get("machine")
    return StoredRun(name, sound, environment, key if isinstance(key, str) and _KEY.fullmatch(key) else None)


def _record(table: Any, where: str) -> Record:
    """A record of an exported file, held to what is held of a folder's."""
    if not isinstance(table, dict):
        raise InputError(f"{where}: damaged (no table)")
    try:
        return from_table(table)
    except ValueError as error:
        newer = newer_format(table)
        raise InputError(f"{where}: {newer or f'damaged ({error})'}") from None


def _unpack(file: Path) -> bytes:
    """The content of a gzip file. ValueError when it is larger than is believed of results."""
    if file.stat().st_size > PACKED_LIMIT:
        raise ValueError(f"larger than {PACKED_LIMIT >> 20} MiB")
    with gzip.open(file) as stream:
        content = stream.read(UNPACKED_LIMIT + 1)
    if len(content) > UNPACKED_LIMIT:
        raise ValueError(f"larger than {UNPACKED_LIMIT >> 20} MiB once unpacked")
    return content


def without_nulls(value: Any) -> Any:
    """A record, or a part of one, as JSON types without what is null, which says nothing."""
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [without_nulls(one) for one in value]
    return without_nulls(typed.table(value)) if dataclasses.is_dataclass(value) else value
