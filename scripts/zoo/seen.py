"""What was seen of a model, kept in a file of its own, so that a run that was ended goes on where it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from convert.common import typed
from convert.common.disk import json_lines
from convert.common.disk.files import write_json
from convert.common.errors import shown
from scripts.zoo.families import ZooModel

RUNTIMES = ("paddle", "ort-cpu", "openvino", "mnn")
_LONGEST = 240  # characters of a reason in the table


@dataclass(frozen=True)
class ZooParity:
    """runtime: with what it was asked for besides. needed: of Paddle's own error; None where there is no error."""

    runtime: str
    passed: bool
    needed: float | None
    reason: str | None = None


@dataclass(frozen=True)
class ZooSeen:
    """export, conversion, checks: why there is none, empty where there is. ours, theirs: seconds of processors of
    `python -m convert` and of the `paddle2onnx` command."""

    export: str = ""
    conversion: str = ""
    ours: float | None = None
    theirs: float | None = None
    checks: str = ""
    parity: Sequence[ZooParity] = field(default_factory=tuple)
    notes: Sequence[str] = field(default_factory=tuple)


def load(file: Path) -> ZooSeen | None:
    return typed.read(ZooSeen, json_lines.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def save(file: Path, seen: ZooSeen) -> None:
    write_json(file, typed.table(seen))


def table(rows: Mapping[tuple[ZooModel, str], ZooSeen]) -> str:
    """Markdown, a line for each model and form."""
    heads = ["family", "model", "form", "converts", "seconds, ours / Paddle2ONNX", *RUNTIMES, "remarks"]
    lines = [heads, ["---"] * len(heads)]
    for (model, form), seen in rows.items():
        remarks = [one.reason for one in seen.parity if one.reason] + ([seen.checks] if seen.checks else [])
        lines.append(
            [
                model.family,
                f"`{model.name}`",
                form,
                _converts(seen),
                _seconds(seen),
                *(_factor(seen, runtime) for runtime in RUNTIMES),
                "; ".join(_short(one) for one in remarks),
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _converts(seen: ZooSeen) -> str:
    if seen.export:
        return f"not exported: {_short(seen.export)}"
    return _short(seen.conversion) if seen.conversion else "ok"


def _seconds(seen: ZooSeen) -> str:
    if seen.ours is None:
        return "-"
    if not seen.theirs:
        return f"{seen.ours:.1f} / -"
    return f"{seen.ours:.1f} / {seen.theirs:.1f} = {seen.ours / seen.theirs:.1f}"


def _factor(seen: ZooSeen, runtime: str) -> str:
    found = [one for one in seen.parity if one.runtime.split()[0] == runtime]
    return ", ".join(map(_cell, found)) or "-"


def _cell(one: ZooParity) -> str:
    setting = one.runtime.partition(" ")[2]
    number = "did not run" if one.needed is None else f"{one.needed:.2g}"
    return " ".join(filter(None, [number if one.passed or one.needed is None else f"**{number}**", setting]))


def _short(reason: str) -> str:
    return shown(reason, _LONGEST).replace("|", "\\|")
