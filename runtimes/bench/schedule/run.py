"""Carry out a plan: parity first, then rounds of visits in random order, a record for each cell when it is known."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from convert.common.isolate import die_with_parent
from runtimes.bench.plan.matrix import Cell, Plan, key
from runtimes.bench.schedule import aggregate as compose
from runtimes.bench.schedule import kept_parity as proven
from runtimes.bench.schedule import load, rounds
from runtimes.bench.schedule.course import Course, Run
from runtimes.bench.schedule.display import Watch
from runtimes.bench.schedule.executor import Executor, Local
from runtimes.bench.schedule.visits import VISITS, Visits
from runtimes.options import Asked
from runtimes.records import blank as records
from runtimes.records import store
from runtimes.records.parity_gate import proof
from runtimes.records.store import Record

# A visit that takes so many times what was estimated hangs; and no visit hangs before so many seconds.
_HANGS = 20.0
_SURELY_NOT_HANGING_S = 120.0
# Of what was free at the start: beyond it the system's killer would come, and it may strike anyone.
_MEMORY_SHARE = 0.9


def run(plan: Plan, folder: Path, resume: bool, watch: Watch, executor: Executor | None = None) -> Iterator[Record]:
    """Measure a plan's cells and append a record for each; yields them as they are done.

    resume: cells that are done (`store.done`) are not measured again, and their stored record is yielded; visits to the
    others that the folder has are taken up, but not those of a cell that has a record already. A cell that the plan
    refused, or whose runtime failed parity, is refused with the reason; one that crashes twice, hangs or runs out of
    memory is recorded as failed, and the rest goes on.
    """
    executor = executor or Local()
    machine = executor.machine()
    known = store.read(folder) if (folder / store.RESULTS).exists() else []
    if not resume:
        (folder / VISITS).unlink(missing_ok=True)
    state = Run(plan, folder, watch, executor, Visits.stored(folder), plan.effort.patience_s)
    state.order.seed(plan.seed)
    for cell, reason in plan.refused:
        yield state.finish(_course(plan, cell, machine, 0.0), {"status": "refused", "reason": reason})
    courses = [
        _course(plan, cell, machine, cost.visit_s(plan.effort.processes))
        for cell, cost in zip(plan.cells, plan.estimate.costs, strict=True)
    ]
    done = store.done(known, {course.key for course in courses}) if resume else {}
    pending = []
    for course in courses:
        if course.key in done:
            watch.record(done[course.key])
            yield done[course.key]
        else:
            if any(record.get("key") == course.key for record in known):
                state.retry(course)
            pending.append(course)
    known = _proven(pending, folder, known, watch, machine)
    passed = []
    for course in pending:
        parity = proof(course.blank, known)
        if parity.passed:
            passed.append(course)
        else:
            yield state.finish(course, {"status": "refused", "reason": parity.reason})
    yield from rounds.measure(state, [course for course in passed if course.cell.mode == "latency"])
    for course in passed:
        if course.cell.mode == "throughput":
            yield load.throughput(state, course)
        elif course.cell.mode == "server":
            yield load.server(state, course)


def _course(plan: Plan, cell: Cell, machine: str, visit_s: float) -> Course:
    name = key(cell, machine)
    free = plan.estimate.free_memory_bytes
    # Device drivers map much more than they use: the limit is for the processor's memory only.
    limit = int(free * _MEMORY_SHARE) if free and cell.options.device == "CPU" else None
    timeout = max(_SURELY_NOT_HANGING_S, _HANGS * visit_s)
    return Course(cell, name, compose.blank(cell, name, plan.effort), timeout, limit)


def _proven(
    courses: Sequence[Course], folder: Path, known: Sequence[Record], watch: Watch, machine: str
) -> list[Record]:
    """The folder's records, with parity checked where no record spoke of a cell yet."""
    lacking: dict[str, list[Course]] = {}
    recalled: list[Record] = []
    for course in courses:
        cell = course.cell
        if proof(course.blank, [*known, *recalled]).passed is None:
            kept = proven.recall(cell, course.blank, machine)
            recalled += kept
            if not kept:
                together = (cell.argument, cell.weights, cell.precision, cell.options.device, cell.options.batches)
                lacking.setdefault(json.dumps(together), []).append(course)
    for record in recalled:
        store.append(folder, record)
    for group in lacking.values():
        prove([course.cell for course in group], folder, watch)
    now = store.read(folder) if (folder / store.RESULTS).exists() else []
    if lacking:
        proven.keep([course.cell for course in courses], now[len(known) + len(recalled) :], machine)
    return now


def prove(cells: Sequence[Cell], folder: Path, watch: Watch) -> None:
    """Have parity checked, by the command that a user would give: it is the validator's work, which builds on ours.

    cells: of one model, precision and device.
    """
    first, runtimes = cells[0], list({cell.runtime.name: cell.runtime for cell in cells}.values())
    watch.parity(f"parity of {first.artifact.model} on {', '.join(runtime.name for runtime in runtimes)}")
    settings = {cell.runtime.name: cell.options.extra for cell in cells if cell.options.extra}
    asked = Asked(runtimes, True, first.options.device, cache=first.asked.cache, settings=settings)
    options: dict[str, Any] = {
        "model": first.argument,
        "weights": first.weights,
        "artifacts": first.artifact.path.parents[1],
        "precision": first.precision,
        "batch": ",".join(map(str, first.options.batches)),
        "out": folder,
        **asked.arguments(runtimes),
    }
    # Whatever comes of it stands in the records; a runtime without one is refused.
    command = [sys.executable, "-m", "validate.parity", *records.words(options)]
    subprocess.run(command, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent, check=False)
