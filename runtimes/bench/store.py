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
        _drop_cut_line(descriptor)
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _drop_cut_line(descriptor: int) -> None:
    """Remove what a crash left of a record without its line end, so that it does not swallow the next one."""
    end = size = os.lseek(descriptor, 0, os.SEEK_END)
    while end and os.pread(descriptor, 1, end - 1) != b"\n":
        end -= 1
    if end < size:
        os.ftruncate(descriptor, end)


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
        try:
            record = json.loads(line)
            if not isinstance(record, dict) or any(name not in record for name in COMMON_FIELDS):
                raise ValueError("not a record")
        except ValueError as error:
            if number == len(lines):  # cut by a crash: a whole record ends its line
                continue
            raise InputError(f"{file}, line {number}: damaged ({error}); remove that line to use the rest") from None
        records.append(record)
    return records


def latest(records: Iterable[Record], *keys: str) -> dict[tuple[Any, ...], Record]:
    """The last record for each combination of the named fields."""
    return {tuple(record.get(key) for key in keys): record for record in records}
