"""Latencies and throughputs of two results held against each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reports.compare import machine_speed
from reports.compare.change import SIGNIFICANCE, LogEstimate, change, mean, together
from reports.compare.compared import APART, FASTER, SAME, SLOWER, WORSE, Compared, not_measured, of_pair, of_sides
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
    """A speed that can be judged. machine: how the machine's own speed changed. runtime: its name and precision."""

    cell: Compared
    base: LogEstimate
    new: LogEstimate
    machine: Shift
    runtime: str = ""


@dataclass(frozen=True)
class Speeds:
    """What latencies or throughputs of two results are judged by. shift: how the speed of the machine changed."""

    base: Results
    new: Results
    figure: str
    shift: Shift

    def compare(self, pairs: Sequence[Pair[TimedRecord]], smallest: float) -> list[Compared]:
        """All changes of the figure, and of groups of cells, are judged together."""
        noises = [Noises(results.records, FIGURES[self.figure]) for results in (self.base, self.new)]
        found = [one for pair in pairs if (one := self._cell(pair, noises))]
        singles = [one for one in found if isinstance(one, Speed)]
        verdicts = _verdicts([*singles, *_groups(singles)], smallest)
        of_singles, of_groups = iter(verdicts[: len(singles)]), verdicts[len(singles) :]
        return [*of_groups, *(next(of_singles) if isinstance(one, Speed) else one for one in found)]

    def _cell(self, pair: Pair[TimedRecord], noises: Sequence[Noises]) -> Compared | Speed | None:
        """What can be judged, or why it cannot; None where a record that need not have the figure lacks it."""
        cell = of_pair(pair, self.figure)
        if why := pair.apart or self._without_speed(pair):
            absent = not pair.apart and not pair.base.measured
            return cell.noted(why, verdict=WORSE if self._broke(pair) else APART, absent=absent)
        cell = replace(cell, base=value(pair.base, FIGURES[self.figure]), new=value(pair.new, FIGURES[self.figure]))
        if cell.base is None or cell.new is None:
            of_samples = self.figure not in ("median", "throughput")
            return cell.noted("too few samples for this percentile") if of_samples else None
        # Such a number proves no change, as it is never called the fastest: the probe sees a part of what a busy
        # machine does to a cell.
        said = ((side, one.disturbed and f"disturbed: {one.disturbed}") for side, one in pair.sides)
        if disturbed := of_sides(said):
            return cell.noted(disturbed)
        base, new = noises[0].estimate(pair.base), noises[1].estimate(pair.new)
        if base is None or new is None:
            return cell.noted("nothing tells how far processes vary")
        if base.assumed or new.assumed:
            cell = cell.noted("measured in one process: 2 % between processes is assumed")
        machine = machine_speed.of([pair], self.shift)
        if machine.too_large:
            return cell.noted(machine.note)
        if machine.differs(self.shift):
            cell = cell.noted(machine.note or "the machine itself did not change")
        return Speed(cell, base, new, machine, runtime_name(pair.base))

    def _broke(self, pair: Pair[TimedRecord]) -> bool:
        """Whether a cell that had a speed to show has none any more: it does not run, or is not the same model."""
        if pair.apart or not pair.base.measured or not self.base.proven(pair.base):
            return False
        return not pair.new.measured or self.new.proven(pair.new) is False

    def _without_speed(self, pair: Pair[TimedRecord]) -> str | None:
        """Why one of two has no speed to compare, or neither has, in a clause."""
        both = zip((self.base, self.new), pair.sides, strict=True)
        doubts = ((which, (doubt := of.doubt(record)) and f"unproven: {doubt}") for of, (which, record) in both)
        return not_measured(pair) or of_sides(doubts)


def _groups(singles: Sequence[Speed]) -> list[Speed]:
    """All cells of a model, and all of a runtime and precision, as one: a slow-down of all is seen before that of each.

    A group that is the same as another, or of one cell, is none.
    """
    members: dict[str, list[Speed]] = defaultdict(list)
    for name, one in [*((one.cell.model, one) for one in singles), *((one.runtime, one) for one in singles)]:
        members[name].append(one)
    groups, seen = [], set[frozenset[int]]()
    for name, cells in members.items():
        same = frozenset(map(id, cells))
        if len(cells) < 2 or same in seen:
            continue
        seen.add(same)
        models = {one.cell.model for one in cells}
        model = models.pop() if len(models) == 1 else ""
        whole = Compared("group", model, f"{name}, all {len(cells)} cells", cells[0].cell.figure)
        base, new = mean([one.base for one in cells]), mean([one.new for one in cells])
        groups.append(Speed(whole, base, new, machine_speed.mean([one.machine for one in cells])))
    return groups


def _verdicts(speeds: Sequence[Speed], smallest: float) -> list[Compared]:
    """Speeds judged together. The machine's own change of speed is no change of the cell."""
    rates = [FIGURES[one.cell.figure].more_is_better for one in speeds]
    changes = [
        change(one.base, one.new, smallest, (-one.machine.log if rate else one.machine.log, one.machine.error))
        for one, rate in zip(speeds, rates, strict=True)
    ]
    adjusted = together([found.p for found in changes])
    verdicts = []
    for one, found, p, rate in zip(speeds, changes, adjusted, rates, strict=True):
        cell = replace(one.cell, change=replace(found, p=p))
        if p <= SIGNIFICANCE:
            cell = replace(cell, verdict=SLOWER if (found.amount > 0) != rate else FASTER)
        elif found.half_width <= _WIDEST:
            cell = replace(cell, verdict=SAME)
        else:
            cell = cell.noted(f"the interval is ±{found.half_width:.0%}: more processes are needed")
        verdicts.append(cell)
    return verdicts


def server(pair: Pair[Server]) -> Compared:
    """A rate of one process each: shown, not judged."""
    cell = of_pair(pair, "qps_max", pair.base.qps_max, pair.new.qps_max)
    if why := pair.apart or not_measured(pair):
        return cell.noted(why, verdict=APART)
    return cell.noted("of one process each: nothing tells how far they vary")
