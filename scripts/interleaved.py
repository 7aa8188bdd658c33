"""Rounds that measure several things once each, in random order, and the ratio of two of them over the rounds.

A ratio within a round leaves out what the machine does from one minute to the next; and a round in which its speed
changed, by the probe, does not count. This file is the only one here that knows how the bench makes a visit.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from convert.artifact import Artifact
from convert.common.console import say
from convert.common.errors import CheckFailed, InputError
from convert.common.progress import bar
from runtimes import registry
from runtimes.base import Options, Runtime, UnavailableError
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.schedule import aggregate
from runtimes.bench.schedule.executor import Local
from runtimes.bench.worker.job import Effort, Job
from runtimes.options import listed, precisions
from runtimes.statistics import Noise, interval
from runtimes.system.speed_probe import TOLERABLE_SLOWDOWN, Probe

Side = Callable[[float], float]  # the time in ms, from at least so many seconds of measuring

LEAST_ROUNDS = 2  # that carry an interval
_FIRST_S = 0.2  # of measuring in a first visit
_LEAST_SAMPLES = 5
_REFUSED = f"{UnavailableError.__name__}: "  # how a visit's failure begins when the runtime cannot do what was asked


@dataclass(frozen=True)
class Repetition:
    """How hard something is measured.

    rounds: how many, those that will not count among them.
    seconds: of measuring, of each side in each round.
    slowdown: by how much the slowest of a round's probe readings may be above the fastest.
    """

    rounds: int
    seconds: float
    slowdown: float = TOLERABLE_SLOWDOWN


@dataclass(frozen=True)
class Ratio:
    """value: geometric mean over rounds. low, high: its 95 % interval, Student's t on the logarithms."""

    value: float
    low: float
    high: float

    @classmethod
    def over(cls, ratios: Sequence[float]) -> Ratio:
        """The ratio by those of the rounds, of which two are needed at least."""
        mean = statistics.geometric_mean(ratios)
        found, _ = interval(mean, ratios, Noise())
        assert found is not None
        return cls(mean, *found)


@dataclass(frozen=True)
class Rounds:
    """times_ms: by the side's name, of each round that counts. left_out: how many rounds do not count."""

    times_ms: Sequence[Mapping[str, float]]
    left_out: int

    @property
    def enough(self) -> bool:
        """Whether they carry an interval."""
        return len(self.times_ms) >= LEAST_ROUNDS

    def median_ms(self, side: str) -> float:
        return statistics.median(times[side] for times in self.times_ms)

    def ratio(self, above: str, below: str) -> Ratio:
        """The time of one side over that of another. Call it where there are `enough`."""
        return Ratio.over([times[above] / times[below] for times in self.times_ms])


def runnable(sides: Mapping[str, Side], title: str) -> dict[str, Side]:
    """The sides that this machine can run, from a short visit to each; the others are named with the reason.

    What a runtime compiles and keeps is there from now on: rounds are spared that.
    """
    found = {}
    with bar(f"{title}, first visits", len(sides)) as advance:
        for name, side in sides.items():
            try:
                side(_FIRST_S)
            except (UnavailableError, CheckFailed) as error:
                say(f"not measured: {title}, {name}: {error.message if isinstance(error, CheckFailed) else error}")
            else:
                found[name] = side
            advance(1)
    return found


def measure(sides: Mapping[str, Side], repetition: Repetition, title: str) -> Rounds:
    """Rounds over all sides. title: for the progress bar, and the order's seed."""
    probe, order = Probe(), random.Random(title)  # noqa: S311 - only shuffles
    kept: list[Mapping[str, float]] = []
    with bar(title, repetition.rounds * len(sides)) as advance:
        for _ in range(repetition.rounds):
            times, speeds = {}, [probe.take()]  # None where other programs leave no reading
            for side in order.sample(sorted(sides), len(sides)):
                times[side] = sides[side](repetition.seconds)
                speeds.append(probe.take())
                advance(1)
            known = [speed for speed in speeds if speed is not None]
            if len(known) == len(speeds) and max(known) / min(known) - 1 <= repetition.slowdown:
                kept.append(times)
    return Rounds(kept, repetition.rounds - len(kept))


def visit_ms(artifact: Artifact, runtime: Runtime, precision: str, batch: int, seconds: float) -> float:
    """Median in ms of one visit in a process of its own, as the bench makes it; seconds: of measuring, at least.

    UnavailableError when the runtime cannot do on this machine what it is asked for; CheckFailed when the visit gave no
    numbers for another reason, or ran as something else than it was asked to.
    """
    options = Options(precision, runtime.default_device, batches=(batch,))
    cell = Cell(artifact.model, artifact, runtime, precision, options, batch)
    effort = Effort(seconds, _LEAST_SAMPLES)
    environment = runtime.environment(options)
    job = Job(str(artifact.path), runtime.name, batch, options, effort=effort, environment=environment)
    (outcome,) = Local(probe=None).run([job])
    reason = aggregate.failure(cell, outcome)
    if reason:
        if reason.startswith(_REFUSED):
            raise UnavailableError(reason.removeprefix(_REFUSED))
        raise CheckFailed(f"{cell.name}: {reason}")
    return aggregate.medians([outcome])[0]


def possible(text: str) -> dict[str, tuple[Runtime, str]]:
    """Those of some comma-separated RUNTIME:PRECISION cells that this machine has, by their names.

    The others are named with the reason; what the processor lacks only a visit tells. InputError for what is no cell,
    and when none is left.
    """
    wanted = {}
    for name in listed(text):
        runtime_name, colon, precision = name.partition(":")
        if not colon:
            raise InputError(f"--cells {name}: RUNTIME:PRECISION is needed, as in paddle:fp32")
        precisions(precision)
        wanted[name] = (registry.get(runtime_name), precision)
    states = registry.examine(list(dict.fromkeys(runtime.name for runtime, _ in wanted.values())))
    found = {}
    for name, (runtime, precision) in wanted.items():
        reason = states[runtime.name]["reason"]
        try:
            runtime.check(Options(precision, runtime.default_device))
        except UnavailableError as error:
            reason = str(error)
        if reason:
            say(f"not measured: {name}: {reason}")
        else:
            found[name] = (runtime, precision)
    if not found:
        raise InputError(f"--cells {text}: nothing of that can be measured here")
    return found
