"""What became of each image, and the statistics on it.

Outcomes are a string with one letter per image in the list's order, so that a record can hold them and two runtimes can
be compared in pairs, also when one of them ran earlier: `1` the label came first, `5` it was among the first five, `0`
it was not, `x` the logits were not all finite, `-` the image could not be read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

FIRST, AMONG_FIVE, WRONG, NOT_FINITE, UNREADABLE = "150x-"

# MLPerf's bar for a lowered precision: 99 % of the reference's top-1, in whole percent to be compared exactly.
REQUIRED_PERCENT = 99


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
    def top1(self) -> float | None:
        """Fraction of the images whose label came first; None without images."""
        return self.right / self.images if self.images else None

    @property
    def top5(self) -> float | None:
        """Fraction of the images whose label was among the first five; None without images."""
        return (self.right + self.outcomes.count(AMONG_FIVE)) / self.images if self.images else None


def judge(logits: np.ndarray, labels: np.ndarray) -> str:
    """The outcomes of one batch.

    logits: (batch, classes) of any float type; labels: (batch,) whole numbers below classes. Equal logits rank by
    index, the lower first. ValueError when the shapes do not fit each other.
    """
    if logits.ndim != 2 or len(logits) != len(labels):
        raise ValueError(f"the logits are of shape {logits.shape} for a batch of {len(labels)}")
    if len(labels) and labels.max() >= logits.shape[1]:
        raise ValueError(f"the logits have {logits.shape[1]} classes, too few for label {labels.max()}")
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    rank = (logits > own).sum(axis=1) + ((logits == own) & earlier).sum(axis=1)
    letters = np.where(rank < 1, FIRST, np.where(rank < 5, AMONG_FIVE, WRONG))
    return "".join(np.where(np.isfinite(logits).all(axis=1), letters, NOT_FINITE))


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


def holds(one: Predictions, reference: Predictions) -> bool:
    """Whether top-1 reaches 99 % of the reference's, compared in whole numbers: no rounding at the border."""
    return 100 * one.right * reference.images >= REQUIRED_PERCENT * reference.right * one.images
