"""Which cells of two sets of results are the same, and why others are not compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from reports.load import machines
from reports.load.results import Results, batch_of, grouped, machine_of
from runtimes.records import identity
from runtimes.records.kinds import Record, Throughput, TimedRecord
from runtimes.system.environment import section

R = TypeVar("R", bound=Record, covariant=True)
Kind = TypeVar("Kind", bound=Record)


@dataclass(frozen=True)
class Pair(Generic[R]):
    """A cell of both. apart: why its figures cannot be compared, in a clause; None where they can. notes: what differs
    and is compared."""

    base: R
    new: R
    apart: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def sides(self) -> tuple[tuple[str, R], tuple[str, R]]:
        """Both records, by the names of the results that they are of."""
        return ("BASE", self.base), ("NEW", self.new)


@dataclass(frozen=True)
class MatchedCells:
    """pairs: in the order of the base. only_base, only_new: records without a counterpart."""

    pairs: tuple[Pair[Record], ...]
    only_base: tuple[Record, ...]
    only_new: tuple[Record, ...]

    def of(self, kind: type[Kind]) -> list[Pair[Kind]]:
        """The pairs of records of a kind."""
        return cast("list[Pair[Kind]]", [one for one in self.pairs if isinstance(one.base, kind)])


def pair(base: Results, new: Results) -> MatchedCells:
    """Each cell of the base with its counterpart: the one of the same machine, else one that is said not to be.

    What is left and differs in an option alone is a pair too, which is said and not compared.
    """
    keys = [_machine_keys(base), _machine_keys(new)]
    there = {key for key in keys[0].values() if key}
    by_cell = grouped(new.records, identity.compared)
    rest = {id(record): record for record in new.records}  # those without a pair yet
    pairs, lonely = [], []
    for record in base.records:
        machine = keys[0].get(machine_of(record))
        candidates = [one for one in by_cell.get(identity.compared(record), ()) if id(one) in rest]
        here = [one for one in candidates if machine and keys[1].get(machine_of(one)) == machine]
        # Of other machines not those whose own is in the base too, and has its pair there.
        strangers = [one for one in candidates if keys[1].get(machine_of(one)) not in there]
        chosen = next(iter(here or strangers), None)
        if chosen is None:
            lonely.append(record)
        else:
            pairs.append(_pair(record, rest.pop(id(chosen)), bool(here)))
    only_base = []
    for record in lonely:
        likewise = [one for one in rest.values() if _alike(one) == _alike(record)]
        same = [one for one in likewise if not identity.differing(record, one)]
        alike = next(iter(same or likewise), None)
        if alike is None:
            only_base.append(record)
        elif same:
            machine = keys[0].get(machine_of(record))
            of_one = machine is not None and keys[1].get(machine_of(alike)) == machine
            pairs.append(_pair(record, rest.pop(id(alike)), of_one))
        else:
            why = f"measured with other options ({_differences(record, alike)})"
            pairs.append(Pair(record, rest.pop(id(alike)), why))
    return MatchedCells(tuple(pairs), tuple(only_base), tuple(rest.values()))


def _machine_keys(results: Results) -> dict[str, str | None]:
    return {label: machines.key(environment) for label, environment in results.environments.items()}


def _pair(base: Record, new: Record, same_machine: bool) -> Pair[Record]:
    notes = []
    if base.artifact != new.artifact:
        notes.append("another artifact")
    if base.runtime_version != new.runtime_version:
        notes.append("another version of the runtime")
    if isinstance(base, Throughput) and (chosen := [_chosen(base), _chosen(new)])[0] != chosen[1]:
        notes.append(f"best at {chosen[0]}, now at {chosen[1]}")
    if same_machine:
        return Pair(base, new, None, tuple(notes))
    names = machine_of(base), machine_of(new)
    if any(one.startswith(machines.UNKNOWN) for one in names):
        where = "the machine of one of the two is not known"
    else:
        where = f"measured on another machine ({names[0]}; now {names[1]})"
    if isinstance(base, TimedRecord):
        return Pair(base, new, where, tuple(notes))
    return Pair(base, new, None, (*notes, where))


def _chosen(record: Record) -> str:
    return f"batch {batch_of(record)}, {record.streams} stream{'s' * (record.streams != 1)}"


def _alike(record: Record) -> tuple[Any, ...]:
    """What cells have in common that differ in an option only."""
    return record.kind, record.model, record.runtime, record.precision, batch_of(record)


def _differences(base: Record, new: Record) -> str:
    fields = identity.differing(base, new)
    return ", ".join(f"{one} {_text(getattr(base, one))}, now {_text(getattr(new, one))}" for one in fields)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key}={value[key]}" for key in sorted(value)) or "none"
    return "none" if value is None else str(value)


def environments(base: Results, new: Results) -> list[str]:
    """What differs between the environments of the machines that both have, in sentences."""
    found = []
    for machine, old in base.environments.items():
        for now in new.environments.values():
            if machines.key(old) and machines.key(old) == machines.key(now):
                differing = [*changed("packages", old, now), *changed("variables", old, now)]
                differing += changed("os", old, now, only=("kernel",))
                if differing:
                    said = ", ".join(f"{entry} {before}, now {after}" for entry, before, after in differing)
                    found.append(f"Different on {machine}: {said}.")
    return found


def changed(
    name: str, base: Mapping[str, Any], new: Mapping[str, Any], only: Iterable[str] | None = None
) -> Iterable[tuple[str, str, str]]:
    """What differs in a section of two environments, with what it was and is, in words. only: the entries to look at. A
    section that one of them lacks, as an exported file lacks the variables, is not known there: that is no
    difference."""
    if name not in base or name not in new:
        return
    old, now = section(base, name), section(new, name)
    for entry in sorted({*old, *now}) if only is None else only:
        if old.get(entry) != now.get(entry):
            yield entry, _text(old.get(entry)), _text(now.get(entry))
