"""Which cells of two sets of results are the same, and why others are not compared."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reports.load import machines
from reports.load.results import Results
from reports.tables.frames import runtime_name
from runtimes.records.store import Record

# What has to be the same; the artifact and the versions are what one compares, and are only told.
SAME = {
    "latency": ("model", "runtime", "precision", "device", "settings", "batch", "threads", "streams"),
    "throughput": ("model", "runtime", "precision", "device", "settings", "threads"),
    "server": ("model", "runtime", "precision", "device", "settings", "threads", "streams", "bound", "percentile"),
    "accuracy": ("model", "runtime", "precision", "device", "settings", "dataset", "limit", "preprocessing"),
    "parity": ("model", "runtime", "precision", "device", "settings", "inputs", "batches"),
}
_SPEEDS = ("latency", "throughput", "server")
# What cells have in common that differ in an option only.
_ALIKE = ("kind", "model", "runtime", "precision", "batch")
_TOLD = {"artifact": "another artifact", "runtime_version": "another version of the runtime"}


@dataclass(frozen=True)
class Pair:
    """A cell of both. apart: why its figures cannot be compared, in a clause; None where they can. notes: what differs
    and is compared."""

    base: Record
    new: Record
    apart: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pairs:
    """pairs: in the order of the base. only_base, only_new: records without a counterpart."""

    pairs: tuple[Pair, ...]
    only_base: tuple[Record, ...]
    only_new: tuple[Record, ...]


def pair(base: Results, new: Results) -> Pairs:
    """Each cell of the base with its counterpart: the one of the same machine, else one that is said not to be."""
    keys = [_machine_keys(base), _machine_keys(new)]
    by_cell: dict[str, list[Record]] = defaultdict(list)
    for record in new.records:
        by_cell[_identity(record)].append(record)
    pairs, lonely, taken = [], [], set[int]()
    for record in base.records:
        machine = keys[0].get(record["machine"])
        candidates = [one for one in by_cell[_identity(record)] if id(one) not in taken]
        here = [one for one in candidates if machine and keys[1].get(one["machine"]) == machine]
        chosen = next(iter(here or _strangers(candidates, base, keys)), None)
        if chosen is None:
            lonely.append(record)
            continue
        taken.add(id(chosen))
        pairs.append(_pair(record, chosen, bool(here)))
    rest = [record for record in new.records if id(record) not in taken]
    near, lonely, rest = _nearly(lonely, rest)
    return Pairs((*pairs, *near), tuple(lonely), tuple(rest))


def name(record: Record) -> str:
    """`ViT_base_patch16_224 on openvino fp32, batch 4`."""
    what = f"batch {record.get('batch')}" if record["kind"] == "latency" else record["kind"]
    return f"{record['model']} on {runtime_name(record)}, {what}"


def _machine_keys(results: Results) -> dict[str, str | None]:
    return {label: machines.key(environment) for label, environment in results.environments.items()}


def _strangers(candidates: list[Record], base: Results, keys: list[dict[str, str | None]]) -> list[Record]:
    """Counterparts of another machine; not those whose own machine is in the base too, and has its pair there."""
    there = {key for key in keys[0].values() if key}
    return [one for one in candidates if keys[1].get(one["machine"]) not in there]


def _pair(base: Record, new: Record, same_machine: bool) -> Pair:
    notes = [text for field, text in _TOLD.items() if base.get(field) != new.get(field)]
    if base["kind"] == "throughput" and (chosen := [_chosen(base), _chosen(new)])[0] != chosen[1]:
        notes.append(f"best at {chosen[0]}, now at {chosen[1]}")
    if same_machine:
        return Pair(base, new, None, tuple(notes))
    if machines.UNKNOWN in (base["machine"][: len(machines.UNKNOWN)], new["machine"][: len(machines.UNKNOWN)]):
        where = "the machine of one of the two is not known"
    else:
        where = f"measured on another machine ({base['machine']}; now {new['machine']})"
    if base["kind"] in _SPEEDS:
        return Pair(base, new, where, tuple(notes))
    return Pair(base, new, None, (*notes, where))


def _chosen(record: Record) -> str:
    return f"batch {record.get('batch')}, {record.get('streams')} streams"


def _nearly(base: list[Record], new: list[Record]) -> tuple[list[Pair], list[Record], list[Record]]:
    """Pairs of what differs in an option alone, which is said and not compared, and what is still without one."""
    pairs, lonely, rest = [], [], list(new)
    for record in base:
        alike = [one for one in rest if all(one.get(field) == record.get(field) for field in _ALIKE)]
        if not alike:
            lonely.append(record)
            continue
        rest = [one for one in rest if one is not alike[0]]
        pairs.append(Pair(record, alike[0], f"measured with other options ({_differences(record, alike[0])})"))
    return pairs, lonely, rest


def _differences(base: Record, new: Record) -> str:
    fields = [field for field in SAME[base["kind"]] if (base.get(field) or None) != (new.get(field) or None)]
    return ", ".join(f"{field} {_text(base.get(field))}, now {_text(new.get(field))}" for field in fields)


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key}={value[key]}" for key in sorted(value)) or "none"
    return "none" if value is None else str(value)


def _identity(record: Record) -> str:
    kind = record["kind"]
    return json.dumps([kind, *(record.get(field) or None for field in SAME[kind])], sort_keys=True)


def environments(base: Results, new: Results) -> list[str]:
    """What differs between the environments of the machines that both have, in sentences."""
    found = []
    for machine, old in base.environments.items():
        for now in new.environments.values():
            if machines.key(old) and machines.key(old) == machines.key(now):
                differing = [*_changed("packages", old, now), *_changed("variables", old, now), *_kernel(old, now)]
                if differing:
                    found.append(f"Different on {machine}: {', '.join(differing)}.")
    return found


def _changed(section: str, base: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[str]:
    old, now = _section(base, section), _section(new, section)
    for entry in sorted({*old, *now}):
        if old.get(entry) != now.get(entry):
            yield f"{entry} {_text(old.get(entry))}, now {_text(now.get(entry))}"


def _section(environment: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = environment.get(name)
    return section if isinstance(section, Mapping) else {}


def _kernel(base: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[str]:
    kernels = [_section(one, "os").get("kernel") for one in (base, new)]
    return [f"kernel {_text(kernels[0])}, now {_text(kernels[1])}"] if kernels[0] != kernels[1] else []
