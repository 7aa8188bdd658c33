"""Mode server: one image at a time at moments of a Poisson process; latency at a percentile against the rate."""

from __future__ import annotations

import dataclasses
import functools
import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from convert.common.errors import InputError
from runtimes.base import Session
from runtimes.bench.worker import loadgen, streams, throughput
from runtimes.bench.worker.job import PERCENTILES, Effort, Job
from runtimes.bench.worker.numbers import ServerNumbers
from runtimes.bench.worker.visit import Opened
from runtimes.records.kinds import ASKED_FOR
from runtimes.records.parts import LoadGenInfo, ServerPoint

# Shares of what it answers back to back; above 1 the line grows as long as the test lasts.
LOADS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
# Then the gap between the highest rate that met the bound and the lowest that did not is halved so many times.
HALVINGS = 2
# Where no bound is given: room for a request that finds a line. MLPerf's bound for ResNet-50, 15 ms, is one for
# accelerators.
BOUND_IN_MEDIANS = 3.0


def needed(percentile: float) -> int:
    """The fewest samples that carry a percentile with 99 % confidence: 64 for p90, 662 for p99.

    As `statistics.carries`, without SciPy: the chance that at most one of them lies above the true percentile must be
    at most 1 % (MLPerf Inference rules, "Early stopping").
    """
    above, count = 1 - percentile / 100, 2
    while (1 - above) ** count + count * above * (1 - above) ** (count - 1) > 0.01:
        count += 1
    return count


def measure(opened: Opened, job: Job) -> ServerNumbers:
    """All rates, in one process.

    mode_options: `latency_bound_ms` (None: three times the median of an idle machine), `percentile` (99 where it is not
    given). It is never another one: a rate that does not give enough requests for it within effort.max_s is not valid.
    qps_max: rate, as completed, of the point with the highest target that met the bound; None where none did.
    samples_ms: back to back, from which capacity_qps is known; unloaded_ms: the median of one at a time.
    InputError where LoadGen is missing.
    """
    loadgen.require()
    if job.batch != 1:
        raise InputError(f"batch {job.batch}: mode server sends one image at a time")
    effort, options = job.effort, job.mode_options
    with _sessions(opened, job.options.streams or 1) as sessions:
        runs = [functools.partial(session.run, opened.images) for session in sessions]
        alone = throughput.drive(runs[0], [], dataclasses.replace(effort, max_s=max(effort.min_s, 1.0)))
        unloaded = statistics.median(alone.inside_ms())
        others = [functools.partial(streams.here, run) for run in runs[1:]]
        busy = throughput.drive(runs[0], others, effort) if others else alone
        capacity = busy.per_second()
        given, usual = options.get("latency_bound_ms"), f"{BOUND_IN_MEDIANS:g} x the median latency of an idle machine"
        bound = float(given or BOUND_IN_MEDIANS * unloaded)
        percentile = options.get("percentile") or PERCENTILES[0]
        version: list[str] = []

        def at(rate: float) -> ServerPoint:
            seconds, count = extent(rate, percentile, effort)
            trial = loadgen.server(runs, rate, seconds, count, bound, percentile)
            version[:] = [trial.version]
            return point(rate, trial, percentile, bound)

        gc.collect()
        gc.disable()
        begin = time.perf_counter()
        try:
            points = explore(at, capacity)
        finally:
            gc.enable()
        rates_s = time.perf_counter() - begin
    met = [one for one in points if one.met]
    return ServerNumbers(
        streams=len(runs),
        rates_s=rates_s,
        samples_ms=busy.inside_ms(),
        warmup_ms=tuple(busy.warmup_ms),
        steady=busy.steady,
        capacity_qps=capacity,
        unloaded_ms=unloaded,
        percentile=percentile,
        latency_bound_ms=bound,
        bound=ASKED_FOR if given else usual,
        points=tuple(points),
        qps_max=max(met, key=_target).qps if met else None,
        loadgen=LoadGenInfo(version=version[0], seeds=loadgen.SEEDS),
    )


def explore(at: Callable[[float], ServerPoint], capacity: float) -> list[ServerPoint]:
    """Points at LOADS of the capacity, then halfway between the highest that met the bound and the next one above that
    did not, twice; in the order of their rates. One that carries no percentile neither met nor missed."""
    points = [at(load * capacity) for load in LOADS]
    for _ in range(HALVINGS):
        met = [_target(one) for one in points if one.met]
        missed = [_target(one) for one in points if one.valid and not one.met]
        above = [rate for rate in missed if not met or rate > max(met)]
        if not met or not above:
            break
        points.append(at((max(met) + min(above)) / 2))
    return sorted(points, key=_target)


def _target(point: ServerPoint) -> float:
    return point.qps_target or 0.0


def extent(rate: float, percentile: int, effort: Effort) -> tuple[float, int]:
    """Seconds and requests at a rate: both minima and what the percentile needs, but no more than max_s."""
    most = max(2, int(rate * effort.max_s))
    count = min(most, max(effort.min_count, needed(percentile)))
    return min(effort.min_s, effort.max_s), count


def point(rate: float, trial: loadgen.Trial, percentile: int, bound_ms: float) -> ServerPoint:
    """A point of the curve. Percentiles are LoadGen's order statistics, null where the count does not carry them.

    valid: the count carries the percentile that counts. met: it is, and is within the bound. loadgen_valid: LoadGen's
    own verdict, which asks for 99 % confidence that the bound is met.
    """
    ordered = sorted(trial.latencies_ms)
    count = len(ordered)
    carried = {p: ordered[int(count * p / 100)] if count >= needed(p) else None for p in PERCENTILES}
    reached = carried[percentile]
    return ServerPoint(
        qps_target=rate,
        qps=trial.log["result_completed_samples_per_sec"],
        qps_scheduled=trial.log["result_scheduled_samples_per_sec"],
        p50_ms=statistics.median(ordered),
        p90_ms=carried[90],
        p99_ms=carried[99],
        count=count,
        valid=reached is not None,
        met=reached is not None and reached <= bound_ms,
        loadgen_valid=trial.valid,
    )


@contextmanager
def _sessions(opened: Opened, count: int) -> Iterator[Sequence[Session]]:
    with ExitStack() as stack:
        others = []
        for _ in range(count - 1):
            twin = opened.session.twin()
            if twin is None:
                raise InputError(f"{opened.runtime.name} has no streams of its own: mode server needs one stream")
            others.append(stack.enter_context(twin))
        yield [opened.session, *others]
