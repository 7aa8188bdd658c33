"""What the machine could do at most: the ceiling that environment.json holds beside the records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reports.language import say
from reports.load.results import Results, is_number
from runtimes.records.store import Record


def ceiling(results: Results, cell: Record) -> tuple[float | None, str | None]:
    """GFLOP/s of a large matrix product in the precision and on the device that a cell ran in.

    Beside it a sentence where there is something to say: why there is none, or why it may be too low.
    """
    effective = cell["effective"] or {}
    precision = effective.get("precision") or cell["precision"]
    found = results.environments.get(cell["machine"], {}).get("ceiling")
    if not isinstance(found, Mapping):
        return None, say("the machine's ceiling was not measured")
    place: Mapping[str, Any] = found
    if (effective.get("device") or cell.get("device") or "CPU") != "CPU":
        gpus = [gpu for gpu in found.get("gpus") or [] if isinstance(gpu, Mapping)]
        if len(gpus) != 1:
            return None, say("there is no ceiling of the device that it ran on")
        place = gpus[0]
    value = _of(place, "gflops", precision)
    if is_number(value) and value > 0:
        doubt = found.get("disturbed")
        return float(value), say("the ceiling is doubtful: {reason}", reason=doubt) if doubt else None
    reason = _of(place, "unmeasured", precision) or say("no reason recorded")
    return None, say("no ceiling in {precision}: {reason}", precision=precision, reason=reason)


def _of(place: Mapping[str, Any], table: str, name: str) -> Any:
    found = place.get(table)
    return found.get(name) if isinstance(found, Mapping) else None
