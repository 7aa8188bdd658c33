"""Machines told apart and named in a few words, and what environment.json says of them, read with care: any version
may have written it, or a stranger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from convert.common.disk.files import sha256_json
from convert.families.spec import is_number
from runtimes.system import environment

UNKNOWN = environment.UNKNOWN


def key(description: Mapping[str, Any]) -> str | None:
    """What two environments share whose numbers may be compared; None where the machine was not recorded."""
    if not isinstance(description.get("machine"), Mapping) or not description["machine"]:
        return None
    try:
        return environment.machine_key(description)
    except (KeyError, TypeError, AttributeError):  # written before there was such a key: by all that it says
        return sha256_json({name: value for name, value in description["machine"].items() if name not in _MOVING})[:16]


_MOVING = ("load_average_1min",)


def told_apart(
    descriptions: Sequence[dict[str, Any]], named: Sequence[str | None] = ()
) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """The label of each environment's machine, and the newest environment of each label.

    named: the machine of each, as a cluster's records name it. That is of its variables too: where one machine has
    several such names they are machines of their own, since the run kept them apart.

    Machines that would have the same label have (A), (B) behind it, in the order in which they come. Where a run does
    not say its machine, it is one of its own: it may be any.
    """
    keys = _keys(descriptions, named or [None] * len(descriptions))
    plain = {name: environment.label(one) for name, one in zip(keys, descriptions, strict=True)}
    labels = {}
    for name, text in plain.items():
        alike = [other for other, its in plain.items() if its == text]
        labels[name] = text if len(alike) == 1 else f"{text} ({_letters(alike.index(name))})"
    newest: dict[str, dict[str, Any]] = {}
    for name, one in zip(keys, descriptions, strict=True):
        known = newest.setdefault(labels[name], one)
        if str(one.get("time_utc") or "") > str(known.get("time_utc") or ""):
            newest[labels[name]] = one
    return [labels[name] for name in keys], newest


def _keys(descriptions: Sequence[Mapping[str, Any]], named: Sequence[str | None]) -> list[str]:
    machines = [key(one) for one in descriptions]
    settings: dict[str | None, set[str]] = {}
    for machine, name in zip(machines, named, strict=True):
        settings.setdefault(machine, set()).update({name} if name else ())
    found = []
    for place, (one, machine, name) in enumerate(zip(descriptions, machines, named, strict=True)):
        if machine and len(settings[machine]) > 1:
            found.append(name or _setting(one) or machine)
        else:
            found.append(machine or name or f"unknown {place}")
    return found


def _setting(description: Mapping[str, Any]) -> str | None:
    """As a cluster would name a machine; None where its variables were not recorded."""
    try:
        return environment.setting_key(description)
    except (KeyError, TypeError, AttributeError):
        return None


def _letters(place: int) -> str:
    """A to Z, then AA, AB and so on."""
    before, last = divmod(place, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + last)


@dataclass(frozen=True)
class Ceilings:
    """What a machine, or one of its GPUs, could do at most.

    gflops: precision -> GFLOP/s of a large matrix product. unmeasured: precision -> why there is none. disturbed: what
    makes them doubtful, in a sentence.
    """

    gflops: Mapping[str, float] = field(default_factory=dict)
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    bandwidth_gb_s: float | None = None
    disturbed: str | None = None
    gpus: tuple[Ceilings, ...] = ()


def section(environment: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section of an environment; empty where there is none."""
    found = environment.get(name)
    return found if isinstance(found, Mapping) else {}


def ceilings(environment: Mapping[str, Any]) -> Ceilings | None:
    """The ceilings of an environment's machine; None where they were not measured."""
    return _ceilings(environment["ceiling"]) if isinstance(environment.get("ceiling"), Mapping) else None


def _ceilings(found: Mapping[str, Any]) -> Ceilings:
    gpus, bandwidth, disturbed = (found.get(name) for name in ("gpus", "bandwidth_gb_s", "disturbed"))
    return Ceilings(
        {name: float(peak) for name, peak in section(found, "gflops").items() if _positive(peak)},
        {name: str(reason) for name, reason in section(found, "unmeasured").items() if reason},
        bandwidth if _positive(bandwidth) else None,
        str(disturbed) if disturbed else None,
        tuple(_ceilings(gpu) for gpu in gpus if isinstance(gpu, Mapping)) if isinstance(gpus, list) else (),
    )


def _positive(value: Any) -> bool:
    return is_number(value) and value > 0
