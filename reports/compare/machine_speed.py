"""How the speed of the machine itself changed between two results, by the speed probe around each process."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from reports.compare.match import Pair
from runtimes.records.kinds import Record, TimedRecord

# Inference follows the probe about one to one; ten runs gave a slope of 1.2 (docs/measuring.md). So a part of what is
# taken out is uncertain.
_UNCERTAIN = 0.25
# The probe was tried between two states of a machine that it shows 17 % apart (docs/measuring.md). What it says of
# machines that are further apart than this, inference need not follow.
_TRIED = math.log(1.3)
# A smaller change is not worth a word.
_WORTH_SAYING = 0.01
_FEWEST_READINGS = 4


@dataclass(frozen=True)
class Shift:
    """log: log ratio of the probe's times, above 0: slower in NEW. error: the standard error of what inference takes
    longer for it."""

    log: float
    error: float

    def differs(self, other: Shift) -> bool:
        """Whether it is worth a word beside the other."""
        return abs(self.log - other.log) >= _WORTH_SAYING

    @property
    def too_large(self) -> bool:
        """Whether it is more than can be taken out of a change."""
        return abs(self.log) > _TRIED

    @property
    def note(self) -> str:
        """What to say of it, in a clause; empty where it is hardly any."""
        if abs(self.log) < _WORTH_SAYING:
            return ""
        way = "slower" if self.log > 0 else "faster"
        said = f"the machine itself was {abs(math.expm1(self.log)):.1%} {way} in NEW"
        if self.too_large:
            return f"{said}: beyond the {math.expm1(_TRIED):.0%} that the speed probe was tried for; no speed is judged"
        return f"{said}, which is taken out of the change"


# Where nothing tells, 1 % for each run is assumed; no measured figure.
UNKNOWN = Shift(0.0, math.sqrt(2) * 0.01)


def of(pairs: Sequence[Pair[Any]], otherwise: Shift = UNKNOWN) -> Shift:
    """By the readings around all processes of some cells on a CPU; `otherwise` where those are too few.

    A product on the processor's cores says nothing of the speed of another device or machine.
    """
    pairs = [pair for pair in pairs if all(_here(one) for _, one in pair.sides)]
    if not pairs:
        return UNKNOWN
    base = [reading for pair in pairs for reading in readings(pair.base)]
    new = [reading for pair in pairs for reading in readings(pair.new)]
    return shift(base, new) if min(len(base), len(new)) >= _FEWEST_READINGS else otherwise


def _here(record: Record) -> bool:
    return (record.device or "CPU") == "CPU" and not record.elsewhere


def mean(shifts: Sequence[Shift]) -> Shift:
    """Of cells of the same two runs, which met the same machine: their errors are not independent."""
    return Shift(statistics.mean(one.log for one in shifts), statistics.mean(one.error for one in shifts))


def readings(record: Record) -> list[float]:
    """The speed probe's readings (ms) around the processes that a record is made of."""
    processes = (record.processes or ()) if isinstance(record, TimedRecord) else ()
    return [reading for process in processes for reading in process.speed_ms or () if reading > 0]


def shift(base: Sequence[float], new: Sequence[float]) -> Shift:
    """By the probe's readings (ms) of two runs; `UNKNOWN` where they are too few."""
    if min(len(base), len(new)) < _FEWEST_READINGS:
        return UNKNOWN
    log = math.log(statistics.median(new) / statistics.median(base))
    return Shift(log, math.hypot(_error(base), _error(new), _UNCERTAIN * log))


def _error(readings: Sequence[float]) -> float:
    """Standard error of the logarithm of their median, by their scaled MAD: a median of normal readings varies by the
    root of pi/2 more than their mean."""
    spread = float(stats.median_abs_deviation(np.log(readings), scale="normal"))
    return math.sqrt(math.pi / 2 / len(readings)) * spread
