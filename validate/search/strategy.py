"""Which recipe to try next: how much is smoothed, and which operators stay FP32. Only names and verdicts: nothing here
knows a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

Kept = tuple[str, ...]


class OutOfEvaluationsError(Exception):
    """The budget is used up."""


class Recipe(NamedTuple):
    """How int8 is made. smooth: strength of the smoothing, 0 for none. kept: operators in FP32."""

    smooth: float
    kept: Kept


@dataclass(frozen=True)
class Strength:
    """What there is to try of one strength of the smoothing.

    candidates: the operators, the one that int8 costs most first. start: how many of them are kept at first; most: how
    many at most.
    """

    smooth: float
    candidates: Sequence[str]
    start: int
    most: int

    def leading(self, count: int) -> Recipe:
        """With so many of the leading candidates in FP32."""
        return Recipe(self.smooth, tuple(self.candidates[:count]))


@dataclass
class Judge:
    """Asks for the verdict on each recipe once. best: of those that held the one with the fewest in FP32; of several,
    the first that was tried."""

    holds: Callable[[Recipe], bool]
    evaluations: int
    verdicts: dict[Recipe, bool] = field(default_factory=dict)

    def __call__(self, recipe: Recipe) -> bool:
        if recipe not in self.verdicts:
            if len(self.verdicts) >= self.evaluations:
                raise OutOfEvaluationsError
            self.verdicts[recipe] = self.holds(recipe)
        return self.verdicts[recipe]

    @property
    def best(self) -> Recipe | None:
        return min((one for one, held in self.verdicts.items() if held), key=lambda one: len(one.kept), default=None)


def search(fields: Sequence[Strength], judge: Judge) -> Recipe | None:
    """The recipe with the fewest operators in FP32 that was found to hold; None when none held.

    fields: of each strength of the smoothing, the one that is preferred first. The first that holds as it is made
    unasked is looked into first, or else the first of all; another one only for fewer operators than the best has.

    In each, first the number of leading candidates that is needed, in steps that double and then by halves; then each
    of them alone is lowered, since a measure of noise is only a guess at what matters. Ends early, with the best found
    so far, when the judge's budget is used up.
    """
    try:
        first = next((one for one in fields if judge(one.leading(min(one.start, one.most)))), fields[0])
        for one in (first, *(other for other in fields if other is not first)):
            best = judge.best if one is not first else None
            most = min(one.most, len(best.kept) - 1) if best else one.most
            needed = _leading(one, most, judge) if most >= 0 else None
            if needed is not None:
                _without(one.leading(needed), judge)
    except OutOfEvaluationsError:
        pass
    return judge.best


def _leading(found: Strength, most: int, judge: Judge) -> int | None:
    """The least number of leading candidates that holds; None when not even `most` do."""
    low, high, step = -1, min(found.start, most), 1  # low does not hold
    while not judge(found.leading(high)):
        if high == most:
            return None
        low, high, step = high, min(high + step, most), step * 2
    while high - low > 1:
        middle = (low + high) // 2
        if judge(found.leading(middle)):
            high = middle
        else:
            low = middle
    return high


def _without(recipe: Recipe, judge: Judge) -> None:
    """Lower each operator but the last, which is known to be needed; the least suspicious first."""
    for name in reversed(recipe.kept[:-1]):
        fewer = recipe._replace(kept=tuple(other for other in recipe.kept if other != name))
        if judge(fewer):
            recipe = fewer
