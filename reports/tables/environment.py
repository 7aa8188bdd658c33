"""The machine and the software: a table of what is stored beside the records, and sentences that sum it up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reports.language import mark, say
from reports.load.environment import section
from reports.load.reading import is_number
from reports.load.results import Results
from reports.tables.columns import build, number_column, text_column
from reports.tables.table import Column, Entry, Subject, Table, entry
from runtimes.records.store import ENVIRONMENT


@dataclass(frozen=True)
class EnvironmentLine:
    """What a row is made from: an entry of a section of a machine's environment."""

    subject: Subject
    section: str
    name: str
    value: Any


def environment(results: Results) -> Table:
    """The machine and the software, as stored beside the records: a row per entry, nested names joined by dots."""
    lines = [
        EnvironmentLine(Subject(machine=machine), section if isinstance(content, dict) else "", name, value)
        for machine, environment in results.environments.items()
        for section, content in environment.items()
        for name, value in _leaves(content if isinstance(content, dict) else {section: content})
    ]
    values = [line.value for line in lines if line.value is not None]
    value_column = number_column if len(values) <= 2 * sum(map(is_number, values)) else text_column
    columns: list[Column[EnvironmentLine]] = [
        text_column("Section", lambda line: line.section),
        text_column("Name", lambda line: line.name),
        value_column(mark("Value"), lambda line: Entry(line.value, _text(line.name, line.value))),
    ]
    absent = say("There is no {file} beside the results: the machine is not known.", file=ENVIRONMENT)
    return build("environment", mark("Environment"), results, columns, lines, *(() if lines else (absent,)))


def _leaves(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return say("yes") if value else say("no")
    if name.endswith("_bytes") and isinstance(value, (int, float)):
        return f"{value / 2**30:.1f} GiB"
    if isinstance(value, list):
        return ", ".join(v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in value) or say("none")
    return entry(value or None if isinstance(value, (str, dict)) else value).text


def summary(environments: dict[str, dict[str, Any]]) -> list[str]:
    """When, where and with what it was measured, in sentences, as far as the environments tell.

    Of several machines each has the label by which the tables know it.
    """
    several = len(environments) > 1
    places = [_place(environment, label if several else "") for label, environment in environments.items()]
    return [*filter(None, places), *dict.fromkeys(filter(None, map(_version, environments.values())))]


def _place(environment: dict[str, Any], label: str) -> str:
    """When and where: `Measured at 2026-11-24T08:00:00Z on AMD EPYC, 2 cores, Linux.`"""
    machine = section(environment, "machine")
    cores = say("{count} cores", count=machine["cores_usable"]) if machine.get("cores_usable") else None
    system = section(environment, "os").get("system")
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
    tool = section(environment, "vitbench")
    if not tool.get("version"):
        return ""
    commit = say(", commit {commit}", commit=str(tool["commit"])[:12]) if tool.get("commit") else ""
    changed = say(" with changes that are not committed") if tool.get("changed") else ""
    return say("vitbench {version}.", version=f"{tool['version']}{commit}{changed}")
