"""How a cell of each mode comes to its visits, and when it has enough of them.

latency: rounds over all cells, each visited once in each, until each is done. throughput: a search for batch and
streams, each point in a fresh process, then visits to the best. server: one visit, which holds every rate.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from runtimes import pairs
from runtimes.bench.schedule import aggregate, climb
from runtimes.bench.schedule.climb import BestPoint
from runtimes.bench.schedule.outcome import VisitOutcome
from runtimes.bench.schedule.state import PendingCell, RunState
from runtimes.bench.worker.job import Job
from runtimes.bench.worker.numbers import LatencyNumbers
from runtimes.bench.worker.throughput import changes
from runtimes.records.kinds import Latency, Server, Throughput
from runtimes.statistics import ASSUMED_PROCESSES, Noise, interval, noise, relative_half_width

# So that one cell that cannot reach its target by samples that take no time does not go on for ever.
_MOST_VISITS = 24
# One pair of processes that happen to agree would make all the others' intervals narrow.
_FEWEST_DOF = 2
_ASSUMED_DOF = 4
# Times the half width of the interval. Who is out of the running is asked after each round, of each rival of whoever
# happened to be the fastest so far: of four equal cells (simulated, 1.5 % between processes, up to ten visits) one was
# out by chance in 10 % of runs with this, and in 32 % with 1.
_SURER = 1.5
# Of the memory that was free at the start: sessions that are open at once.
_MEMORY_SHARE = 0.6


def latencies(run: RunState, cells: Sequence[PendingCell]) -> Iterator[Latency]:
    """The records of mode latency: rounds over all cells until each is done, then rounds over those near the top."""
    left, number = list(cells), 0
    drafts: dict[str, Latency] = {}
    undecided: set[str] = set()
    while left:
        # A cell that is done sits out until it is known whether it is near the top; and what a run that was broken off
        # has left is taken up: such cells sit out the first rounds.
        busy = [pending for pending in left if pending.key not in drafts or pending.key in undecided]
        for together in _tables(run, [pending for pending in busy if len(run.visits.of[pending.key]) <= number]):
            run.visit_together(together, number)
        number += 1
        for pending in busy:
            measured = _settled(run, pending, cells, done=pending.key in drafts)
            if measured and measured.measured:
                drafts[pending.key] = measured
            elif measured:
                left.remove(pending)
                yield run.finish(pending, measured)
        for rivals in _by_rivals(left):
            if all(pending.key in drafts for pending in rivals):
                close = _undecided(run, rivals, drafts)
                undecided |= {pending.key for pending in close}
                for pending in rivals:
                    if pending not in close:
                        left.remove(pending)
                        yield run.finish(pending, drafts[pending.key])


def _by_rivals(cells: Sequence[PendingCell]) -> list[list[PendingCell]]:
    found: dict[tuple[object, ...], list[PendingCell]] = {}
    for pending in cells:
        found.setdefault(pending.rivals, []).append(pending)
    return list(found.values())


def _tables(run: RunState, cells: Sequence[PendingCell]) -> Iterator[list[PendingCell]]:
    """Cells whose sessions are open at once, in random order: rivals, as far as they fit into memory together.

    On a GPU each is alone: sessions that wait there keep its memory and its clocks.
    """
    free = run.plan.estimate.free_memory_bytes
    room = None if free is None else _MEMORY_SHARE * free
    groups = _by_rivals(cells)
    for rivals in run.order.sample(groups, len(groups)):
        table: list[PendingCell] = []
        for pending in run.order.sample(rivals, len(rivals)):
            held = sum(one.memory_bytes for one in (*table, pending))
            if table and (pending.cell.options.device != "CPU" or (room is not None and held > room)):
                yield table
                table = []
            table.append(pending)
        yield table


def _undecided(run: RunState, rivals: Sequence[PendingCell], drafts: Mapping[str, Latency]) -> list[PendingCell]:
    """The cells of which it is open, while there is time, which one is the fastest; none where it is known.

    Time is what `--minutes` gives: a run without it ends by its target.
    """
    if not run.plan.effort.minutes or run.out_of_time or len(rivals) < 2:
        return []
    order = sorted(rivals, key=lambda pending: drafts[pending.key].median_ms or math.inf)
    best = drafts[order[0].key]
    close = []
    for pending in order[1:]:
        others = pairs.spread([drafts[other.key] for other in order if other is not pending])
        found = pairs.ratio(drafts[pending.key], best, others)
        too_busy = found is None and pairs.together(drafts[pending.key], best)
        undecided = too_busy or (found is not None and not found.longer(_SURER))
        if undecided and len(run.visits.of[pending.key]) < _MOST_VISITS:
            close.append(pending)
    return [order[0], *close] if close else []


def _settled(run: RunState, pending: PendingCell, cells: Sequence[PendingCell], done: bool = False) -> Latency | None:
    """A cell's record; None where it has to be visited again. done: whether it was not, once before."""
    policy, visits, blank = run.plan.effort, run.visits.of[pending.key], pending.blank
    assert isinstance(blank, Latency)
    if visits and (failed := aggregate.failed(blank, pending.cell, visits[-1])):
        return failed
    sound = run.outcomes(pending.key)
    if len(sound) < policy.processes:
        return None
    repeatable = len(sound) < policy.processes * (1 + policy.repeats) and not run.out_of_time
    if len(aggregate.quiet(sound)) < policy.processes and repeatable and not done:
        return None
    # When time is over, one undisturbed visit is worth more than the average of it and a disturbed one. Where all are,
    # several tell more than one.
    least = 1 if run.out_of_time and aggregate.quiet(sound) else policy.processes
    used = aggregate.usable(sound, least)
    others = [run.outcomes(other.key) for other in cells if other is not pending]
    measured = aggregate.latency(blank, used, _noise(others), run.executor.between_runs(), policy, sound)
    assert measured.median_ms
    half = relative_half_width(measured.median_ms, measured.run_ci95_ms)
    minima = sum(measured.samples_ms) / 1e3 >= policy.min_s and len(measured.samples_ms) >= policy.min_count
    # Disturbed visits count here: a machine that does not come to rest must not hold a run up for ever.
    spent = sum(map(sum, aggregate.samples(sound))) / 1e3
    over = spent >= policy.most_s or len(sound) >= _MOST_VISITS or run.out_of_time
    return measured if done or (minima and half <= policy.target) or over else None


def _noise(cells: Sequence[Sequence[VisitOutcome]]) -> Noise:
    """How far processes lie apart in other cells: undisturbed ones, where enough cells have several of them; else what
    is assumed of any machine."""
    quiet = noise(aggregate.medians(aggregate.quiet(visits)) for visits in cells)
    return quiet if quiet.dof >= _FEWEST_DOF else Noise(ASSUMED_PROCESSES, _ASSUMED_DOF)


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
