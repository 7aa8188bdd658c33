"""Carry out a plan: parity first, then rounds of visits in random order, a record for each cell when it is known."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from runtimes.bench.plan.matrix import Cell, key
from runtimes.bench.plan.plan import Plan
from runtimes.bench.schedule import aggregate, modes, parity
from runtimes.bench.schedule.display import Display
from runtimes.bench.schedule.executor import Executor, Local
from runtimes.bench.schedule.outcome import VISITS, Visits
from runtimes.bench.schedule.parity import Prove
from runtimes.bench.schedule.state import PendingCell, RunState
from runtimes.bench.worker.job import Job
from runtimes.records import store
from runtimes.records.kinds import TimedRecord
from runtimes.records.parity_gate import gate

# A visit that takes so many times what was estimated hangs; and no visit hangs before so many seconds.
_HANGS = 20.0
_SURELY_NOT_HANGING_S = 120.0
# Of what was free at the start: beyond it the system's killer would come, and it may strike anyone.
_MEMORY_SHARE = 0.9


def run(
    plan: Plan,
    folder: Path,
    resume: bool,
    display: Display,
    prove: Prove,
    executor: Executor | None = None,
    again: Collection[str] = (),
) -> Iterator[TimedRecord]:
    """Measure a plan's cells and append a record for each; yields them as they are done.

    resume: cells that are done (`store.done`) are not measured again, and their stored record is yielded; visits to the
    others that the folder has are taken up, but not those of a cell that has a record already. A cell that the plan
    refused, or whose runtime failed parity, is refused with the reason; one that crashes twice, hangs or runs out of
    memory is recorded as failed, and the rest goes on. prove: checks parity of cells of which no record speaks. again:
    keys of cells that are measured whatever is stored of them.
    """
    executor = executor or Local()
    machine = executor.machine()
    known = store.known(folder)
    if not resume:
        (folder / VISITS).unlink(missing_ok=True)
    state = RunState(plan, folder, display, executor, Visits.stored(folder), plan.effort.patience_s)
    state.order.seed(plan.seed)
    for cell, reason in plan.refused:
        yield state.refuse(_pending(plan, cell, machine, 0.0), reason)
    cells = [
        _pending(plan, cell, machine, cost.visit_s, cost.memory_bytes)
        for cell, cost in zip(plan.cells, plan.estimate.costs, strict=True)
    ]
    done = store.done(known, {pending.key for pending in cells}) if resume else {}
    done = {name: record for name, record in done.items() if name not in again}
    tried = {record.key for record in known if isinstance(record, TimedRecord)}
    left = []
    for pending in cells:
        if pending.key in done:
            display.record(done[pending.key])
            yield done[pending.key]
        else:
            if pending.key in tried:
                state.retry(pending)
            left.append(pending)

    def check(together: Sequence[Cell]) -> None:
        runtimes = ", ".join(dict.fromkeys(cell.runtime.name for cell in together))
        display.parity(f"parity of {together[0].artifact.model} on {runtimes}")
        prove(together, folder)

    parities = parity.known(left, folder, machine, check)
    passed = []
    for pending in left:
        found = gate(pending.blank, parities)
        if found.passed:
            passed.append(pending)
        else:
            yield state.refuse(pending, found.reason)
    yield from modes.latencies(state, [pending for pending in passed if pending.cell.mode == "latency"])
    for pending in passed:
        if pending.cell.mode == "throughput":
            yield modes.throughput(state, pending)
        elif pending.cell.mode == "server":
            yield modes.server(state, pending)


def _pending(plan: Plan, cell: Cell, machine: str, visit_s: float, memory_bytes: int = 0) -> PendingCell:
    name, free = key(cell, machine), plan.estimate.free_memory_bytes
    job = Job(
        str(cell.artifact.path),
        cell.runtime.name,
        cell.batch,
        cell.options,
        cell.mode,
        plan.effort.visit(cell.mode),
        cell.runtime.environment(cell.options),
        max(_SURELY_NOT_HANGING_S, _HANGS * visit_s),
        # Device drivers map much more than they use: the limit is for the processor's memory only.
        int(free * _MEMORY_SHARE) if free and cell.options.device == "CPU" else None,
        cell.mode_options,
    )
    return PendingCell(cell, name, aggregate.blank(cell, name, plan.effort), job, memory_bytes)
