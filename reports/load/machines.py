"""Machines told apart and named in a few words, and what environment.json says of them, read with care: any version
may have written it, or a stranger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from convert.common.disk.files import sha256_json
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
