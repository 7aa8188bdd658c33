"""Who is in the race: a runtime in a precision with so many threads, what is known of it, and why it fell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from convert.precision.table import FP32
from runtimes.records.kinds import Accuracy, TimedRecord
from validate.choice import figures
from validate.choice.budget import COST, MEMORY, Constraint, Limits
from validate.choice.figures import Estimate

# The steps, cheapest first. A candidate's is the last that it came to.
MADE, LOOK, PART, ACCURACY, FINAL = "made", "look", "part of the images", "accuracy", "final"
STEPS = (MADE, LOOK, PART, ACCURACY, FINAL)


@dataclass
class Runner:
    """A candidate.

    place: of the runtime in the registry's order. smooth: of int8 the strength of its smoothing; later: where it stands
    among those that are tried, 0 for the one that is preferred. look, final: its measurements. group: of those that
    were measured together with the final one. holds: whether its top-1 does; None where it is not known. top1: what is
    said of it. step, fell: where it is out, and why; None where it is not. beaten: by whom, while that one stands.
    """

    runtime: str
    precision: str
    threads: int
    place: int = 0
    smooth: float | None = None
    later: int = 0
    look: TimedRecord | None = None
    final: TimedRecord | None = None
    group: int = 0
    accuracy: Accuracy | None = None
    holds: bool | None = None
    top1: str = ""
    step: str = MADE
    fell: str | None = None
    beaten: str | None = None

    def __post_init__(self) -> None:
        if self.precision == FP32 and self.holds is None:
            self.holds, self.top1 = True, "by parity"

    @property
    def name(self) -> str:
        return f"{kind(self.runtime, self.precision, self.smooth)}, {self.threads} thread{'s' * (self.threads > 1)}"

    @property
    def record(self) -> TimedRecord | None:
        """The best measurement of it."""
        return self.final if self.final and self.final.measured else self.look

    @property
    def pace(self) -> float:
        """Milliseconds; infinite where nothing was measured."""
        return figures.pace(self.record) if self.record else math.inf

    @property
    def simplicity(self) -> tuple[bool, int, int, int]:
        """The less, the simpler: FP32 before a lowered precision, fewer threads, the int8 that is preferred, the
        registry's order."""
        return self.precision != FP32, self.threads, self.later, self.place

    def fall(self, step: str, reason: str) -> None:
        """It is out at a step, for a reason."""
        self.step, self.fell = step, reason


def kind(runtime: str, precision: str, smooth: float | None) -> str:
    """`ort-cpu int8 not smoothed`. smooth: as a Runner has it."""
    name = f"{runtime} {precision}"
    if smooth is None:
        return name
    return f"{name} smoothed at {smooth:g}" if smooth else f"{name} not smoothed"


def standing(runners: Sequence[Runner]) -> list[Runner]:
    """Those that are not out, the fastest first."""
    return sorted((one for one in runners if one.fell is None), key=lambda one: one.pace)


def miss(
    runner: Runner, record: TimedRecord, budget: Limits, misses: Callable[[Estimate, Constraint], bool]
) -> list[str]:
    """What of a budget a record misses, each in a clause. misses: by which end it is held."""
    found = []
    for constraint in budget.timed:
        reading = figures.read(record, constraint)
        if reading is None:
            found.append(f"{constraint.text}: it was not measured")
        elif misses(reading, constraint):
            found.append(f"{constraint.text}: {said(reading, constraint)}")
    return found


def said(reading: Estimate, constraint: Constraint) -> str:
    """`52.3 ms, a new measurement up to 58.1 ms`."""
    if reading.why:
        return f"{shown(reading.value, constraint)}, and {reading.why} (more --minutes, or a lower percentile)"
    end, word = (reading.high, "up to") if constraint.most else (reading.low, "down to")
    return f"{shown(reading.value, constraint)}, a new measurement {word} {shown(end, constraint)}"


def shown(value: float, constraint: Constraint) -> str:
    """A figure with its unit."""
    if constraint.figure == MEMORY:
        return f"{value / 1e6:.0f} MB"
    if constraint.figure == COST:
        return f"{value:.4g} euros per million images"
    return f"{value:.3g} ms" if constraint.most else f"{value:.4g} images/s"
