"""Files of one JSON object a line, appended and never rewritten: a kill leaves each line whole or absent."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from convert.common import files

Check = Callable[[dict[str, Any]], bool]


def append(file: Path, table: Mapping[str, Any]) -> None:
    """Add one line: all of it, or nothing and a WriteError. What a crash cut off before it is dropped."""
    line = json.dumps(table, ensure_ascii=False, allow_nan=False) + "\n"
    files.append(file, line.encode(), _end_last_line)


def parse(line: str) -> dict[str, Any] | None:
    """The object on a line, None when there is none; NaN and infinities are no JSON."""
    try:
        table = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return table if isinstance(table, dict) else None


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def read(file: Path) -> list[dict[str, Any]]:
    """Every line that holds an object; none where there is no file. Damage is passed over: use it for what can be
    made again."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    return [table for line in lines if (table := parse(line)) is not None]


def _end_last_line(descriptor: int) -> bytes:
    """What must stand before a new line: the end of a line that has none, after dropping what a crash cut off."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    start = size
    while start and os.pread(descriptor, 1, start - 1) != b"\n":
        start -= 1
    if start == size:
        return b""
    if parse(os.pread(descriptor, size - start, start).decode(errors="replace")):
        return b"\n"
    os.ftruncate(descriptor, start)
    return b""
