"""Energy of a cell, from those of its visits in which the hardware's counter told of nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from runtimes.bench.schedule.outcome import VisitOutcome
from runtimes.records.energy import Energy
from runtimes.system import disturbance
from runtimes.system import speed_probe as probe

# Of all windows together. Their edges are off by about 1 ms each (`worker/energy.py`).
LEAST_S = 1.0
# Of what the cell itself computed: the counter is of all programs.
_TOLERABLE_OTHERS = 0.1


def of(visits: Sequence[VisitOutcome]) -> Energy | None:
    """Energy for an image over the visits that nobody disturbed, or why there is none; None where none counts it."""
    known = [(visit, windows) for visit in visits if (windows := visit.measured.energy)]
    if not known:
        return None
    reasons = [windows.reason or _disturbed(visit) for visit, windows in known]
    counted = [windows for (_, windows), reason in zip(known, reasons, strict=True) if not reason]
    source, seconds = known[0][1].source, sum(one.seconds for one in counted)
    if not counted:
        return Energy(source=source, reason="; ".join(dict.fromkeys(filter(None, reasons))))
    if seconds < LEAST_S:
        return Energy(source=source, reason=f"energy needs {LEAST_S:g} s of measuring, and there were {seconds:.2g} s")
    joules, each = sum(one.joules for one in counted), [one.joules / one.images for one in counted]
    return Energy(
        joules_per_image=joules / sum(one.images for one in counted),
        range_joules=(min(each), max(each)) if len(each) > 1 else None,
        watts=joules / seconds,
        seconds=seconds,
        source=source,
    )


def _disturbed(visit: VisitOutcome) -> str | None:
    """Why the counter told of more than the cell, or of a slower machine, in a sentence; None where it did not."""
    found = visit.measured.disturbance
    reasons = [probe.disturbed(visit.slowdown), disturbance.disturbed(found)]
    if not found.gpu:
        if not found.own_load or found.foreign_load is None:
            reasons.append("what other programs computed meanwhile is not known, and the energy counter is of all")
        elif found.foreign_load > _TOLERABLE_OTHERS * found.own_load and not reasons[1]:
            share = found.foreign_load / found.own_load
            reasons.append(f"others computed {share:.0%} of what the cell did, and the energy counter is of all")
    return "; ".join(filter(None, reasons)) or None
