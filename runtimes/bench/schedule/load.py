"""Modes throughput and server: how much a cell answers at most, and how long that takes under load."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any

from runtimes.bench.schedule import aggregate as compose
from runtimes.bench.schedule import climb as search
from runtimes.bench.schedule.climb import Found, Rate
from runtimes.bench.schedule.course import Course, Run
from runtimes.bench.schedule.executor import Outcome
from runtimes.bench.schedule.rounds import share
from runtimes.bench.worker import throughput as mode
from runtimes.records.store import Record
from runtimes.statistics import Noise, interval, noise


def throughput(state: Run, course: Course) -> Record:
    """Search batch and streams, each point in a fresh process, then measure the chosen one anew.

    Anew, because the best of several rates flatters; in as many processes as every cell gets, disturbed ones repeated.
    """
    found = _search(state, course)
    if found.images_per_s is None:
        return state.finish(course, {"status": "failed", "reason": found.reason, "searched": found.searched})
    name, policy = f"{course.key} chosen", state.plan.effort
    while True:
        sound = state.outcomes(name)
        quiet = [visit for visit in sound if not compose.trouble(visit)]
        most = policy.processes * (1 if state.out_of_time else 1 + policy.repeats)
        if len(quiet) >= policy.processes or len(sound) >= most:
            break
        outcome = _visit(state, course, name, found.batch, found.streams, len(sound))
        if failed := compose.failure(course.cell, outcome):
            return state.finish(course, failed | {"searched": found.searched})
    used = compose.usable(sound, policy.processes)
    rates = [_rate(visit) for visit in used]
    rate = statistics.median(rates)
    own, how = interval(rate, rates, _noise_of_latencies(state))
    chosen = {"batch": found.batch, "streams": found.streams, "images_per_s": rate, "searched": found.searched}
    return state.finish(course, compose.rated(chosen, used, own, how, state.executor.between_runs()))


def _search(state: Run, course: Course) -> Found:
    """A search that was broken off goes on: what it looked at already is taken from the visits that are kept."""
    looks: Counter[str] = Counter()

    def look(batch: int, streams: int) -> Rate:
        name = f"{course.key} {batch} x {streams}"
        index = looks[name]
        looks[name] += 1
        kept = state.visits.of[name]
        outcome = kept[index] if index < len(kept) else _visit(state, course, name, batch, streams, index)
        failed = compose.failure(course.cell, outcome)
        return Rate(None, str(failed["reason"])) if failed else Rate(_rate(outcome))

    cell = course.cell
    streams = search.stream_counts(cell.options.thread_count())
    return search.best(look, cell.mode_options["batches"], [cell.options.streams] if cell.options.streams else streams)


def _visit(state: Run, course: Course, name: str, batch: int, streams: int, number: int) -> Outcome:
    cell = course.cell
    job = course.job(share(state.plan.effort), **mode.changes(cell.runtime, cell.options, batch, streams))
    return state.visit_one(course, job, name, number)


def _rate(visit: Outcome) -> float:
    assert visit.numbers is not None
    return float(visit.numbers["images_per_s"])


def _noise_of_latencies(state: Run) -> Noise:
    """What the run's latencies say of the variation between processes."""
    cells: list[list[float]] = []
    for name in state.visits.of:
        visits: list[Any] = [visit for visit in state.outcomes(name) if "device_times_ms" in (visit.numbers or {})]
        cells.append(compose.medians([visit for visit in visits if not compose.trouble(visit)]))
    return noise(cells)


def server(state: Run, course: Course) -> Record:
    """One visit holds every rate; a disturbed one is repeated, and the one least slowed down is taken."""
    policy = state.plan.effort
    for number in range(1 + policy.repeats):
        if len(state.visits.of[course.key]) <= number:
            state.visit_one(course, course.job(share(policy)), course.key, number)
        if failed := compose.failure(course.cell, state.visits.of[course.key][-1]):
            return state.finish(course, failed)
        if not compose.trouble(state.outcomes(course.key)[-1]):
            break
    quiet = [visit for visit in state.outcomes(course.key) if not compose.trouble(visit)]
    best = quiet[0] if quiet else min(state.outcomes(course.key), key=lambda visit: visit.slowdown)
    return state.finish(course, compose.served(best))
