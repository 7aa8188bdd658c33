"""The race: who is looked at, judged and measured next, who falls, and who wins. Nothing here measures.

Cheap steps come first, and an expensive one is only for those that may still win. Being slower is no disgrace that
stays: who was beaten comes back when the one that was faster falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from convert.common.errors import listing
from runtimes.pairs import PairRatio
from validate.choice import figures
from validate.choice.budget import Limits
from validate.choice.runner import ACCURACY, FINAL, LOOK, PART, Runner, miss, standing


class Steps(Protocol):
    """What costs time. Each fills in what it finds of the runners. limited: what the time limit cost, in sentences."""

    limited: list[str]

    def look(self, runners: Sequence[Runner]) -> None:
        """Fill in `look`."""

    def judge(self, runner: Runner) -> None:
        """Fill in `holds` and `top1`, of all that share its accuracy, or make them fall."""

    def measure(self, finalists: Sequence[Runner], group: int) -> None:
        """Fill in `final`, measured together."""

    def out_of_time(self) -> bool:
        """Whether nothing expensive should begin any more."""

    def over(self) -> bool:
        """Whether no time is left at all."""


@dataclass(frozen=True)
class Decision:
    """chosen: None where nothing meets the budget. verdict: in a sentence. tied: those that may be as fast.

    nearest: where nothing does, the one that misses least.
    """

    chosen: Runner | None
    verdict: str
    tied: tuple[Runner, ...] = ()
    nearest: Runner | None = None


def run(runners: Sequence[Runner], budget: Limits, steps: Steps) -> Decision:
    """Run the race to its end. runners: those that are out already are left alone."""
    steps.look(standing(runners))
    for one in standing(runners):
        _after(one, LOOK, budget)
    group = 0
    while True:
        racing = _racing(runners)
        unjudged = _next_to_judge(racing)
        if unjudged and steps.out_of_time():
            unjudged.fall(ACCURACY, "its accuracy was not judged: no time was left")
            steps.limited.append(f"{unjudged.name} was not judged (--minutes)")
        elif unjudged:
            steps.judge(unjudged)
            assert unjudged.holds is not None or unjudged.fell, unjudged.name
        elif not racing:
            return _nothing(runners, budget)
        elif len({one.group for one in racing}) == 1 and racing[0].group:
            return _decide(racing, runners)
        elif group and steps.over():
            _leave_out(racing, steps)
        else:
            group += 1
            steps.measure(racing, group)
            for one in racing:
                one.group = group
                _after(one, FINAL, budget)


def _next_to_judge(racing: Sequence[Runner]) -> Runner | None:
    """The fastest whose accuracy is not known; of its int8 with several smoothings, which are about as fast, the one
    that is preferred."""
    fastest = next((one for one in racing if one.holds is None), None)
    if fastest is None:
        return None
    kind = fastest.runtime, fastest.precision, fastest.threads
    alike = [one for one in racing if one.holds is None and (one.runtime, one.precision, one.threads) == kind]
    return min(alike, key=lambda one: one.later)


def _leave_out(racing: Sequence[Runner], steps: Steps) -> None:
    """Let those fall that would have to be measured beside the last ones that were: another final has no time."""
    last = max(one.group for one in racing)
    for one in racing:
        if one.group != last or not last:
            one.fall(FINAL, "it was not measured in the end: no time was left")
            steps.limited.append(f"{one.name} was not measured in the end (--minutes)")


def _after(runner: Runner, step: str, budget: Limits) -> None:
    """Let a runner fall by what a measurement says of it."""
    runner.step = step
    record = runner.look if step == LOOK else runner.final
    if record is None or not record.measured:
        runner.fall(step, (record and record.reason) or "it was not measured")
        return
    early = step == LOOK
    missed = miss(
        runner, record, budget, figures.clearly_misses if early else lambda *both: not figures.surely_keeps(*both)
    )
    if missed:
        busy = f" (the machine was busy: {record.disturbed})" if record.disturbed else ""
        runner.fall(step, f"misses {'; '.join(missed)}{busy}")


def _racing(runners: Sequence[Runner]) -> list[Runner]:
    """Those that may still win, the fastest first: nobody who is qualified is faster for sure.

    Only the fastest who is qualified beats others: who may yet miss the budget is no reason to forget the next one,
    which comes back when that one falls.
    """
    left = standing(runners)
    lead = next((one for one in left if one.holds), None)
    racing = []
    for one in left:
        one.beaten = None
        if lead and one is not lead and lead.look and one.look:
            together = one.group == lead.group and one.group > 0
            found = None if together else figures.clearly_slower(one.look, lead.look)
            if found:
                one.beaten = beside(found, lead.name)
                continue
        racing.append(one)
    return racing


def _decide(finalists: Sequence[Runner], runners: Sequence[Runner]) -> Decision:
    order = sorted(finalists, key=lambda one: one.pace)
    best = next((one for one in order if not _faster_than(one, order)), order[0])
    others = [one for one in order if one is not best]
    found = {one.name: _ratio(one, best) for one in others}
    open_ = [one for one in others if found[one.name].sign <= 0]
    if open_:
        tied = (best, *open_)
        chosen = min(tied, key=lambda one: one.simplicity)
        told = listing([f"{one.name} ({_its_time(found[one.name])})" for one in open_], 3)
        why = _why(chosen, tied)
        return Decision(chosen, f"{best.name} cannot be told from {told}: {chosen.name} is preferred, {why}", tied)
    if others:
        middle, low, high = _percent(found[others[0].name])
        return Decision(best, f"{best.name} beats {others[0].name} by {middle:.0f} % ({low:.0f} to {high:.0f})")
    beaten = next((one for one in standing(runners) if one is not best and one.beaten), None)
    rest = f"; of the others {beaten.name} came next, and {beaten.beaten}" if beaten else ""
    return Decision(best, f"{best.name} is the only one left that meets the budget{rest}")


def _faster_than(one: Runner, finalists: Sequence[Runner]) -> list[Runner]:
    """Those that are faster than one for sure, by turns side by side: medians of whole runs may say otherwise."""
    return [other for other in finalists if other is not one and _ratio(other, one).sign < 0]


def _ratio(one: Runner, best: Runner) -> PairRatio:
    assert one.final
    assert best.final
    found = figures.slower(one.final, best.final)
    assert found, "who has no number fell"
    return found


def _percent(ratio: PairRatio) -> tuple[float, float, float]:
    """By how many percent it takes longer, and the ends of the interval."""
    low, high = ratio.interval
    return 100 * (ratio.value - 1), 100 * (low - 1), 100 * (high - 1)


def beside(ratio: PairRatio, other: str) -> str:
    """What a time over that of another says, in a clause: which is faster and by how much, or that it is open."""
    if not ratio.sign:
        return f"it cannot be told from {other} ({_its_time(ratio)})"
    if ratio.sign > 0:
        middle, low, high = _percent(ratio)
        return f"{other} is {middle:.0f} % faster ({low:.0f} to {high:.0f})"
    low, high = ratio.interval
    middle, low, high = _percent(PairRatio(1 / ratio.value, (1 / high, 1 / low), ratio.turns))
    return f"it is {middle:.0f} % faster than {other} ({low:.0f} to {high:.0f})"


def _its_time(ratio: PairRatio) -> str:
    middle, low, high = _percent(ratio)
    return f"its time: {middle:+.0f} %, {low:+.0f} to {high:+.0f}"


def _why(chosen: Runner, tied: Sequence[Runner]) -> str:
    """What decides against the fastest, or where the fastest is chosen, against the next simple one."""
    others = [one for one in tied if one is not chosen]
    rival = others[0] if chosen is not tied[0] else min(others, key=lambda one: one.simplicity)
    lowered, threads, later, _ = (mine != its for mine, its in zip(chosen.simplicity, rival.simplicity, strict=True))
    if lowered:
        return "since it is FP32"
    if threads:
        return "since it takes fewer threads"
    return "since its smoothing is the one that was preferred" if later else "the first in the order of runtimes"


def _nothing(runners: Sequence[Runner], budget: Limits) -> Decision:
    """The nearest, and what it misses. Who was not measured is no neighbour of anything."""
    near = [one for one in runners if one.record and one.record.measured]
    if not near:
        why = "; ".join(f"{one.name}: {one.fell}" for one in runners)
        return Decision(None, f"nothing could be measured: {why}")
    nearest = min(near, key=lambda one: (distance(one, budget), one.pace))
    unknown = any(
        (one.holds is None and one.step in (PART, ACCURACY)) or (one.step == FINAL and not one.final) for one in runners
    )
    none = "nothing is known to meet" if unknown else "nothing meets"
    return Decision(None, f"{none} the budget; the nearest is {nearest.name}: {nearest.fell}", nearest=nearest)


def distance(runner: Runner, budget: Limits) -> float:
    """By what part of its limits a runner misses a budget, all parts together. Of top-1 it is what is missing to the
    part of Paddle's that is asked for; one whose accuracy is not known counts as if all of it were missing."""
    total, record = 0.0, runner.record
    for constraint in budget.timed:
        reading = figures.read(record, constraint) if record else None
        total += figures.excess(reading, constraint) if reading else 1.0
    if runner.holds is None:
        total += 1.0
    elif runner.holds is False and runner.accuracy:
        found = runner.accuracy
        reference = found.reference_top1 or 1.0
        total += max(0.0, (found.keep or 1.0) - (found.top1 or 0.0) / reference)
    return total
