"""Why a speed far beyond its machine's ceiling is none: such a measurement did not do the work.

What the ceiling is comes from an environment.json, read with care: any version may have written it, or a stranger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from convert.families.spec import is_number
from convert.precision.table import BF16, FP16, INT8
from runtimes import registry
from runtimes.records.kinds import CHOSEN, Choice, Latency, Record, Server, Throughput
from runtimes.records.parts import NOT_REPORTED, CountsInfo
from runtimes.system.environment import section

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


@dataclass(frozen=True)
class Ceilings:
    """What a machine, or one of its GPUs, could do at most.

    gflops: precision -> GFLOP/s of a large matrix product. unmeasured: precision -> why there is none. disturbed: what
    makes them doubtful, in a sentence.
    """

    gflops: Mapping[str, float] = field(default_factory=dict)
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    bandwidth_gb_s: float | None = None
    disturbed: str | None = None
    gpus: tuple[Ceilings, ...] = ()


def ceilings(environment: Mapping[str, Any]) -> Ceilings | None:
    """The ceilings of an environment's machine; None where they were not measured."""
    return _ceilings(environment["ceiling"]) if isinstance(environment.get("ceiling"), Mapping) else None


def _ceilings(found: Mapping[str, Any]) -> Ceilings:
    gpus, bandwidth, disturbed = (found.get(name) for name in ("gpus", "bandwidth_gb_s", "disturbed"))
    return Ceilings(
        {name: float(peak) for name, peak in section(found, "gflops").items() if _positive(peak)},
        {name: str(reason) for name, reason in section(found, "unmeasured").items() if reason},
        bandwidth if _positive(bandwidth) else None,
        str(disturbed) if disturbed else None,
        tuple(_ceilings(gpu) for gpu in gpus if isinstance(gpu, Mapping)) if isinstance(gpus, list) else (),
    )


def _positive(value: Any) -> bool:
    return is_number(value) and value > 0


def macs_run(macs: CountsInfo, cell: Record) -> int | None:
    """Multiply-accumulates for one image of what ran: the model's, or the graph's as it was written."""
    return macs.total if cell.runtime == registry.reference().name else macs.computed or macs.total


def images_per_s(cell: Record) -> float:
    """Images per second of a latency, of a throughput, of the highest rate that a server completed, and of the one that
    a choice is of; 0 where there is no such number."""
    if isinstance(cell, Server):
        rates = [cell.qps_max, cell.capacity_qps, *(point.qps for point in cell.points or ())]
        return max((rate for rate in rates if rate), default=0.0)
    if isinstance(cell, Choice):
        chosen = next((one for one in cell.contenders if one.outcome == CHOSEN), None)
        return _rate(chosen.images_per_s, chosen.median_ms, chosen.batch) if chosen else 0.0
    if isinstance(cell, Latency):
        return _rate(None, cell.median_ms, cell.batch)
    return (cell.images_per_s or 0.0) if isinstance(cell, Throughput) else 0.0


def _rate(rate: float | None, median_ms: float | None, batch: int | None) -> float:
    return rate or (1e3 * (batch or 1) / median_ms if median_ms else 0.0)


def too_fast(environment: Mapping[str, Any], cell: Record) -> str | None:
    """Why the speed of a cell cannot be true, in a sentence: it is further beyond the ceiling than is believed.

    None where it is not, and where that is not known: of a model whose work was not counted, of a device or a precision
    without a ceiling, or with a doubtful one.
    """
    macs = (cell.model_info and cell.model_info.macs) or CountsInfo()
    work = 2e-9 * (macs_run(macs, cell) or 0) * images_per_s(cell)
    found = place(environment, cell)
    if not work or found is None or found.disturbed:
        return None
    peak, precision = _highest(found, cell)
    believed = MARGIN * (1 if macs.published and macs.total and macs.total > macs.published else WINOGRAD)
    if not peak or work <= believed * peak:
        return None
    return (
        f"faster than the machine can be: {work:,.0f} GFLOP/s are {work / peak:,.1f} times its ceiling in {precision} "
        f"({peak:,.0f} GFLOP/s), and at most {believed:.2g} times are believed"
    )


def place(environment: Mapping[str, Any], cell: Record) -> Ceilings | None:
    """The ceilings of the device that a cell ran on; None where they are not known."""
    effective, found = cell.effective, ceilings(environment)
    if found is None or not reported(cell):
        return None
    if ((effective and effective.device) or cell.device or "CPU") == "CPU":
        return found
    return replace(found.gpus[0], disturbed=found.disturbed) if len(found.gpus) == 1 else None


def reported(cell: Record) -> bool:
    """Whether it is told what a cell ran on; a server does not tell."""
    return not cell.effective or NOT_REPORTED not in (cell.effective.precision, cell.effective.device)


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
