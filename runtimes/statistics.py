"""Statistics of raw samples, and nothing that the samples do not carry."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats

from runtimes.records.parts import Interval, IntervalMethod
from runtimes.records.samples import LatencySummary
from runtimes.system.contention import Contention
from runtimes.undisturbed import RULE, undisturbed

PERCENTILES = (90, 95, 99)
CONFIDENCE = 0.95

# A cell's own processes are few; what the run's other cells say of the variation between processes counts for at most
# so many degrees of freedom, so that a cell which varies more than its neighbours is not talked down by them.
_BORROWED_DOF = 4
# Between runs, in the speed of the machine, where no earlier run tells: what it was where this was made (a virtual
# machine, docs/measuring.md). It counts for as many degrees of freedom as other cells do.
ASSUMED_RUNS_CV = 0.02
# Between processes that do the same, where no other cell of the run tells: 1 to 2 % was measured there.
ASSUMED_PROCESSES = 0.02
# Between runs, beyond what the speed probe shows of the machine: measured there too.
BEYOND_PROBE_CV = 0.007
_OUTLIER_MADS = 3.0
_RESAMPLES = 1000

Processes = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Noise:
    """How far medians (or rates) of processes that do the same lie apart.

    between_cv: standard deviation of their logarithms. dof: its degrees of freedom; 0 where nothing is known.
    """

    between_cv: float = 0.0
    dof: int = 0

    def half_width(self, processes: int) -> float:
        """Of the 95 % interval of a mean logarithm over so many processes (Student's t); infinite without knowledge."""
        if not self.dof or processes < 1:
            return math.inf
        quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, self.dof))
        return quantile * self.between_cv / math.sqrt(processes)


def carries(count: int, percentile: float) -> bool:
    """Whether `count` samples carry a percentile with 99 % confidence.

    MLPerf's early-stopping rule with one sample beyond it allowed: the chance that at most one of `count` samples lies
    above the true percentile must be at most 1 %. It gives 64 samples for p90 and 662 for p99 (MLPerf inference rules,
    "Early stopping").
    """
    return bool(stats.binom.cdf(1, count, 1 - percentile / 100) <= 0.01)


def noise(cells: Iterable[Sequence[float]]) -> Noise:
    """The variation between processes, pooled over cells; each is given by one figure per process (a median, a rate).

    One-way analysis of variance on logarithms: drift that strikes a cell's processes differently is contained in it.
    """
    squares, dof = 0.0, 0
    for values in cells:
        if len(values) > 1:
            logarithms = np.log(np.asarray(values, dtype=np.float64))
            squares += float(((logarithms - logarithms.mean()) ** 2).sum())
            dof += len(values) - 1
    return Noise(math.sqrt(squares / dof), dof) if dof else Noise()


def moderated(own: Noise, others: Noise) -> Noise:
    """A cell's own variation, steadied by that of the run's other cells.

    Their variances are averaged by degrees of freedom, of which the others bring at most four (the moderated variance
    of Smyth 2004, "Linear models and empirical Bayes methods", section 4, with the prior's weight capped).
    """
    borrowed = min(others.dof, _BORROWED_DOF)
    dof = own.dof + borrowed
    if not dof:
        return Noise()
    variance = (own.dof * own.between_cv**2 + borrowed * others.between_cv**2) / dof
    return Noise(math.sqrt(variance), dof)


def interval(value: float, processes: Sequence[float], others: Noise) -> tuple[Interval | None, IntervalMethod]:
    """The 95 % interval of a figure by the variation between its processes, and how it was made.

    processes: the figure of each. others: the variation among the run's other cells. None below two processes where no
    other cell tells either.
    """
    used = moderated(noise([processes]), others)
    how = IntervalMethod(method="Student's t over processes, log scale", **asdict(used), processes=len(processes))
    half = used.half_width(len(processes))
    return (None if math.isinf(half) else (value * math.exp(-half), value * math.exp(half))), how


def across_runs(value: float, own: Interval | None, runs: Noise) -> Interval | None:
    """A run's own 95 % interval, widened to where the figure of another run is to be expected; None without one.

    runs: how far earlier runs lie apart in the speed of the machine. The half width that this and `BEYOND_PROBE_CV`
    give is added in quadrature on each side, on logarithms (Zou and Donner 2008, "Construction of confidence limits
    about effect measures: a general approach", Statistics in Medicine 27).
    """
    if not own:
        return None
    machine = moderated(runs, Noise(ASSUMED_RUNS_CV, _BORROWED_DOF)).half_width(1)
    beyond = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * BEYOND_PROBE_CV
    below, above = (math.hypot(math.log(value / end), machine, beyond) for end in own)
    return value * math.exp(-below), value * math.exp(above)


def bootstrap_median(samples: Sequence[float]) -> Interval | None:
    """The percentile bootstrap interval (95 %) of the median; None below six samples, which carry none.

    Six: the chance that all samples lie on one side of the median is then 2 / 2^6, below 5 %.
    """
    if len(samples) < 6:
        return None
    found = stats.bootstrap(
        (np.asarray(samples, dtype=np.float64),),
        np.median,
        n_resamples=_RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def summarize(
    processes: Processes, others: Noise = Noise(), runs: Noise = Noise(), met: Sequence[Sequence[Contention]] = ()
) -> LatencySummary:
    """What samples in milliseconds say, given process by process; ValueError where there are none.

    others: the variation between processes in other cells; runs: between runs. met: what each sample met, in the shape
    of `processes`; empty where nothing is known of it. The median is that of a quiet machine where the samples tell it
    (`undisturbed`), else of all samples. ci95_ms: where another run would find it (`across_runs`). run_ci95_ms: of this
    run alone; the wider one of two, over processes (`interval`) and the bootstrap of the samples. A percentile is the
    nearest rank of all samples, so one that was measured. cv: coefficient of variation inside a process, the median
    over processes. outliers: samples further than three scaled MADs from the median of their process.
    """
    arrays = [np.asarray(samples, dtype=np.float64) for samples in processes if len(samples)]
    if not arrays:
        raise ValueError("no samples")
    samples = np.concatenate(arrays)
    all_met = tuple(itertools.chain.from_iterable(met))
    whole = undisturbed(samples.tolist(), all_met)
    each = [undisturbed(one, part) for one, part in zip(processes, met or [()] * len(processes), strict=True)]
    used = whole.used if whole else tuple(range(len(samples)))
    median = whole.ms if whole else float(np.median(samples))
    figures = [one.ms for one in each if one] if whole else [float(np.median(one)) for one in arrays]
    between, how = interval(median, figures or [median], others)
    inside = bootstrap_median(samples[list(used)].tolist())
    if between is None:
        how = IntervalMethod(method="bootstrap of the samples of one process", dof=0, processes=1)
    own = widest(between, inside)
    p90, p95, p99 = (
        float(np.percentile(samples, p, method="inverted_cdf")) if carries(len(samples), p) else None
        for p in PERCENTILES
    )
    return LatencySummary(
        samples_ms=tuple(sample for one in processes for sample in one),
        waited=tuple(one.waited for one in all_met),
        foreign=tuple(one.foreign for one in all_met),
        count=len(samples),
        median_ms=median,
        undisturbed=None if not all_met else len(used) if whole else 0,
        rule=RULE if all_met else None,
        seen_ms=float(np.median(samples)),
        ci95_ms=across_runs(median, own, runs),
        run_ci95_ms=own,
        interval=how,
        p90_ms=p90,
        p95_ms=p95,
        p99_ms=p99,
        cv=float(np.median([np.std(one) / np.mean(one) for one in arrays])),
        outliers=sum(map(_outliers, arrays)),
    )


def widest(*intervals: Interval | None) -> Interval | None:
    """From the lowest end of some intervals to the highest; None where there is none."""
    known = [one for one in intervals if one]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None


def _outliers(samples: np.ndarray) -> int:
    spread = float(stats.median_abs_deviation(samples, scale="normal"))
    return int((np.abs(samples - np.median(samples)) > _OUTLIER_MADS * spread).sum()) if spread > 0 else 0


def relative_half_width(value: float, low_high: Sequence[float] | None) -> float:
    """Half the width of an interval over the value; infinite where there is no interval."""
    return (low_high[1] - low_high[0]) / 2 / value if low_high else math.inf
