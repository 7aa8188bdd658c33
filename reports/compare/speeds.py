"""Latencies and throughputs of two results held against each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reports.compare import machine_speed, match
from reports.compare.change import SIGNIFICANCE, LogEstimate, change, mean, together
from reports.compare.compared import APART, FASTER, SAME, SLOWER, WORSE, Compared, not_measured
from reports.compare.figures import FIGURES, Noises, value
from reports.compare.machine_speed import Shift
from reports.compare.match import Pair
from reports.load.results import Results
from reports.tables.standing import runtime_name
from runtimes.records.kinds import Server, TimedRecord

# A wider interval (half of it) says nothing that one would call no change.
_WIDEST = 0.10


@dataclass(frozen=True)
class Speed:
    """A speed that can be judged. machine: how the machine's own speed changed."""

    cell: Compared
    base: LogEstimate
    new: LogEstimate
    more_is_better: bool
    machine: Shift
    pair: Pair[TimedRecord] | None = None


def compare(
    base: Results,
    new: Results,
    pairs: Sequence[Pair[TimedRecord]],
    figure_name: str,
    shift: Shift,
    smallest: float,
) -> list[Compared]:
    """Latencies or throughputs: all changes of a figure, and of groups of cells, are judged together."""
    figure = FIGURES[figure_name]
    noises = Noises(base.records, figure), Noises(new.records, figure)
    found: list[Compared | Speed] = []
    for pair in pairs:
        cell = Compared(pair.base.kind, pair.base.model, match.name(pair.base), figure_name, notes=pair.notes)
        if why := pair.apart or _without_speed(base, new, pair):
            verdict = WORSE if _broke(base, new, pair) else APART
            found.append(replace(cell, verdict=verdict, notes=(*cell.notes, why)))
            continue
        cell = replace(cell, base=value(pair.base, figure), new=value(pair.new, figure))
        if cell.base is None or cell.new is None:
            if figure_name not in ("median", "throughput"):
                found.append(replace(cell, notes=(*cell.notes, "too few samples for this percentile")))
            continue
        if disturbed := _disturbed(pair):
            found.append(replace(cell, notes=(*cell.notes, disturbed)))
            continue
        estimates = noises[0].estimate(pair.base), noises[1].estimate(pair.new)
        if estimates[0] is None or estimates[1] is None:
            found.append(replace(cell, notes=(*cell.notes, "nothing tells how far processes vary")))
            continue
        if estimates[0].assumed or estimates[1].assumed:
            note = "measured in one process: 2 % between processes is assumed"
            cell = replace(cell, notes=(*cell.notes, note))
        machine = machine_speed.of_cell(pair, shift)
        if machine.differs(shift):
            cell = replace(cell, notes=(*cell.notes, machine.note or "the machine itself did not change"))
        found.append(Speed(cell, estimates[0], estimates[1], figure.more_is_better, machine, pair))
    singles = [one for one in found if isinstance(one, Speed)]
    verdicts = _verdicts([*singles, *_groups(singles)], smallest)
    of_singles, of_groups = iter(verdicts[: len(singles)]), verdicts[len(singles) :]
    return [*of_groups, *(next(of_singles) if isinstance(one, Speed) else one for one in found)]


def _groups(singles: Sequence[Speed]) -> list[Speed]:
    """All cells of a model, and all of a runtime and precision, as one: a slow-down of all is seen before that of each.

    A group that is the same as another, or of one cell, is none.
    """
    members: dict[str, list[Speed]] = defaultdict(list)
    for one in singles:
        assert one.pair
        members[one.pair.base.model].append(one)
    for one in singles:
        assert one.pair
        members[runtime_name(one.pair.base)].append(one)
    groups, seen = [], set[frozenset[int]]()
    for name, cells in members.items():
        same = frozenset(map(id, cells))
        if len(cells) < 2 or same in seen:
            continue
        seen.add(same)
        machine = machine_speed.mean([one.machine for one in cells])
        models = {one.cell.model for one in cells}
        whole = Compared(
            "group", models.pop() if len(models) == 1 else "", f"{name}, all {len(cells)} cells", cells[0].cell.figure
        )
        estimates = mean([one.base for one in cells]), mean([one.new for one in cells])
        groups.append(Speed(whole, *estimates, cells[0].more_is_better, machine))
    return groups


def _verdicts(speeds: Sequence[Speed], smallest: float) -> list[Compared]:
    """Speeds judged together. The machine's own change of speed is no change of the cell."""
    changes = []
    for one in speeds:
        log = -one.machine.log if one.more_is_better else one.machine.log
        changes.append(change(one.base, one.new, smallest, (log, one.machine.error)))
    adjusted = together([found.p for found in changes])
    verdicts = []
    for one, found, p in zip(speeds, changes, adjusted, strict=True):
        cell = replace(one.cell, change=replace(found, p=p))
        slower = (found.amount > 0) != one.more_is_better
        if p <= SIGNIFICANCE:
            cell = replace(cell, verdict=SLOWER if slower else FASTER)
        elif found.half_width <= _WIDEST:
            cell = replace(cell, verdict=SAME)
        else:
            cell = replace(
                cell, notes=(*cell.notes, f"the interval is ±{found.half_width:.0%}: more processes are needed")
            )
        verdicts.append(cell)
    return verdicts


def _broke(base: Results, new: Results, pair: Pair[TimedRecord]) -> bool:
    """Whether a cell that had a speed to show has none any more: it does not run, or is not the same model."""
    if pair.apart or not pair.base.measured or not base.proven(pair.base):
        return False
    return not pair.new.measured or new.proven(pair.new) is False


def _without_speed(base: Results, new: Results, pair: Pair[TimedRecord]) -> str | None:
    """Why one of two has no speed to compare, in a clause."""
    if reason := not_measured(pair.base, pair.new):
        return reason
    for which, results, record in (("BASE", base, pair.base), ("NEW", new, pair.new)):
        if doubt := results.doubt(record):
            return f"{which}: unproven: {doubt}"
    return None


def _disturbed(pair: Pair[TimedRecord]) -> str:
    """What makes one of two speeds doubtful, in a clause; empty where nothing does. Such a number proves no change, as
    it is never called the fastest: the probe sees a part of what a busy machine does to a cell."""
    for which, record in (("BASE", pair.base), ("NEW", pair.new)):
        if record.disturbed:
            return f"{which}: disturbed: {record.disturbed}"
    return ""


def server(pair: Pair[Server]) -> Compared:
    """A rate of one process each: shown, not judged."""
    cell = Compared("server", pair.base.model, match.name(pair.base), "qps_max")
    cell = replace(cell, base=pair.base.qps_max, new=pair.new.qps_max)
    if why := pair.apart or not_measured(pair.base, pair.new):
        return replace(cell, verdict=APART, notes=(*pair.notes, why))
    return replace(cell, notes=(*pair.notes, "of one process each: nothing tells how far they vary"))
