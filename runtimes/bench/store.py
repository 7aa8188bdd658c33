"""The results folder: `results.jsonl`, one record a line, appended and never rewritten."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from convert.errors import InputError

RESULTS = "results.jsonl"
ENVIRONMENT = "environment.json"
STATUSES = ("ok", "failed", "refused", "unavailable", "unstable")
KINDS = ("latency", "throughput", "parity", "accuracy")
COMMON_FIELDS = (
    "kind",
    "model",
    "precision",
    "runtime",
    "device",
    "artifact",
    "status",
    "reason",
    "effective",
    "command",
)

Record = dict[str, Any]


def new_run(root: Path = Path("results")) -> Path:
    """The path of a new results folder, named by the time (UTC). It is made when the first record is written."""
    return root / time.strftime("%Y%m%d-%H%M%S", time.gmtime())


def newest_run(root: Path = Path("results")) -> Path:
    """The results folder written last. InputError when there is none."""
    runs = sorted(root.glob(f"*/{RESULTS}"), key=lambda file: file.stat().st_mtime)
    if not runs:
        raise InputError(f"{root}: no results yet; make some with `make bench`")
    return runs[-1].parent


def append(folder: Path, record: Record) -> None:
    """Add one record. The line reaches the disk in one write, so that a kill leaves it whole or absent."""
    missing = [name for name in COMMON_FIELDS if name not in record]
    if missing or record["status"] not in STATUSES or record["kind"] not in KINDS:
        raise ValueError(f"not a record: missing {missing}, kind {record.get('kind')}, status {record.get('status')}")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / RESULTS
    line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, (_end_last_line(descriptor) + line).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _end_last_line(descriptor: int) -> str:
    """What must stand before a new record: the end of a line that has none, after dropping what a crash cut off."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    start = size
    while start and os.pread(descriptor, 1, start - 1) != b"\n":
        start -= 1
    if start == size:
        return ""
    if _parse(os.pread(descriptor, size - start, start).decode(errors="replace")):
        return "\n"
    os.ftruncate(descriptor, start)
    return ""


def _parse(line: str) -> Record | None:
    """The record on a line, None when there is none."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and all(name in record for name in COMMON_FIELDS) else None


def read(folder: Path) -> list[Record]:
    """All records, oldest first. A cut last line is left out; any other damage is an InputError that names the line."""
    file = folder / RESULTS
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{folder}: no results folder ({error})") from None
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        record = _parse(line)
        if record:
            records.append(record)
        elif number < len(lines):  # the last one has no line end: a crash cut it
            raise InputError(f"{file}, line {number}: damaged; remove that line to use the rest")
    return records


def latest(records: Iterable[Record], *keys: str) -> dict[tuple[Any, ...], Record]:
    """The last record for each combination of the named fields."""
    return {tuple(record.get(key) for key in keys): record for record in records}
