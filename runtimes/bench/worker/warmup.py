"""When a warm-up is over: when times have stopped moving, and not after a fixed count."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise

WINDOW_S = 0.25
_FEWEST = 2
_TOLERANCE = 0.02
# Of windows with fewer samples than these their noise is not known, and is taken to be larger.
_KNOWN = 5
_TOLERANCE_OF_FEW = 0.05
# Two medians of a window differ by chance: this many standard errors of their difference are none.
_ERRORS = 2.0
_MAD_TO_SIGMA = 1.4826
# A sample at the front that is so far off, relative to the others, belongs to what came before.
_OFF = 0.1
_SIGMAS_OFF = 3.0


class WarmUp:
    """Decides, sample by sample, when a warm-up is over: when times are steady (`begins`), or after `max_s` seconds.

    settled: whether they were steady by then.
    """

    def __init__(self, max_s: float) -> None:
        self.max_s, self.settled, self._looked_s = max_s, False, 0.0

    def length(self, samples_ms: Sequence[float], elapsed_s: float) -> int | None:
        """How many of the samples so far are warm-up; None while it goes on. elapsed_s: since before the first one.

        Looking takes time too, so it is done every quarter of a window.
        """
        if elapsed_s - self._looked_s < WINDOW_S / 4:
            return None
        self._looked_s = elapsed_s
        found = begins(samples_ms)
        self.settled = found is not None
        return len(samples_ms) if found is None and elapsed_s >= self.max_s else found


def begins(samples_ms: Sequence[float]) -> int | None:
    """The index of the first sample that belongs to steady times, None while they are not steady.

    Two windows side by side at the end, each of at least two samples and a quarter of a second, have to agree: their
    medians within 2 %, or within what their noise explains (within 5 % where they hold fewer than five). Samples that
    all go one way, by more than 2 % in all, do not agree: that is a ramp, and chance makes one of four samples in one
    case of twelve. A drift slower than this, or one that hides in the noise, is not found here.

    The samples of these windows, which proved it, are kept, but for those at the front that a median overlooks: while
    they are further than 10 % and three scaled MADs of the second window from its median. What counts is that times no
    longer move, in either direction: a warm-up need not end in the fastest state, nor come to an end at all (Barrett et
    al. 2017, "Virtual machine warmup blows hot and cold", OOPSLA).
    """
    second = _window(samples_ms, len(samples_ms))
    first = _window(samples_ms, second) if second is not None else None
    if first is None or second is None:
        return None
    early, late = samples_ms[first:second], samples_ms[second:]
    one, other = statistics.median(early), statistics.median(late)
    few = min(len(early), len(late)) < _KNOWN
    tolerance = _TOLERANCE_OF_FEW if few else _TOLERANCE
    allowed = max(tolerance * min(one, other), 0.0 if few else _ERRORS * _error(early, late))
    if abs(one - other) > allowed or _ramp(samples_ms[first:]):
        return None
    off = max(_OFF * other, _SIGMAS_OFF * _sigma(late))
    return next((at for at in range(first, second) if abs(samples_ms[at] - other) <= off), second)


def _window(samples_ms: Sequence[float], end: int) -> int | None:
    """Where a window that ends before `end` begins."""
    total = 0.0
    for start in range(end - 1, -1, -1):
        total += samples_ms[start]
        if end - start >= _FEWEST and total >= 1e3 * WINDOW_S:
            return start
    return None


def _ramp(samples: Sequence[float]) -> bool:
    falling = all(one > other for one, other in pairwise(samples))
    rising = all(one < other for one, other in pairwise(samples))
    return (falling or rising) and abs(samples[0] - samples[-1]) > _TOLERANCE * min(samples[0], samples[-1])


def _error(early: Sequence[float], late: Sequence[float]) -> float:
    """Standard error of the difference of two medians, from the spread within the windows."""
    # The variance of a median is pi / 2 times that of a mean.
    return math.sqrt(sum(1.57 * _sigma(window) ** 2 / len(window) for window in (early, late)))


def _sigma(window: Sequence[float]) -> float:
    """Standard deviation by the median absolute deviation, which a few wild samples do not move."""
    middle = statistics.median(window)
    return _MAD_TO_SIGMA * statistics.median(abs(sample - middle) for sample in window)
