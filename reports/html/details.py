"""Each record for the page: one line of what it is, what is stored of it, and the command that makes it again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reports.html.rows import machine
from reports.language import say
from reports.load.results import MEASURED, Results
from reports.numbers import closeness, measured, tiny
from reports.tables.cells import shown_status
from reports.tables.frames import runtime_name
from runtimes.records.store import Record

# Shown by other means (the line, the command, the charts, the tables), or one entry per image.
_ELSEWHERE = (
    *("kind", "model", "runtime", "precision", "command", "samples_ms", "model_info", "outcomes", "flips", "format"),
    "unreadable_images",
)
TIMED = ("latency", "throughput", "server")  # what needs a parity that passed
_SPEEDS = ("_ms", "_per_s")  # ends of the names of what a record without proof must not show


@dataclass(frozen=True)
class Detail:
    """number: the record's place among all. value: its main number as text. machine: empty where all are of one.

    fields: names and texts as stored.
    """

    number: int
    record: Record
    label: str
    status: str
    value: str
    machine: str
    fields: tuple[tuple[str, str], ...]


def details(results: Results) -> list[Detail]:
    """One for each record, in the report's order."""
    return [_detail(results, number, record) for number, record in enumerate(results.records)]


def _detail(results: Results, number: int, record: Record) -> Detail:
    status = shown_status(results, record) if record["kind"] in TIMED else record["status"]
    hidden = status == "unproven"
    fields = [(name, text) for name, text in _leaves(record) if not (hidden and _is_speed(name))]
    if status == "unproven":
        fields.insert(0, ("unproven", str(results.doubt(record))))
    value = _value(record) if status in MEASURED or record["kind"] in ("parity", "accuracy") else ""
    return Detail(number, record, runtime_name(record), status, value, machine(results, record), tuple(fields))


def _value(record: Record) -> str:
    """The number that people look for in a record of this kind, with its unit."""
    kind, median, rate = record["kind"], record.get("median_ms"), record.get("images_per_s")
    if kind == "latency" and median is not None:
        return f"{measured(median, record.get('ci95_ms'))} ms"
    if kind == "throughput" and rate is not None:
        return say("{rate} images/s", rate=measured(rate, record.get("ci95_images_per_s")))
    if kind == "server" and record.get("qps_max") is not None:
        return say("{rate} queries/s", rate=measured(record["qps_max"]))
    if kind == "parity" and record.get("max_abs") is not None:
        return say("max abs {value}", value=tiny(record["max_abs"]))
    if kind == "accuracy" and record.get("top1") is not None:
        return say("top-1 {value}", value=measured(record["top1"], record.get("top1_ci95")))
    return ""


def _leaves(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names, joined by dots where they are nested, and texts of what is stored. What is null or empty says nothing."""
    for name, value in table.items():
        if value in (None, "", {}, []) or (not prefix and name in _ELSEWHERE):
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
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_speed(name: str) -> bool:
    return any(part.endswith(_SPEEDS) for part in name.split(".")) or name.startswith(
        ("processes", "searched", "points", "qps")
    )
