"""Machines told apart, and named in a few words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from convert.common.files import sha256_json
from runtimes.system import environment

UNKNOWN = "unknown machine"
_TRADEMARKS = re.compile(r"\((?:r|tm|c)\)|\b(?:CPU|Processor)\b|@.*|\s\d+-Core\b", re.IGNORECASE)


def key(description: Mapping[str, Any]) -> str | None:
    """What two environments share whose numbers may be compared; None where the machine was not recorded."""
    if not isinstance(description.get("machine"), Mapping) or not description["machine"]:
        return None
    try:
        return environment.machine_key(description)
    except (KeyError, TypeError, AttributeError):  # written before there was such a key: by all that it says
        return sha256_json({name: value for name, value in description["machine"].items() if name not in _MOVING})[:16]


_MOVING = ("load_average_1min",)


def label(description: Mapping[str, Any]) -> str:
    """`AMD EPYC, 2 cores`, and the GPUs where there are some: short, and the same for machines of one kind."""
    machine = description.get("machine")
    if not isinstance(machine, Mapping) or not machine.get("cpu"):
        return UNKNOWN
    parts = [" ".join(_TRADEMARKS.sub(" ", str(machine["cpu"])).split())]
    cores = machine.get("cores_usable")
    if isinstance(cores, int):
        parts.append(f"{cores} core{'' if cores == 1 else 's'}")
    gpus = description.get("gpus")
    if isinstance(gpus, list):
        parts += dict.fromkeys(str(gpu["name"]) for gpu in gpus if isinstance(gpu, Mapping) and gpu.get("name"))
    return ", ".join(parts)


def told_apart(descriptions: Sequence[dict[str, Any]]) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """The label of each environment's machine, and the newest environment of each label.

    Machines that would have the same label have (A), (B) behind it, in the order in which they come. Where a run does
    not say its machine, it is one of its own: it may be any.
    """
    keys = [key(one) or f"unknown {place}" for place, one in enumerate(descriptions)]
    plain = {name: label(one) for name, one in zip(keys, descriptions, strict=True)}
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


def _letters(place: int) -> str:
    """A to Z, then AA, AB and so on."""
    text = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        text = chr(ord("A") + rest) + text
    return text
