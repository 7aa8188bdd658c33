"""A report: every table of a results folder, and what has to be said before the first one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reports import quality, speed
from reports.answer import answer
from reports.frames import SEEDED_MARK, Cell, Table, convert, frame, plain
from reports.results import Results
from runtimes.bench.store import ENVIRONMENT

SEEDED_NOTE = f"{SEEDED_MARK} seeded weights: the accuracy means nothing; speed and parity do."


@dataclass(frozen=True)
class Report:
    """What all writers get.

    summary: when and where it was measured, in sentences. weights: model -> kind of its weights (pretrained, file,
    seeded, unknown). seeded: model -> where its seeded weights come from.
    """

    name: str
    summary: str
    weights: dict[str, str]
    seeded: dict[str, str]
    tables: tuple[Table, ...]


def build(results: Results) -> Report:
    """All tables of a results folder. Throughput is there only where it was measured."""
    tables = [answer(results), speed.latency(results)]
    if results.of("throughput"):
        tables.append(speed.throughput(results))
    tables += [
        quality.accuracy(results),
        quality.size(results),
        quality.parity(results),
        quality.missing(results),
        speed.detail(results),
        environment(results),
    ]
    return Report(
        results.name,
        _summary(results.environment),
        {model: _weights(results, model) for model in results.models},
        {model: _origin(results, model) for model in results.models if results.seeded(model)},
        tuple(_with_seeded_note(table) for table in tables),
    )


def environment(results: Results) -> Table:
    """The machine and the software, as stored beside the records: a row per entry, nested names joined by dots."""
    rows = []
    for section, content in results.environment.items():
        nested = isinstance(content, dict)
        entries = _leaves(content if nested else {section: content})
        rows += [[section if nested else "", name, Cell(value, _entry(name, value))] for name, value in entries]
    notes = () if rows else (f"There is no {ENVIRONMENT} beside the results: the machine is not known.",)
    return Table("environment", "Environment", frame(("Section", "Name", "Value"), rows), notes)


def _leaves(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _entry(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("_bytes") and isinstance(value, (int, float)):
        return f"{value / 2**30:.1f} GiB"
    if isinstance(value, list):
        return ", ".join(v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in value) or "none"
    return plain(value or None if isinstance(value, (str, dict)) else value).text


def _summary(environment: dict[str, Any]) -> str:
    """When, where and with what it was measured, as far as the environment tells."""
    machine, tool = _section(environment, "machine"), _section(environment, "vitbench")
    cores = f"{machine['cores_usable']} cores" if machine.get("cores_usable") else None
    system = _section(environment, "os").get("system")
    place = ", ".join(str(part) for part in (machine.get("cpu"), cores, system) if part)
    time = f" at {environment['time_utc']}" if environment.get("time_utc") else ""
    sentences = [f"Measured{time}{' on ' + place if place else ''}."] if time or place else []
    if tool.get("version"):
        commit = f", commit {str(tool['commit'])[:12]}" if tool.get("commit") else ""
        changed = " with changes that are not committed" if tool.get("changed") else ""
        sentences.append(f"vitbench {tool['version']}{commit}{changed}.")
    return " ".join(sentences)


def _section(environment: dict[str, Any], name: str) -> dict[str, Any]:
    section = environment.get(name)
    return section if isinstance(section, dict) else {}


def _weights(results: Results, model: str) -> str:
    return "seeded" if results.seeded(model) else str(results.fact(model, "weights", "kind") or "unknown")


def _origin(results: Results, model: str) -> str:
    """Where seeded weights come from and why: the source and the note of the model's facts."""
    parts = (results.fact(model, "weights", name) for name in ("source", "note"))
    return "; ".join(str(part) for part in parts if part) or "seed not recorded"


def _with_seeded_note(table: Table) -> Table:
    marked = convert(table.frame, lambda cell: SEEDED_MARK in cell.text).to_numpy().any()
    return dataclasses.replace(table, notes=(*table.notes, SEEDED_NOTE)) if marked else table
