"""What of its machine's ceiling a cell reaches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.language import say, stored
from reports.load import machines
from runtimes.bench.ceiling import believed
from runtimes.records.kinds import Record


def impossible(environments: Mapping[str, Mapping[str, Any]], record: Record) -> str | None:
    """Why the machine of a record cannot be as fast as it says; None where it can, or that is not known.

    environments: of `Results`.
    """
    return believed.too_fast(environments.get(record.machine or machines.UNKNOWN, {}), record)


def ceiling(environment: Mapping[str, Any], cell: Record) -> tuple[float | None, str | None]:
    """GFLOP/s of a large matrix product in the precision and on the device that a cell ran in.

    Beside it a sentence where there is something to say: why there is none, or why it may be too low.
    """
    place = believed.place(environment, cell)
    if place is None:
        if believed.reported(cell) and believed.ceilings(environment) is None:
            return None, say("the machine's ceiling was not measured")
        return None, say("there is no ceiling of the device that it ran on")
    precision = (cell.effective and cell.effective.precision) or cell.precision
    if precision in place.gflops:
        doubt = stored(place.disturbed or "")
        return place.gflops[precision], say("the ceiling is doubtful: {reason}", reason=doubt) if doubt else None
    reason = stored(place.unmeasured.get(precision) or "") or say("no reason recorded")
    return None, say("no ceiling in {precision}: {reason}", precision=precision, reason=reason)
