"""How fast the machine is right now: a small matrix product before and after each visit.

A virtual machine shares cores, caches and clock with neighbours whom its own counters do not show: load, steal and
foreign processes look the same while everything takes a fifth longer. A fixed piece of work shows it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

# 3 x 2.4 MB: more than a core's own cache, so that a neighbour in the shared one is felt as well.
_SIZE = 768
_SECONDS = 0.06
_KEPT = 300
# The fastest readings are outliers too; a twentieth of them may be.
_FASTEST_QUANTILE = 0.05
# On the machine where this was made the slow state takes 20 % longer and readings of one state differ by 2 %.
TOLERABLE_SLOWDOWN = 0.08


def matmul_ms(seconds: float = _SECONDS) -> float:
    """Median time in milliseconds of a 768 x 768 FP32 matrix product by NumPy on all its threads."""
    matrix = np.full((_SIZE, _SIZE), 0.5, dtype=np.float32)
    product = np.empty_like(matrix)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        np.matmul(matrix, matrix, out=product)
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times))


@dataclass
class Probe:
    """Readings in milliseconds of this run, and of earlier ones on the machine (`file` keeps the last few hundred)."""

    file: Path | None = None
    read: Callable[[], float] = matmul_ms
    readings: list[float] = field(default_factory=list)
    earlier: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.file:
            self.earlier = _kept(self.file)

    @property
    def fastest_ms(self) -> float:
        """What the machine takes when nothing slows it down: the 5 % quantile of all readings."""
        return float(np.quantile([*self.earlier, *self.readings], _FASTEST_QUANTILE))

    def take(self) -> float:
        """A reading, in milliseconds."""
        self.readings.append(self.read())
        return self.readings[-1]

    def slowdown(self, *readings_ms: float) -> float:
        """How much longer than at its fastest the machine took at worst: 0.03 is 3 %."""
        return max(0.0, max(readings_ms) / self.fastest_ms - 1)

    def keep(self) -> None:
        """Store the readings for later runs; what cannot be stored is only missed."""
        if not self.file:
            return
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.file.with_suffix(".part")
            temporary.write_text(json.dumps([*self.earlier, *self.readings][-_KEPT:]), encoding="utf-8")
            temporary.replace(self.file)
        except OSError:
            pass


def wait(probe: Probe, patience_s: float, sleep: Callable[[float], None] = time.sleep) -> tuple[float, float]:
    """Wait until the machine is not slowed down, or patience is over: the last reading and the seconds waited."""
    waited, pause = 0.0, 0.5
    while probe.slowdown(reading := probe.take()) > TOLERABLE_SLOWDOWN and waited < patience_s:
        sleep(min(pause, patience_s - waited))
        waited += min(pause, patience_s - waited)
        pause = min(2 * pause, 4.0)
    return reading, waited


def disturbed(slowdown: float) -> str | None:
    """What a slow-down means for a visit, in a sentence; None where it is within what is usual."""
    if slowdown <= TOLERABLE_SLOWDOWN:
        return None
    return f"the machine itself was {slowdown:.0%} slower than at its best (speed probe)"


def _kept(file: Path) -> list[float]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    sound: Sequence[float] = values if isinstance(values, list) else []
    return [float(value) for value in sound if isinstance(value, (int, float)) and value > 0]
