"""Things held against each other: rounds that measure each of them once, in random order, and the ratio over rounds.

For scripts that ask by what factor one is faster. A ratio within a round leaves out what the machine does from one
minute to the next; and a round in which its speed changed, by the probe, does not count.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from convert.common.errors import CheckFailed
from runtimes import registry
from runtimes.base import Options, Runtime, UnavailableError
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.schedule import aggregate as compose
from runtimes.bench.schedule.executor import Local
from runtimes.bench.worker.job import Effort, Job
from runtimes.statistics import Noise, interval
from runtimes.system.speed_probe import Probe

LEAST_ROUNDS = 2  # that carry an interval
_LEAST_SAMPLES = 5
_REFUSED = f"{UnavailableError.__name__}: "  # how a visit's failure begins when the runtime cannot do what was asked


@dataclass(frozen=True)
class Ratio:
    """value: geometric mean over rounds. low, high: its 95 % interval, Student's t on the logarithms."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Rounds:
    """times_ms: by name, of each round that counts. left_out: how many do not."""

    times_ms: Sequence[Mapping[str, float]]
    left_out: int

    @property
    def enough(self) -> bool:
        """Whether they carry an interval."""
        return len(self.times_ms) >= LEAST_ROUNDS

    def median_ms(self, name: str) -> float:
        return statistics.median(times[name] for times in self.times_ms)

    def ratio(self, above: str, below: str) -> Ratio:
        """The time of one over that of another. Call it where there are `enough`."""
        ratios = [times[above] / times[below] for times in self.times_ms]
        mean = statistics.geometric_mean(ratios)
        found, _ = interval(mean, ratios, Noise())
        assert found is not None
        return Ratio(mean, *found)


def measure(
    sides: Mapping[str, Callable[[], float]],
    rounds: int,
    slowdown: float,
    probe: Probe,
    seed: str,
    advance: Callable[[int], object],
) -> Rounds:
    """So many rounds over all sides, each of which gives its time in ms.

    slowdown: by how much the slowest of a round's probe readings may be above the fastest. seed: of the order. advance:
    told of each visit.
    """
    order, kept = random.Random(seed), list[Mapping[str, float]]()  # noqa: S311 - only shuffles
    for _ in range(rounds):
        times, speeds = {}, [probe.take()]
        for side in order.sample(sorted(sides), len(sides)):
            times[side] = sides[side]()
            speeds.append(probe.take())
            advance(1)
        if max(speeds) / min(speeds) - 1 <= slowdown:
            kept.append(times)
    return Rounds(kept, rounds - len(kept))


def visit_ms(cell: Cell, seconds: float) -> float:
    """Median in ms of one visit in a process of its own, as the bench makes it; seconds: of measuring, at least.

    UnavailableError when the runtime cannot do on this machine what it is asked for; CheckFailed when the visit gave no
    numbers for another reason, or ran as something else than it was asked to.
    """
    job = Job(
        str(cell.artifact.path),
        cell.runtime.name,
        cell.batch,
        cell.options,
        effort=Effort(seconds, _LEAST_SAMPLES),
        environment=cell.runtime.environment(cell.options),
    )
    (outcome,) = Local(probe=None).run([job])
    failed = compose.failure(cell, outcome)
    if failed:
        reason = str(failed["reason"])
        if reason.startswith(_REFUSED):
            raise UnavailableError(reason.removeprefix(_REFUSED))
        raise CheckFailed(f"{cell.name}: {reason}")
    assert outcome.numbers is not None
    return statistics.median(outcome.numbers["samples_ms"])


def refusals(wanted: Mapping[str, tuple[Runtime, str]]) -> dict[str, str]:
    """Why this machine has not some of the runtimes, or they not the precision, in a sentence each, by their names.

    What the processor lacks only a visit tells.
    """
    states = registry.examine(list(dict.fromkeys(runtime.name for runtime, _ in wanted.values())))
    found = {}
    for name, (runtime, precision) in wanted.items():
        reason = states[runtime.name]["reason"]
        try:
            runtime.check(Options(precision, runtime.default_device))
        except UnavailableError as error:
            reason = str(error)
        if reason:
            found[name] = str(reason)
    return found
