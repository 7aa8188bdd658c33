"""Mode latency: rounds over all cells, each visited once in each, until each is done."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from runtimes.bench.plan.matrix import Policy
from runtimes.bench.schedule import aggregate as compose
from runtimes.bench.schedule.course import Course, Run
from runtimes.bench.schedule.executor import Outcome
from runtimes.bench.worker.job import Effort
from runtimes.records.store import Record
from runtimes.statistics import Noise, noise, relative_half_width

# So that one cell that cannot reach its target by samples that take no time does not go on for ever.
_MOST_VISITS = 24
# One pair of processes that happen to agree would make all the others' intervals narrow.
_FEWEST_DOF = 2


def measure(state: Run, courses: list[Course]) -> Iterator[Record]:
    """Rounds over all cells until each is done."""
    policy = state.plan.effort
    pending, number = list(courses), 0
    effort = share(policy)
    while pending:
        # What a run that was broken off has left is taken up: such cells sit out the first rounds.
        due = [course for course in pending if len(state.visits.of[course.key]) <= number]
        order = state.order.sample(due, len(due))
        names = [course.key for course in order]
        state.visit(order, (course.job(effort) for course in order), names, number)
        number += 1
        for course in list(pending):
            measured = _settled(state, course, courses)
            if measured:
                pending.remove(course)
                yield state.finish(course, measured)


def share(policy: Policy) -> Effort:
    """What one visit measures of a cell."""
    return Effort(
        policy.min_s / policy.processes,
        math.ceil(policy.min_count / policy.processes),
        policy.max_s / policy.processes,
    )


def _settled(state: Run, course: Course, courses: Sequence[Course]) -> Record | None:
    """The measured part of a cell's record; None where it has to be visited again."""
    policy, visits = state.plan.effort, state.visits.of[course.key]
    if visits and (failed := compose.failure(course.cell, visits[-1])):
        return failed
    sound = state.outcomes(course.key)
    if len(sound) < policy.processes:
        return None
    quiet = [visit for visit in sound if not compose.trouble(visit)]
    repeatable = len(sound) < policy.processes * (1 + policy.repeats) and not state.out_of_time
    if len(quiet) < policy.processes and repeatable:
        return None
    # When time is over, one undisturbed visit is worth more than the average of it and a disturbed one.
    used = compose.usable(sound, 1 if state.out_of_time else policy.processes)
    others = [state.outcomes(other.key) for other in courses if other is not course]
    measured = compose.latency(used, _noise(others, policy), state.executor.between_runs(), policy)
    seconds = sum(measured["samples_ms"]) / 1e3
    half = relative_half_width(measured["median_ms"], measured["run_ci95_ms"])
    enough = seconds >= policy.min_s and measured["count"] >= policy.min_count and half <= policy.target
    # Disturbed visits count here: a machine that does not come to rest must not hold a run up for ever.
    spent = sum(map(sum, compose.samples(sound))) / 1e3
    over = spent >= policy.max_s or len(sound) >= _MOST_VISITS or state.out_of_time
    return measured if enough or over else None


def _noise(cells: Sequence[Sequence[Outcome]], policy: Policy) -> Noise:
    """How far processes lie apart in other cells: undisturbed ones, where enough cells have several of them."""
    quiet = noise(compose.medians([visit for visit in visits if not compose.trouble(visit)]) for visits in cells)
    if quiet.dof >= _FEWEST_DOF:
        return quiet
    return noise(compose.medians(compose.usable(visits, policy.processes)) for visits in cells)
