"""What of its machine's ceiling a cell reaches, and why a speed far beyond it is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from convert.precision.table import BF16, FP16, INT8
from reports.language import say, stored
from reports.load.machines import Ceilings, ceilings
from runtimes import registry
from runtimes.records.kinds import Latency, Record, Throughput
from runtimes.records.parts import NOT_REPORTED, CountsInfo

# How many times its ceiling a cell is believed. A ceiling is the best that one library reached on at most three
# occasions, and each of them may have met the machine at its worst: a virtual one was seen 1.8 times as slow as at its
# best by the speed probe. On top of that comes a third for libraries that multiply better than OpenVINO does. What was
# not measured to its end exceeds it by tens and hundreds.
MARGIN = 2.5
# Convolutions of 3 x 3 may multiply less than is counted: by Winograd's algorithm F(6x6, 3x3), as MNN and ncnn have it,
# 64 times for 36 results of 9 products each. Only in a model with attention are they known to be a small part.
WINOGRAD = 36 * 9 / 64
# Of a GPU the int8 product is one that need not take its tensor cores; where it does, that is twice as fast as fp16.
_INT8_OVER_HALF = 2


def macs_run(macs: CountsInfo, cell: Record) -> int | None:
    """Multiply-accumulates for one image of what ran: the model's, or the graph's as it was written."""
    return macs.total if cell.runtime == registry.reference().name else macs.computed or macs.total


def images_per_s(cell: Record) -> float:
    """Images per second of a latency or a throughput; 0 where there is no such number."""
    if isinstance(cell, Latency) and cell.median_ms:
        return 1e3 * (cell.batch or 1) / cell.median_ms
    return (cell.images_per_s or 0.0) if isinstance(cell, Throughput) else 0.0


def ceiling(environment: Mapping[str, Any], cell: Record) -> tuple[float | None, str | None]:
    """GFLOP/s of a large matrix product in the precision and on the device that a cell ran in.

    Beside it a sentence where there is something to say: why there is none, or why it may be too low.
    """
    place, why = _place(environment, cell)
    if place is None:
        return None, why
    precision = (cell.effective and cell.effective.precision) or cell.precision
    if precision in place.gflops:
        doubt = stored(place.disturbed or "")
        return place.gflops[precision], say("the ceiling is doubtful: {reason}", reason=doubt) if doubt else None
    reason = stored(place.unmeasured.get(precision) or "") or say("no reason recorded")
    return None, say("no ceiling in {precision}: {reason}", precision=precision, reason=reason)


def too_fast(environment: Mapping[str, Any], cell: Record) -> str | None:
    """Why the speed of a cell cannot be true, in a sentence: it is further beyond the ceiling than is believed.

    None where it is not, and where that is not known: of a model whose work was not counted, of a device or a precision
    without a ceiling, or with a doubtful one.
    """
    macs = (cell.model_info and cell.model_info.macs) or CountsInfo()
    work = 2e-9 * (macs_run(macs, cell) or 0) * images_per_s(cell)
    place, _ = _place(environment, cell)
    if not work or place is None or place.disturbed:
        return None
    peak, precision = _highest(place, cell)
    believed = MARGIN * (1 if macs.published and macs.total and macs.total > macs.published else WINOGRAD)
    if not peak or work <= believed * peak:
        return None
    return (
        f"faster than the machine can be: {work:,.0f} GFLOP/s are {work / peak:,.1f} times its ceiling in {precision} "
        f"({peak:,.0f} GFLOP/s), and at most {believed:.2g} times are believed"
    )


def _place(environment: Mapping[str, Any], cell: Record) -> tuple[Ceilings | None, str]:
    """The ceilings of the device that a cell ran on; beside None a sentence that says why."""
    effective, found = cell.effective, ceilings(environment)
    if effective and NOT_REPORTED in (effective.precision, effective.device):
        return None, say("there is no ceiling of the device that it ran on")
    if found is None:
        return None, say("the machine's ceiling was not measured")
    if ((effective and effective.device) or cell.device or "CPU") == "CPU":
        return found, ""
    if len(found.gpus) != 1:
        return None, say("there is no ceiling of the device that it ran on")
    return replace(found.gpus[0], disturbed=found.disturbed), ""


def _highest(place: Ceilings, cell: Record) -> tuple[float, str]:
    """The highest ceiling of all precisions that some of a cell ran in, and that precision; 0 where one has none.

    Where nobody read back what ran, it may have been any.
    """
    effective = cell.effective
    ran = {effective.precision} if effective and effective.precision else set(place.gflops)
    ran |= set((effective and effective.arithmetic and effective.arithmetic.shares) or ())
    peaks = [(_peak(place, one), one) for one in sorted(map(str, ran))]
    return (0.0, "") if not peaks or min(peaks)[0] == 0 else max(peaks)


def _peak(place: Ceilings, precision: str) -> float:
    known = place.gflops.get(precision, 0.0)
    halves = [place.gflops.get(one, 0.0) for one in (FP16, BF16)]
    return max(known, _INT8_OVER_HALF * max(halves)) if precision == INT8 and known else known
