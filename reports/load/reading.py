"""One set of results as it was stored: a run's folder, or the one file that `python -m reports.export` made of some."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.common.errors import InputError
from runtimes.records import store
from runtimes.records.store import Record

MEASURED = ("ok", "unstable")
EXPORT_FORMAT = 1
# An exported file comes from others. 1,000 cells take some 10 MB as JSON and 2 MB packed.
PACKED_LIMIT = 64 * 2**20
UNPACKED_LIMIT = 512 * 2**20

_TEXTS = (
    "reason",
    "command",
    "artifact",
    "device",
    "time_utc",
    "dataset",
    "runtime_version",
    "key",
    "outcomes",
    "machine",
)
_NUMBERS = (
    *("batch", "threads", "count", "median_ms", "p90_ms", "p95_ms", "p99_ms", "load_ms", "first_ms"),
    *("peak_memory_bytes", "images_per_s", "streams", "duration_s", "max_abs", "mean_abs", "cosine"),
    *("top1_agreement", "top5_agreement", "nonfinite", "images", "unreadable", "top1", "top5", "mcnemar_p"),
    *("qps_max", "percentile", "latency_bound_ms", "cv", "outliers", "target"),
)
_INTERVALS = (
    *("ci95_ms", "run_ci95_ms", "ci95_images_per_s", "run_ci95_images_per_s"),
    *("top1_ci95", "top5_ci95"),
)
_FLAGS = ("passed", "batch_invariant", "subset")
_TABLES = ("effective", "model_info", "tolerance", "settings", "device_times_ms", "interval", "memory", "disturbance")
_LISTS_OF_TABLES = ("processes", "searched", "points")
_LISTS_OF_TEXTS = ("crashes",)


@dataclass(frozen=True)
class Stored:
    """Sound records, oldest first, and the environment that they were made in (empty where it was not kept)."""

    name: str
    records: tuple[Record, ...]
    environment: dict[str, Any]


def read(path: Path) -> list[Stored]:
    """What a results folder or an exported file holds: one run, or the runs that were exported together.

    InputError when it is neither, holds no record, is damaged or of a newer format; the message says where.
    """
    return _exported(path) if path.is_file() else [_folder(path)]


def _folder(folder: Path) -> Stored:
    records = store.read(folder)
    if not records:
        raise InputError(f"{folder}: no record in {store.RESULTS} yet; make some with `make bench`")
    _check(records, str(folder / store.RESULTS))
    return Stored(folder.resolve().name, tuple(records), _environment(folder / store.ENVIRONMENT))


def _check(records: list[Record], where: str) -> None:
    for number, record in enumerate(records, start=1):
        if found := fault(record):
            raise InputError(f"{where}: record {number} is damaged ({found}); remove it to use the rest")


def _environment(file: Path) -> dict[str, Any]:
    try:
        return _table(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file}: damaged ({error}); remove it to report without it") from None


def _table(text: str) -> dict[str, Any]:
    """The object that a JSON text is. ValueError when it is none, or holds NaN or an infinity."""
    table = json.loads(text, parse_constant=_no_number)
    if not isinstance(table, dict):
        raise ValueError("not a table")
    return table


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _exported(file: Path) -> list[Stored]:
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


def _run(run: Any, where: str) -> Stored:
    """A run of an exported file. Its records are held to what is held of a folder's."""
    if not isinstance(run, dict):
        raise InputError(f"{where}: damaged (no table)")
    name, environment, records = (run.get(field) for field in ("name", "environment", "records"))
    if not isinstance(name, str) or not isinstance(environment, dict) or not isinstance(records, list) or not records:
        raise InputError(f"{where}: damaged (name, environment and records are needed)")
    for number, record in enumerate(records, start=1):
        if isinstance(record, dict) and (newer := store.newer_format(record)):
            raise InputError(f"{where}, record {number}: {newer}")
        if not isinstance(record, dict) or not all(field in record for field in store.COMMON_FIELDS):
            raise InputError(f"{where}, record {number}: damaged (fields are missing)")
    _check(records, where)
    return Stored(name, tuple(records), environment)


def _unpack(file: Path) -> bytes:
    """The content of a gzip file. ValueError when it is larger than is believed of results."""
    if file.stat().st_size > PACKED_LIMIT:
        raise ValueError(f"larger than {PACKED_LIMIT >> 20} MiB")
    with gzip.open(file) as stream:
        content = stream.read(UNPACKED_LIMIT + 1)
    if len(content) > UNPACKED_LIMIT:
        raise ValueError(f"larger than {UNPACKED_LIMIT >> 20} MiB once unpacked")
    return content


def fault(record: Record) -> str | None:
    """What is wrong with a record's fields, in a few words. Absent and null ones are sound: not all is known of all."""
    for name in ("kind", "status", "model", "runtime", "precision"):
        if not isinstance(record[name], str):
            return f"{name} = {record[name]!r} is no text"
    if record["kind"] not in store.KINDS or record["status"] not in store.STATUSES:
        return f"kind {record['kind']!r}, status {record['status']!r}"
    for names, sound, kind in (
        (_TEXTS, lambda value: isinstance(value, str), "text"),
        (_NUMBERS, is_number, "number"),
        (_INTERVALS, _is_interval, "interval"),
        (_FLAGS, lambda value: isinstance(value, bool), "truth value"),
        (_TABLES, lambda value: isinstance(value, dict), "table"),
        (_LISTS_OF_TABLES, _are_tables, "list of tables"),
        (_LISTS_OF_TEXTS, _are_texts, "list of texts"),
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


def _are_tables(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, Mapping) for one in value)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
