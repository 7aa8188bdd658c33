"""The machine and the software: a table of what is stored beside the records, and sentences that sum it up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from convert.families.spec import is_number
from reports.language import mark, say
from reports.load.results import Results
from reports.tables.columns import Column, Row, build, entry, number_column, text_column
from reports.tables.table import Entry, Subject, Table
from runtimes.records.store import ENVIRONMENT
from runtimes.system.environment import section


class EnvironmentLeaf(NamedTuple):
    """An entry of a section of a machine's environment."""

    section: str
    name: str
    value: Any


def environment(results: Results) -> Table:
    """The machine and the software, as stored beside the records: a row per entry, nested names joined by dots."""
    rows = [
        Row(results, Subject(machine=machine), [], leaf)
        for machine, environment in results.environments.items()
        for leaf in _entries(environment)
    ]
    values = [row.record.value for row in rows if row.record.value is not None]
    value_column = number_column if len(values) <= 2 * sum(map(is_number, values)) else text_column
    columns: list[Column[Row[EnvironmentLeaf]]] = [
        text_column("Section", lambda row: row.record.section or None),
        text_column("Name", lambda row: row.record.name),
        value_column(mark("Value"), lambda row: Entry(row.record.value, _text(row.record.name, row.record.value))),
    ]
    absent = say("There is no {file} beside the results: the machine is not known.", file=ENVIRONMENT)
    return build("environment", mark("Environment"), results, columns, rows, *(() if rows else (absent,)))


def _entries(environment: dict[str, Any]) -> Iterator[EnvironmentLeaf]:
    for group, content in environment.items():
        if isinstance(content, dict):
            yield from (EnvironmentLeaf(group, name, value) for name, value in _leaves(content))
        else:
            yield EnvironmentLeaf("", group, content)


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


def summary(results: Results) -> list[str]:
    """When, where and with what it was measured, in sentences, as far as the environments tell; of several runs each
    with its name and date.

    Of several machines each has the label by which the tables know it.
    """
    environments, merged = results.environments, len(results.runs) > 1
    several = len(environments) > 1
    places = [_place(environment, label if several else "", merged) for label, environment in environments.items()]
    runs = [_runs(results.runs)] if merged else []
    return [*filter(None, places), *runs, *dict.fromkeys(filter(None, map(_version, environments.values())))]


def _runs(runs: Sequence[tuple[str, str]]) -> str:
    """`Of 3 runs: first (2026-11-24T08:00:00Z), second (2026-11-25T08:00:00Z), third.`"""
    named = [say("{name} ({time})", name=name, time=time) if time else name for name, time in runs]
    return say("Of {count} runs: {names}.", count=len(runs), names=", ".join(named))


def _place(environment: dict[str, Any], label: str, merged: bool) -> str:
    """When and where: `Measured at 2026-11-24T08:00:00Z on AMD EPYC, 2 cores, Linux.` merged: of several runs, each of
    which has its own date."""
    machine = section(environment, "machine")
    count = machine.get("cores_usable")
    cores = say("{count} core{s}", count=count, s="s" * (count != 1)) if count else None
    system = section(environment, "os").get("system")
    named = [label] if label else [machine.get("cpu"), cores]
    place = ", ".join(str(part) for part in (*named, system) if part)
    time = None if merged else environment.get("time_utc")
    if time and place:
        return say("Measured at {time} on {place}.", time=time, place=place)
    if time or place:
        return say("Measured at {time}.", time=time) if time else say("Measured on {place}.", place=place)
    return ""


def _version(environment: dict[str, Any]) -> str:
    tool = section(environment, "vitbench")
    if not tool.get("version"):
        return ""
    commit = say(", commit {commit}", commit=str(tool["commit"])[:12]) if tool.get("commit") else ""
    changed = say(" with changes that are not committed") if tool.get("changed") else ""
    return say("vitbench {version}.", version=f"{tool['version']}{commit}{changed}")
