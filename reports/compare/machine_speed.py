"""How the speed of the machine itself changed between two results, by the speed probe around each process."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from reports.compare.match import Pair
from reports.results import is_number
from runtimes.bench.store import Record

# Medians of the probe in two runs differ by so much although the machine did not change.
_NOISE = 0.02
_FEWEST_READINGS = 4


def of_all(pairs: Sequence[Pair]) -> float:
    """Log ratio of the readings around all processes, 0 within the probe's noise; above 0: slower in NEW."""
    base = [reading for pair in pairs for reading in _readings(pair.base)]
    new = [reading for pair in pairs for reading in _readings(pair.new)]
    return _shift(base, new) or 0.0


def of_cell(pair: Pair, otherwise: float) -> float:
    """Like `of_all`, around the processes of one cell; `otherwise` where those are too few."""
    shift = _shift(_readings(pair.base), _readings(pair.new))
    return otherwise if shift is None else shift


def note(shift: float) -> list[str]:
    """What to say of it; nothing where it did not change."""
    if not shift:
        return []
    way = "slower" if shift > 0 else "faster"
    amount = abs(math.expm1(shift))
    return [
        f"The machine itself was {amount:.0%} {way} in NEW (speed probe); a change that this explains is not judged."
    ]


def _readings(record: Record) -> list[float]:
    """The speed probe's readings (ms) around the processes that a record is made of."""
    processes = record.get("processes") or ()
    lists = [process.get("probe_ms") for process in processes]
    found = [reading for readings in lists if isinstance(readings, list) for reading in readings]
    return [float(reading) for reading in found if is_number(reading) and reading > 0]


def _shift(base: Sequence[float], new: Sequence[float]) -> float | None:
    if min(len(base), len(new)) < _FEWEST_READINGS:
        return None
    shift = math.log(statistics.median(new) / statistics.median(base))
    return shift if abs(shift) > _NOISE else 0.0
