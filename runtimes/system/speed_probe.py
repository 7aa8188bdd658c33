"""How fast the machine is right now: a fixed piece of work before and after each visit.

A virtual machine shares cores, caches and clock with neighbours whom its own counters do not show: load, steal and
foreign processes look the same while everything takes a fifth longer. A fixed piece of work shows it, if it feels what
a ViT feels (measured, docs/measuring.md): large weights that come from memory, and operators so small that cores wait
for each other.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from convert.common import typed
from convert.common.disk.files import write_text
from runtimes import undisturbed
from runtimes.statistics import Noise, noise
from runtimes.system import contention
from runtimes.system.contention import Contention

# Two blocks of a ViT-B (width 768) at 50 tokens: 57 MB of weights, each used once, are more than most caches hold.
_TOKENS, _WIDTH, _BLOCKS = 50, 768, 2
# And small products, of about half that time.
_SMALL, _SMALL_COUNT = 256, 40
_SECONDS, _PATIENCE_S = 0.1, 0.6
_KEPT_RUNS = 50
_KEPT_READINGS = 40  # of each run
# The fastest readings are outliers too; a twentieth of them may be.
_FASTEST_QUANTILE = 0.05
# On the machine where this was made the slow state takes 17 % longer and readings of one state differ by 1 to 2 %.
TOLERABLE_SLOWDOWN = 0.08
# So many readings carry a median of a run that is worth comparing with those of others.
FEWEST_READINGS = 8

_Reading = Annotated[float, msgspec.Meta(gt=0)]  # in milliseconds


def work_ms(seconds: float = _SECONDS, patience_s: float = _PATIENCE_S) -> float | None:
    """Median time in milliseconds of FP32 matrix products, a ViT's and small ones, by NumPy on all its threads.

    Only repetitions that other programs left alone tell of the machine: where there are too few of them after
    `seconds`, it goes on until there are, for at most patience_s. None where there are too few to the end.
    """
    work = _work()
    times: list[float] = []
    met: list[Contention] = []
    begin, before = time.perf_counter(), contention.now()
    while True:
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
        after = contention.now()
        if (one := contention.between(before, after)) is not None:
            met.append(one)
        before, spent_s = after, time.perf_counter() - begin
        if spent_s >= seconds:
            found = undisturbed.undisturbed(times, met)
            if found:
                return found.ms
            if spent_s >= patience_s:
                return None


@functools.cache
def _work() -> Callable[[], None]:
    def full(*shape: int) -> np.ndarray:
        return np.full(shape, 1 / shape[-1], dtype=np.float32)

    shapes = [(_WIDTH, 3 * _WIDTH), (_WIDTH, _WIDTH), (_WIDTH, 4 * _WIDTH), (4 * _WIDTH, _WIDTH)]
    # (tokens, input), weights, (tokens, output) of each product: qkv, projection, and the two of the MLP.
    large = [
        (full(_TOKENS, rows), full(rows, columns), full(_TOKENS, columns))
        for _ in range(_BLOCKS)
        for rows, columns in shapes
    ]
    small = (full(_SMALL, _SMALL), full(_SMALL, _SMALL), full(_SMALL, _SMALL))
    products = [*large, *[small] * _SMALL_COUNT]

    def work() -> None:
        for left, right, out in products:
            np.matmul(left, right, out=out)

    return work


@dataclass
class Probe:
    """Readings in milliseconds of this run, and of earlier ones on the machine (`file` keeps some of the last)."""

    file: Path | None = None
    read: Callable[[], float | None] = work_ms
    readings: list[float] = field(default_factory=list)
    earlier: list[list[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.file:
            self.earlier = _kept(self.file)

    @property
    def fastest_ms(self) -> float:
        """What the machine takes when nothing slows it down: the 5 % quantile of all readings."""
        return float(np.quantile([*itertools.chain(*self.earlier), *self.readings], _FASTEST_QUANTILE))

    def take(self) -> float | None:
        """A reading, in milliseconds; None where other programs leave none."""
        found = self.read()
        if found is not None:
            self.readings.append(found)
        return found

    def slowdown(self, *readings_ms: float) -> float:
        """How much longer than at its fastest the machine took at worst: 0.03 is 3 %."""
        return max(0.0, max(readings_ms) / self.fastest_ms - 1)

    def between_runs(self) -> Noise:
        """How far runs lie apart in the speed of the machine while it was not slowed down."""
        fastest = self.fastest_ms
        runs = [*self.earlier, self.readings]
        quiet = [[one for one in run if one <= fastest * (1 + TOLERABLE_SLOWDOWN)] for run in runs]
        return noise([[float(np.median(run)) for run in quiet if len(run) >= FEWEST_READINGS]])

    def keep(self) -> None:
        """Store the readings for later runs; what cannot be stored is only missed."""
        if not self.file:
            return
        runs = [*self.earlier, self.readings[-_KEPT_READINGS:]][-_KEPT_RUNS:]
        with contextlib.suppress(OSError):
            write_text(self.file, json.dumps(runs))


def wait(probe: Probe, patience_s: float, sleep: Callable[[float], None] = time.sleep) -> tuple[float | None, float]:
    """Wait until the machine is not slowed down or too busy to tell, or patience is over: the last reading and the
    seconds waited."""

    def held_up(reading: float | None) -> bool:
        return reading is None or probe.slowdown(reading) > TOLERABLE_SLOWDOWN

    waited, pause = 0.0, 0.5
    while held_up(reading := probe.take()) and waited < patience_s:
        sleep(min(pause, patience_s - waited))
        waited += min(pause, patience_s - waited)
        pause = min(2 * pause, 4.0)
    return reading, waited


def disturbed(slowdown: float, known: bool = True) -> str | None:
    """What a slow-down means for a visit, in a sentence; None where it is within what is usual. known: whether there
    was any reading."""
    if not known:
        return "how fast the machine itself was is not known: other programs left its speed probe no moment"
    if slowdown <= TOLERABLE_SLOWDOWN:
        return None
    return f"the machine itself was {slowdown:.0%} slower than at its best (speed probe)"


def _kept(file: Path) -> list[list[float]]:
    try:
        runs = typed.read(list[list[_Reading]], json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return []
    return [run for run in runs if run]
