"""How a cell of each mode comes to its visits, and when it has enough of them.

latency: rounds over all cells, each visited once in each, until each is done. throughput: a search for batch and
streams, each point in a fresh process, then visits to the best. server: one visit, which holds every rate.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence

from runtimes.bench.plan.settings import Policy
from runtimes.bench.schedule import aggregate, climb
from runtimes.bench.schedule.climb import BestPoint
from runtimes.bench.schedule.executor import VisitOutcome
from runtimes.bench.schedule.state import PendingCell, RunState
from runtimes.bench.worker.job import Job
from runtimes.bench.worker.numbers import LatencyNumbers
from runtimes.bench.worker.throughput import changes
from runtimes.records.kinds import Latency, Server, Throughput
from runtimes.statistics import Noise, interval, noise, relative_half_width

# So that one cell that cannot reach its target by samples that take no time does not go on for ever.
_MOST_VISITS = 24
# One pair of processes that happen to agree would make all the others' intervals narrow.
_FEWEST_DOF = 2


def latencies(run: RunState, cells: Sequence[PendingCell]) -> Iterator[Latency]:
    """The records of mode latency: rounds over all cells until each is done."""
    left, number = list(cells), 0
    while left:
        # What a run that was broken off has left is taken up: such cells sit out the first rounds.
        due = [pending for pending in left if len(run.visits.of[pending.key]) <= number]
        order = run.order.sample(due, len(due))
        names = [pending.key for pending in order]
        run.visit(order, [pending.job for pending in order], names, number)
        number += 1
        for pending in list(left):
            measured = _settled(run, pending, cells)
            if measured:
                left.remove(pending)
                yield run.finish(pending, measured)


def _settled(run: RunState, pending: PendingCell, cells: Sequence[PendingCell]) -> Latency | None:
    """A cell's record; None where it has to be visited again."""
    policy, visits, blank = run.plan.effort, run.visits.of[pending.key], pending.blank
    assert isinstance(blank, Latency)
    if visits and (failed := aggregate.failed(blank, pending.cell, visits[-1])):
        return failed
    sound = run.outcomes(pending.key)
    if len(sound) < policy.processes:
        return None
    repeatable = len(sound) < policy.processes * (1 + policy.repeats) and not run.out_of_time
    if len(aggregate.quiet(sound)) < policy.processes and repeatable:
        return None
    # When time is over, one undisturbed visit is worth more than the average of it and a disturbed one.
    used = aggregate.usable(sound, 1 if run.out_of_time else policy.processes)
    others = [run.outcomes(other.key) for other in cells if other is not pending]
    measured = aggregate.latency(blank, used, _noise(others, policy), run.executor.between_runs(), policy)
    assert measured.median_ms
    half = relative_half_width(measured.median_ms, measured.run_ci95_ms)
    minima = sum(measured.samples_ms) / 1e3 >= policy.min_s and len(measured.samples_ms) >= policy.min_count
    # Disturbed visits count here: a machine that does not come to rest must not hold a run up for ever.
    spent = sum(map(sum, aggregate.samples(sound))) / 1e3
    over = spent >= policy.max_s or len(sound) >= _MOST_VISITS or run.out_of_time
    return measured if (minima and half <= policy.target) or over else None


def _noise(cells: Sequence[Sequence[VisitOutcome]], policy: Policy) -> Noise:
    """How far processes lie apart in other cells: undisturbed ones, where enough cells have several of them."""
    quiet = noise(aggregate.medians(aggregate.quiet(visits)) for visits in cells)
    if quiet.dof >= _FEWEST_DOF:
        return quiet
    return noise(aggregate.medians(aggregate.usable(visits, policy.processes)) for visits in cells)


def throughput(run: RunState, pending: PendingCell) -> Throughput:
    """The record of a cell of mode throughput: search batch and streams, then measure the chosen ones anew.

    Anew, because the best of several rates flatters; in as many processes as every cell gets, disturbed ones repeated.
    """
    found = _search(run, pending)
    assert isinstance(pending.blank, Throughput)
    blank = dataclasses.replace(pending.blank, searched=found.searched)
    if found.images_per_s is None:
        return run.finish(pending, dataclasses.replace(blank, status="failed", reason=found.reason))
    job = _job(pending, found.batch, found.streams)
    used = _visits(run, pending, job, f"{pending.key} chosen", run.plan.effort.processes)
    if failed := aggregate.failed(blank, pending.cell, used[-1]):
        return run.finish(pending, failed)
    rates = [aggregate.rated(visit).images_per_s for visit in used]
    own = interval(statistics.median(rates), rates, _noise_of_latencies(run))
    return run.finish(pending, aggregate.throughput(blank, found, used, own, run.executor.between_runs()))


def _search(run: RunState, pending: PendingCell) -> BestPoint:
    """A search that was broken off goes on: what it looked at already is taken from the visits that are kept."""
    looks: Counter[str] = Counter()

    def look(batch: int, streams: int) -> float | str:
        name = f"{pending.key} {batch} x {streams}"
        index = looks[name]
        looks[name] += 1
        kept = run.visits.of[name]
        outcome = (
            kept[index] if index < len(kept) else run.visit_one(pending, _job(pending, batch, streams), name, index)
        )
        return aggregate.failure(pending.cell, outcome) or aggregate.rated(outcome).images_per_s

    cell = pending.cell
    streams = climb.stream_counts(cell.options.thread_count())
    return climb.best(look, cell.mode_options["batches"], [cell.options.streams] if cell.options.streams else streams)


def _job(pending: PendingCell, batch: int, streams: int) -> Job:
    """A visit to one point of a search."""
    cell = pending.cell
    return dataclasses.replace(pending.job, **changes(cell.runtime, cell.options, batch, streams))


def _visits(run: RunState, pending: PendingCell, job: Job, name: str, count: int) -> list[VisitOutcome]:
    """So many visits, disturbed ones repeated while there is time; the one that failed alone, where one did."""
    while True:
        sound = run.outcomes(name)
        most = count * (1 if run.out_of_time else 1 + run.plan.effort.repeats)
        if len(aggregate.quiet(sound)) >= count or len(sound) >= most:
            return aggregate.usable(sound, count)
        outcome = run.visit_one(pending, job, name, len(sound))
        if aggregate.failure(pending.cell, outcome):
            return [outcome]


def _noise_of_latencies(run: RunState) -> Noise:
    """What the run's latencies say of the variation between processes."""
    cells = []
    for name in run.visits.of:
        visits = [visit for visit in run.outcomes(name) if isinstance(visit.numbers, LatencyNumbers)]
        cells.append(aggregate.medians(aggregate.quiet(visits)))
    return noise(cells)


def server(run: RunState, pending: PendingCell) -> Server:
    """The record of a cell of mode server. A disturbed visit is repeated, and the one least slowed down is taken."""
    blank = pending.blank
    assert isinstance(blank, Server)
    (visit,) = _visits(run, pending, pending.job, pending.key, 1)
    failed = aggregate.failed(blank, pending.cell, visit)
    return run.finish(pending, failed or aggregate.server(blank, visit))
