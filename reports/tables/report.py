"""A report: every table of a results folder, and what has to be said before the first one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reports.language import current, mark, names, say
from reports.load.results import Results
from reports.tables import depth, quality, speed, steadiness
from reports.tables.answer import answer
from reports.tables.frames import SEEDED_MARK, Cell, Table, convert, frame, machine_column, plain
from runtimes.records.store import ENVIRONMENT

SEEDED_NOTE = mark("† seeded weights: the accuracy means nothing; speed and parity do.")
_REASONS_NOTE = mark("Reasons that are stored in the records stand in English.")


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
    """All tables of some results. Throughput, server and what follows from latencies are there only where measured."""
    tables = [answer(results), speed.latency(results)]
    if results.of("throughput"):
        tables.append(speed.throughput(results))
    if results.of("server"):
        tables.append(depth.server(results))
    if results.of("latency"):
        compared = depth.precision(results)
        tables += [*([compared] if len(compared.frame) else []), depth.cost(results), depth.compute(results)]
    tables += [
        quality.accuracy(results),
        quality.size(results),
        quality.parity(results),
        quality.missing(results),
        speed.detail(results),
        *([steadiness.steadiness(results)] if any(cell.get("processes") for cell in results.of("latency")) else []),
        environment(results),
    ]
    return Report(
        results.name,
        " ".join([*_summary(results.environments), *_about_language()]),
        {model: _weights(results, model) for model in results.models},
        {model: _origin(results, model) for model in results.models if results.seeded(model)},
        tuple(_with_seeded_note(table) for table in tables),
    )


def environment(results: Results) -> Table:
    """The machine and the software, as stored beside the records: a row per entry, nested names joined by dots."""
    rows = []
    several = len(results.environments) > 1
    for machine, environment in results.environments.items():
        for section, content in environment.items():
            nested = isinstance(content, dict)
            place = [*([machine] if several else []), section if nested else ""]
            entries = _leaves(content if nested else {section: content})
            rows += [[*place, name, Cell(value, _entry(name, value))] for name, value in entries]
    absent = say("There is no {file} beside the results: the machine is not known.", file=ENVIRONMENT)
    notes = () if rows else (absent,)
    return Table(
        "environment",
        say("Environment"),
        frame((*machine_column(results), *names("Section", "Name", "Value")), rows),
        notes,
    )


def _leaves(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _entry(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return say("yes") if value else say("no")
    if name.endswith("_bytes") and isinstance(value, (int, float)):
        return f"{value / 2**30:.1f} GiB"
    if isinstance(value, list):
        return ", ".join(v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in value) or say("none")
    return plain(value or None if isinstance(value, (str, dict)) else value).text


def _summary(environments: dict[str, dict[str, Any]]) -> list[str]:
    """When, where and with what it was measured, in sentences, as far as the environments tell.

    Of several machines each has the label by which the tables know it.
    """
    several = len(environments) > 1
    places = [_place(environment, label if several else "") for label, environment in environments.items()]
    return [*filter(None, places), *dict.fromkeys(filter(None, map(_version, environments.values())))]


def _place(environment: dict[str, Any], label: str) -> str:
    """When and where: `Measured at 2026-11-24T08:00:00Z on AMD EPYC, 2 cores, Linux.`"""
    machine = _section(environment, "machine")
    cores = say("{count} cores", count=machine["cores_usable"]) if machine.get("cores_usable") else None
    system = _section(environment, "os").get("system")
    named = [label] if label else [machine.get("cpu"), cores]
    place = ", ".join(str(part) for part in (*named, system) if part)
    time = environment.get("time_utc")
    if time and place:
        return say("Measured at {time} on {place}.", time=time, place=place)
    if time or place:
        return say("Measured at {time}.", time=time) if time else say("Measured on {place}.", place=place)
    return ""


def _version(environment: dict[str, Any]) -> str:
    """Of which version of vitbench it is."""
    tool = _section(environment, "vitbench")
    if not tool.get("version"):
        return ""
    commit = say(", commit {commit}", commit=str(tool["commit"])[:12]) if tool.get("commit") else ""
    changed = say(" with changes that are not committed") if tool.get("changed") else ""
    return say("vitbench {version}.", version=f"{tool['version']}{commit}{changed}")


def _about_language() -> list[str]:
    """What has to be said of a report that is not in the language of its records."""
    return [] if current() == "en" else [say(_REASONS_NOTE)]


def _section(environment: dict[str, Any], name: str) -> dict[str, Any]:
    section = environment.get(name)
    return section if isinstance(section, dict) else {}


def _weights(results: Results, model: str) -> str:
    return "seeded" if results.seeded(model) else str(results.fact(model, "weights", "kind") or "unknown")


def _origin(results: Results, model: str) -> str:
    """Where seeded weights come from and why: the source and the note of the model's facts."""
    parts = (results.fact(model, "weights", name) for name in ("source", "note"))
    return "; ".join(str(part) for part in parts if part) or say("seed not recorded")


def _with_seeded_note(table: Table) -> Table:
    marked = convert(table.frame, lambda cell: SEEDED_MARK in cell.text).to_numpy().any()
    return dataclasses.replace(table, notes=(*table.notes, say(SEEDED_NOTE))) if marked else table
