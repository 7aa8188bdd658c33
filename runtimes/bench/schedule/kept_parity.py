"""Parity that passed before, kept beside the artifact: checking again would give the same.

What is kept is the validator's own record, and it goes into the results folder as it is, with the time at which it was
made. It counts for the same artifact, runtime, version and settings (proof.py), machine and vitbench only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from convert.common import json_lines as lines
from runtimes.bench.plan.matrix import Cell
from runtimes.records.parity_gate import proof
from runtimes.records.store import Record
from runtimes.system import environment

KEPT = "parity.jsonl"


def setting(machine: str) -> dict[str, object]:
    """What a kept record counts for beside what it says itself."""
    return {"machine": machine, "vitbench": environment.describe()["vitbench"]}


def recall(cell: Cell, blank: Record, machine: str) -> list[Record]:
    """The kept records that prove a cell, none where they do not. blank: the cell's record before measuring."""
    wanted = setting(machine)
    kept = [line["record"] for line in lines.read(cell.artifact.path / KEPT) if line.get("for") == wanted]
    fitting = [r for r in kept if r["runtime"] == cell.runtime.name and r.get("batches") == list(cell.options.batches)]
    return fitting[-1:] if proof(blank, fitting[-1:]).passed else []


def keep(cells: Sequence[Cell], made: Iterable[Record], machine: str) -> None:
    """Keep the checks among some records that passed. What cannot be kept is only made again."""
    folders = {cell.artifact.sha256: cell.artifact.path for cell in cells}
    for record in made:
        if record["kind"] == "parity" and record.get("passed") is True and record["artifact"] in folders:
            try:
                lines.append(folders[record["artifact"]] / KEPT, {"for": setting(machine), "record": record})
            except OSError:
                return
