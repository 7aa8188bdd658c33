"""What a search tried, as a file that it goes on from: `ladder.json` in the results folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convert.common import typed
from convert.common.errors import InputError
from convert.common.files import write_json

LADDER = "ladder.json"
_FORMAT = 1


@dataclass(frozen=True)
class Rung:
    """One set of operators in FP32, and what came of it.

    artifact: sha256 of the model. top1: by runtime, 0 to 1. holds: whether each runtime's verdict held.
    """

    kept_fp32: tuple[str, ...]
    lowered: int
    artifact: str
    top1: dict[str, float]
    holds: bool


@dataclass
class Ladder:
    """key: everything that decides what the rungs are. facts: what a reader wants to know besides."""

    key: str
    facts: Mapping[str, Any]
    rungs: list[Rung] = field(default_factory=list)
    chosen: tuple[str, ...] | None = None

    def rung(self, kept: tuple[str, ...] | None) -> Rung | None:
        return next((rung for rung in self.rungs if rung.kept_fp32 == kept), None)

    def document(self) -> dict[str, Any]:
        """As it is stored, the rungs in the order in which they were tried."""
        tried = {"chosen": self.chosen, "rungs": typed.table(self.rungs)}
        return {"format": _FORMAT, "key": self.key, **self.facts, **tried}

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / LADDER, self.document())


def begin(folder: Path, key: str, facts: Mapping[str, Any], resume: bool) -> Ladder:
    """The ladder of a folder, with its rungs where `resume` goes on with an earlier one.

    InputError: one is there and is not resumed, is of another search, of another format, or damaged.
    """
    file = folder / LADDER
    ladder = Ladder(key, facts)
    if not file.exists():
        return ladder
    if not resume:
        raise InputError(f"{file}: there is a ladder already: --resume goes on with it, another --out starts anew")
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        version, earlier = stored["format"], stored["key"]
        rungs = [typed.read(Rung, one) for one in stored["rungs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: damaged ({error}): move it away, or give another --out") from None
    if version != _FORMAT:
        raise InputError(f"{file}: of format {version}, this vitbench knows {_FORMAT}: give another --out")
    if earlier != key:
        raise InputError(
            f"{file}: of another model, other images or other options: repeat the command that made it, "
            "or give another --out"
        )
    ladder.rungs.extend(rungs)
    return ladder
