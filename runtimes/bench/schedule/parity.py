"""Parity of the cells of a run: what the folder knows, what is kept beside the artifact, and what is checked now.

What is kept is the validator's own record of a check that passed: checking again would give the same. It goes into the
results folder as it is, with the time at which it was made. It counts for the same artifact, runtime, version and
settings (`parity_gate`), machine and vitbench only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from convert.common.disk import json_lines as lines
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.schedule.state import PendingCell
from runtimes.options import Selection
from runtimes.records import reading, store
from runtimes.records.kinds import Parity, Record, TimedRecord
from runtimes.records.parity_gate import gate
from runtimes.system import environment

KEPT = "parity.jsonl"

# Checks the parity of cells of one model, precision and device, and adds a record of each runtime to a results folder.
# Whatever comes of it stands in the records; a runtime without one is refused. The floor above hands it in.
Prove = Callable[[Sequence[Cell], Path], object]


def selection(cells: Sequence[Cell]) -> Selection:
    """What a parity check of these cells, of one device, asks of their runtimes."""
    runtimes = list({cell.runtime.name: cell.runtime for cell in cells}.values())
    settings = {cell.runtime.name: cell.options.extra for cell in cells if cell.options.extra}
    first = cells[0]
    return Selection(runtimes, True, first.options.device, cache=first.selection.cache, settings=settings)


def of(records: Iterable[Record]) -> list[Parity]:
    """The parity records of this machine among others: those of the machines of a cluster say which one."""
    return [record for record in records if isinstance(record, Parity) and record.machine is None]


def known(
    cells: Sequence[PendingCell], folder: Path, machine: str, prove: Callable[[Sequence[Cell]], object]
) -> list[Parity]:
    """The parity records of a folder, after a check of the cells of which none spoke yet.

    A cell that a server computes is checked in every run: the server may have another model by now.

    prove: checks cells of one artifact, precision and device.
    """
    before, recalled = store.known(folder), list[Parity]()
    lacking: dict[tuple[object, ...], list[Cell]] = {}
    for pending in cells:
        cell = pending.cell
        if cell.runtime.elsewhere or gate(pending.blank, [*of(before), *recalled]).passed is None:
            kept = recall(cell, pending.blank, machine)
            recalled += kept
            if not kept:
                asked = (cell.argument, cell.chosen, cell.artifact.sha256)  # of a model there may be several int8
                together = (*asked, cell.precision, cell.options.device, cell.options.batches)
                lacking.setdefault(together, []).append(cell)
    for record in recalled:
        store.append(folder, record)
    for group in lacking.values():
        prove(group)
    now = store.known(folder)
    if lacking:
        keep([pending.cell for pending in cells], of(now[len(before) + len(recalled) :]), machine)
    return of(now)


def setting(machine: str) -> dict[str, object]:
    """What a kept record counts for beside what it says itself."""
    return {"machine": machine, "vitbench": environment.describe()["vitbench"]}


def recall(cell: Cell, blank: TimedRecord, machine: str) -> list[Parity]:
    """The newest kept record of a cell's runtime and batches, in a list; none where it does not let the cell pass, or
    somebody else computes, who may have another model by now.

    blank: the cell's record before measuring.
    """
    wanted, fitting = setting(machine), list[Parity]()
    if cell.runtime.elsewhere:
        return []
    for line in lines.read(cell.artifact.path / KEPT):
        record = _kept(line, wanted)
        if record and (record.runtime, record.batches) == (cell.runtime.name, cell.options.batches):
            fitting = [record]
    return fitting if gate(blank, fitting).passed else []


def _kept(line: Mapping[str, Any], wanted: Mapping[str, object]) -> Parity | None:
    try:
        record = reading.from_table(line["record"]) if line.get("for") == wanted else None
    except (KeyError, TypeError, ValueError):  # damaged: it is only made again
        return None
    return record if isinstance(record, Parity) else None


def keep(cells: Sequence[Cell], made: Iterable[Parity], machine: str) -> None:
    """Keep the checks among some records that passed. What cannot be kept is only made again."""
    folders = {cell.artifact.sha256: cell.artifact.path for cell in cells}
    for record in made:
        if record.passed is True and record.artifact in folders:
            try:
                line = {"for": setting(machine), "record": reading.to_table(record)}
                lines.append(folders[record.artifact] / KEPT, line)
            except OSError:
                return
