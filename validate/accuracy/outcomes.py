"""What became of each image, and the statistics on it.

Outcomes are a string with one letter per image in the list's order, so that a record can hold them and two runtimes can
be compared in pairs, also when one of them ran earlier: `1` the label came first, `5` it was among the first five, `0`
it was not, `x` the logits were not all finite, `-` the image could not be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from scipy.stats import binomtest

FIRST, AMONG_FIVE, WRONG, NOT_FINITE, UNREADABLE = "150x-"


@dataclass(frozen=True)
class Predictions:
    """The outcomes of one runtime over one labelled set, and what is counted in them."""

    outcomes: str

    @property
    def images(self) -> int:
        """Images that were read: the denominator of every fraction."""
        return len(self.outcomes) - self.unreadable

    @property
    def unreadable(self) -> int:
        return self.outcomes.count(UNREADABLE)

    @property
    def nonfinite(self) -> int:
        """Images whose logits held a NaN or an infinity. They count as wrong."""
        return self.outcomes.count(NOT_FINITE)

    @property
    def right(self) -> int:
        """Images whose label came first."""
        return self.outcomes.count(FIRST)

    @property
    def among_five(self) -> int:
        """Images whose label was among the first five, those whose label came first with them."""
        return self.right + self.outcomes.count(AMONG_FIVE)

    @property
    def top1(self) -> float | None:
        """Fraction of the images whose label came first; None without images."""
        return self.right / self.images if self.images else None

    @property
    def top5(self) -> float | None:
        """Fraction of the images whose label was among the first five; None without images."""
        return self.among_five / self.images if self.images else None


def wilson(right: int, images: int) -> tuple[float, float]:
    """95 % confidence interval of a fraction: Wilson's score interval without continuity correction."""
    interval = binomtest(right, images).proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(one: Predictions, other: Predictions) -> float:
    """p of McNemar's exact test on top-1, two-sided: do the two differ on the images that both read?

    Only the images on which one is right and the other wrong count: their split is tested against a fair coin's. 1.0
    when there are none. ValueError when the two are not about equally many images.
    """
    pairs = [pair for pair in zip(one.outcomes, other.outcomes, strict=True) if UNREADABLE not in pair]
    only_one = sum(a == FIRST != b for a, b in pairs)
    only_other = sum(b == FIRST != a for a, b in pairs)
    if only_one + only_other == 0:
        return 1.0
    return float(binomtest(only_one, only_one + only_other, 0.5).pvalue)


def holds(one: Predictions, top1: Fraction, keep: Fraction) -> bool:
    """Whether top-1 reaches the part `keep` of another one, in exact numbers: no rounding at the border."""
    return one.right >= keep * top1 * one.images
