"""Each record for the page: one line of what it is, what is stored of it, and the command that makes it again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reports.html.facets import Facets, Tags
from reports.language import say, stored
from reports.load.reading import without_nulls
from reports.load.results import Results
from reports.numbers import closeness, measured, milliseconds, tiny
from reports.tables.columns import subject_of
from reports.tables.standing import SHOWN
from reports.tables.table import Subject
from reports.text import one_line
from runtimes.records.kinds import Accuracy, Latency, Parity, Record, Server, Throughput, TimedRecord

# Shown by other means (the line, the command, the charts, the tables), or one entry per image.
_ELSEWHERE = (
    *("kind", "model", "runtime", "precision", "command", "samples_ms", "model_info", "outcomes", "flips", "format"),
    "unreadable_images",
)
_SPEEDS = ("_ms", "_per_s")  # ends of the names of what a record without proof must not show


@dataclass(frozen=True)
class Detail:
    """number: the record's place among all. subject: what it is about. value: its main number as text.

    fields: names and texts as stored. tags: for the filters.
    """

    number: int
    record: Record
    subject: Subject
    value: str
    fields: tuple[tuple[str, str], ...]
    tags: Tags


def details(results: Results, known: Facets) -> list[Detail]:
    return [_detail(results, known, number, record) for number, record in enumerate(results.records)]


def _detail(results: Results, known: Facets, number: int, record: Record) -> Detail:
    subject, fields = subject_of(results, record), list(_leaves(without_nulls(record)))
    if isinstance(record, TimedRecord) and subject.status == "unproven":
        fields = [("unproven", stored(str(results.doubt(record)))), *(one for one in fields if not _is_speed(one[0]))]
    return Detail(number, record, subject, _value(record, subject.status), tuple(fields), known.tags(subject))


def _value(record: Record, status: str) -> str:
    """The number that people look for in a record of this kind, with its unit."""
    if isinstance(record, Parity) and record.max_abs is not None:
        return say("max abs {value}", value=tiny(record.max_abs))
    if isinstance(record, Accuracy) and record.top1 is not None:
        return say("top-1 {value}", value=measured(record.top1, record.top1_ci95))
    if status not in SHOWN:
        return ""
    if isinstance(record, Latency):
        return milliseconds(record.median_ms, record.ci95_ms, " ms")
    if isinstance(record, Throughput) and record.images_per_s is not None:
        return say("{rate} images/s", rate=measured(record.images_per_s, record.ci95_images_per_s))
    if isinstance(record, Server) and record.qps_max is not None:
        return say("{rate} queries/s", rate=measured(record.qps_max))
    return ""


def _leaves(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names, joined by dots where they are nested, and texts of what is stored. What is null or empty says nothing."""
    for name, value in table.items():
        if value in ("", {}, []) or (not prefix and name in _ELSEWHERE):
            continue
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _text(name, value)


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name in ("cosine", "top1_agreement", "top5_agreement") and isinstance(value, float):
        return closeness(value, 9)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and all(isinstance(part, dict) for part in value):
        return "\n".join(", ".join(f"{key} {_text(key, part[key])}" for key in part) for part in value)
    if isinstance(value, list):
        return ", ".join(_text(name, part) for part in value)
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _is_speed(name: str) -> bool:
    return any(part.endswith(_SPEEDS) for part in name.split(".")) or name.startswith(
        ("processes", "searched", "points", "qps")
    )
