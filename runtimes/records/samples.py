"""Samples of a latency and what they say, as records of that kind have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from convert.common.typed import about
from runtimes.records.parts import Interval, IntervalMethod, Turn


@dataclass(frozen=True, kw_only=True)
class LatencySummary:
    """Samples and what they say (`statistics.summarize`), in milliseconds."""

    interval: IntervalMethod | None = None
    samples_ms: Annotated[tuple[float, ...], about("all processes, one after another")] = ()
    waited: Annotated[
        tuple[float, ...], about("time that the threads of each sample waited for a processor, over its time")
    ] = ()
    foreign: Annotated[
        tuple[float, ...], about("share of our cores' time that others computed during each sample, 0 to 1")
    ] = ()
    turns: Annotated[tuple[Turn, ...], about("of every visit, those that count for nothing else among them")] = ()
    count: int | None = None
    median_ms: Annotated[
        float | None, about("of the samples that nothing disturbed; of all where `undisturbed` is null or 0")
    ] = None
    undisturbed: Annotated[int | None, about("samples that the median is of; 0: none tells of a quiet machine")] = None
    rule: Annotated[int | None, about("by which the undisturbed samples were chosen (`runtimes/undisturbed.py`)")] = (
        None
    )
    seen_ms: Annotated[float | None, about("median of all samples: what users of the machine saw")] = None
    ci95_ms: Annotated[Interval | None, about("where another run would find the median")] = None
    run_ci95_ms: Annotated[Interval | None, about("of this run alone")] = None
    p90_ms: Annotated[float | None, about("null where the count does not carry it")] = None
    p95_ms: Annotated[float | None, about("likewise")] = None
    p99_ms: Annotated[float | None, about("likewise")] = None
    cv: Annotated[float | None, about("coefficient of variation inside a process, median over the processes")] = None
    outliers: int | None = None
