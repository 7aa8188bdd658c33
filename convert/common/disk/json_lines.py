"""Files of one JSON object a line, appended and never rewritten: a kill leaves each line whole or absent.

A line ends with a checksum of what stands before it, `"crc": "89abcdef"`, by which damage is told, and a number that
somebody changed. Lines of earlier versions have none, and are taken as they are.
"""

from __future__ import annotations

import json
import math
import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convert.common.disk import files

_CRC = "crc"
_LARGE = re.compile(r"\d{19}|[eE]\+?\d{3}")  # what may be a number that is too large
_CHECKED = re.compile(r'(?P<before>.*)"crc": "(?P<crc>[0-9a-f]{8})"\}\s*', re.DOTALL)


def append(file: Path, table: Mapping[str, Any]) -> None:
    """Add one line: all of it, or nothing and a WriteError. What a crash cut off before it is dropped."""
    before = json.dumps(table, ensure_ascii=False, allow_nan=False)[:-1] + (", " if table else "")
    line = f'{before}"{_CRC}": "{_crc(before)}"}}\n'
    files.append(file, line.encode("utf-8", "backslashreplace"), _end_last_line)


def parse(line: str) -> dict[str, Any] | None:
    """The object on a line without its checksum; None when there is none, or another one than was written. NaN and
    infinities are no JSON."""
    try:
        table = loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(table, dict) or table.pop(_CRC, None) is None:
        return table if isinstance(table, dict) else None
    checked = _CHECKED.fullmatch(line)
    return table if checked and checked["crc"] == _crc(checked["before"]) else None


def _crc(text: str) -> str:
    return f"{zlib.crc32(text.encode('utf-8', 'backslashreplace')):08x}"


def loads(text: str) -> Any:
    """What a JSON text holds. ValueError, or RecursionError for its depth; NaN, infinities and numbers that no 64 bits
    hold are no JSON."""
    if not _LARGE.search(text):
        return json.loads(text, parse_constant=_no_number)
    return json.loads(text, parse_constant=_no_number, parse_int=_whole, parse_float=_finite)


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _whole(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= int(text) < 2**64:
        raise ValueError(f"{text[:20]}... is too large a number")
    return int(text)


def _finite(text: str) -> float:
    if not math.isfinite(float(text)):
        raise ValueError(f"{text[:20]} is too large a number")
    return float(text)


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
