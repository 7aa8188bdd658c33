"""When a change is one: the statistics of two measured figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from runtimes.statistics import BEYOND_PROBE_CV, Noise, moderated, noise

SIGNIFICANCE = 0.05
# Between processes that do the same, where nothing tells it. Measured of ViTs on two cores (docs/comparing.md).
ASSUMED_BETWEEN_CV = 0.02
# Of a logarithm. Figures that agree to the last digit were read from too coarse a clock to be known any better.
_SMALLEST_ERROR = 1e-5


@dataclass(frozen=True)
class Change:
    """How a figure changed. amount: 0.05 is 5 % more, or 5 percentage points more of a fraction; of a speed, beyond
    what the machine changed by. low, high: its 95 % interval. p: of no change that is worth reporting."""

    amount: float
    low: float
    high: float
    p: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class LogEstimate:
    """What is known of a figure's logarithm: its value, its standard error and that error's degrees of freedom.

    assumed: the variation between processes was not measured; `ASSUMED_BETWEEN_CV` stands for it.
    """

    log: float
    error: float
    dof: float
    assumed: bool = False


def estimate(figure: float, processes: Sequence[float], others: Noise) -> LogEstimate | None:
    """A figure by the variation between its processes, steadied by that of the run's other cells (as its stored
    interval is). None where neither tells anything."""
    known = moderated(noise([processes]), others)
    if not known.dof or not processes:
        return None
    error = known.between_cv / math.sqrt(len(processes))
    return LogEstimate(math.log(figure), max(error, _SMALLEST_ERROR), known.dof)


def of_one_process(figure: float, interval: Sequence[float] | None) -> LogEstimate | None:
    """A figure of which only the 95 % interval (a bootstrap) inside one process is known; None without one."""
    if not interval or not 0 < interval[0] <= interval[1]:
        return None
    inside = math.log(interval[1] / interval[0]) / (2 * float(stats.norm.ppf(0.975)))
    return LogEstimate(math.log(figure), math.hypot(inside, ASSUMED_BETWEEN_CV), math.inf, assumed=True)


def mean(estimates: Sequence[LogEstimate]) -> LogEstimate:
    """The mean of several logarithms, their errors taken as independent (degrees of freedom after Satterthwaite)."""
    log = sum(one.log for one in estimates) / len(estimates)
    error, dof = _combined([(one.error / len(estimates), one.dof) for one in estimates])
    return LogEstimate(log, error, dof, any(one.assumed for one in estimates))


def change(
    base: LogEstimate,
    new: LogEstimate,
    smallest: float = 0.0,
    machine: tuple[float, float] = (0.0, 0.0),
    runs_cv: float = BEYOND_PROBE_CV,
) -> Change:
    """Welch's t interval of a ratio, on logarithms, and p of a change of at most `smallest` (0.01: by 1 %).

    machine: log ratio that is the machine's doing, which is taken out, and its standard error. runs_cv: standard
    deviation of what the cells of a run share beyond it. The test is that of an interval hypothesis: p is the larger of
    those at its two ends, one-sided, and doubled, since a change may go both ways.
    """
    log = new.log - base.log - machine[0]
    shared = math.hypot(math.sqrt(2) * runs_cv, machine[1])
    error, dof = _combined([(base.error, base.dof), (new.error, new.dof), (shared, math.inf)])
    half = float(stats.t.ppf(0.975, dof)) * error
    beyond = abs(log) - math.log1p(smallest)
    p = min(1.0, 2 * float(stats.t.sf(beyond / error, dof)))
    return Change(math.expm1(log), math.expm1(log - half), math.expm1(log + half), p)


def paired(only_base: int, only_new: int, images: int, p: float) -> Change:
    """Of a fraction of the same images. only_base, only_new: images that are right in one of the two alone.

    p: McNemar's. The interval is Wald's for a difference of paired proportions (Fleiss, Levin, Paik 2003, chapter 13).
    """
    amount = (only_new - only_base) / images
    variance = (only_base + only_new) / images**2 - amount**2 / images
    half = float(stats.norm.ppf(0.975)) * math.sqrt(max(0.0, variance))
    return Change(amount, amount - half, amount + half, p)


def together(p: Sequence[float]) -> list[float]:
    """p adjusted for their number (Hochberg 1988, "A sharper Bonferroni procedure for multiple tests of significance"):
    where nothing changed, at most one comparison in twenty shows any change.

    It holds for figures that depend on each other as those of a run do, which share what the run differs in (Sarkar
    1998, "Some probability inequalities for ordered MTP2 random variables").
    """
    order = np.argsort(p, kind="stable")[::-1]
    adjusted, least = [0.0] * len(p), 1.0
    for rank, index in enumerate(order, start=1):
        least = min(least, rank * p[index])
        adjusted[index] = least
    return adjusted


def _combined(errors: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Standard error of a sum and its degrees of freedom (Welch 1947, Satterthwaite 1946)."""
    variances = [error**2 for error, _ in errors]
    total = sum(variances)
    parts = sum(variance**2 / dof for variance, (_, dof) in zip(variances, errors, strict=True))
    return math.sqrt(total), total**2 / parts if parts else math.inf
