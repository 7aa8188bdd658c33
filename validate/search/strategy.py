"""Which operators to try in FP32 next. Only names and verdicts: nothing here knows a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

Kept = tuple[str, ...]


class OutOfEvaluationsError(Exception):
    """The budget is used up."""


@dataclass
class Judge:
    """Asks for the verdict on each set of FP32 operators once. best: the smallest that held."""

    holds: Callable[[Kept], bool]
    evaluations: int
    verdicts: dict[Kept, bool] = field(default_factory=dict)

    def __call__(self, kept: Kept) -> bool:
        if kept not in self.verdicts:
            if len(self.verdicts) >= self.evaluations:
                raise OutOfEvaluationsError
            self.verdicts[kept] = self.holds(kept)
        return self.verdicts[kept]

    @property
    def best(self) -> Kept | None:
        return min((kept for kept, held in self.verdicts.items() if held), key=len, default=None)


def search(candidates: Sequence[str], start: int, most: int, judge: Judge) -> Kept | None:
    """The smallest set of operators to keep in FP32 that was found to hold; None when none held.

    candidates: the operators, the one that int8 costs most first. start: how many of them are kept at first; most: how
    many at most. First the number of leading candidates that is needed, in steps that double and then by halves; then
    each of them alone is lowered, since a measure of noise is only a guess at what matters. Ends early, with the best
    found so far, when the judge's budget is used up.
    """
    try:
        needed = _leading(candidates, start, most, judge)
        if needed is not None:
            _without(tuple(candidates[:needed]), judge)
    except OutOfEvaluationsError:
        pass
    return judge.best


def _leading(candidates: Sequence[str], start: int, most: int, judge: Judge) -> int | None:
    """The least number of leading candidates that holds; None when not even `most` do."""
    low, high, step = -1, min(start, most), 1  # low does not hold
    while not judge(tuple(candidates[:high])):
        if high == most:
            return None
        low, high, step = high, min(high + step, most), step * 2
    while high - low > 1:
        middle = (low + high) // 2
        if judge(tuple(candidates[:middle])):
            high = middle
        else:
            low = middle
    return high


def _without(kept: Kept, judge: Judge) -> None:
    """Lower each operator but the last, which is known to be needed; the least suspicious first."""
    for name in reversed(kept[:-1]):
        fewer = tuple(other for other in kept if other != name)
        if judge(fewer):
            kept = fewer
