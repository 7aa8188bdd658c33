"""What came of a race: its record, and the ladder for people."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from convert.common.console import plain
from convert.precision.table import FP32, INT8
from runtimes.records import blank
from runtimes.records.contender import Contender, euros_per_million
from runtimes.records.kinds import CHOSEN, Choice, Latency, Throughput
from validate.choice import deliver, figures
from validate.choice.budget import COST, THROUGHPUT, Limits
from validate.choice.candidates import Candidates
from validate.choice.race import Decision
from validate.choice.runner import ACCURACY, PART, STEPS, Runner, kind, said

SENTENCES = ("outcome", "top-1")  # columns that may be narrow


def record(
    decision: Decision, candidates: Candidates, budget: Limits, objective: str, command: str, limited: Sequence[str]
) -> Choice:
    """The record of a choice; where nothing was measured it is of the first candidate."""
    subject = decision.chosen or decision.nearest or candidates.runners[0]
    cell, measured = candidates.cell(subject), subject.record
    verdict = "; ".join(filter(None, (decision.verdict, cost(subject, budget))))
    return blank.start(
        Choice,
        cell.artifact,
        cell.runtime,
        cell.options,
        command=command,
        status="ok" if decision.chosen else "failed",
        reason=None if decision.chosen else verdict,
        effective=measured.effective if measured else None,
        objective=objective,
        budget=budget.texts,
        price_per_hour=budget.price,
        smooth=subject.smooth,
        threads=subject.threads,
        batch=measured.batch if measured else None,
        verdict=verdict,
        proof=proof(subject, budget),
        contenders=tuple(_contender(one, decision) for one in ladder(candidates.runners, decision)),
        left_out=candidates.out,
        unset=deliver.unset(decision.chosen, cell) if decision.chosen else (),
        limited=tuple(limited),
    )


def cost(runner: Runner, budget: Limits) -> str:
    """What a million of its images cost, in a clause; empty without a price, and where nothing was measured."""
    found = figures.cost(runner.record, budget.price) if runner.record else None
    if not found:
        return ""
    return (
        f"at {budget.price:g} euros per hour a million images cost {found.value:.4g} euros"
        f" ({found.low:.4g} to {found.high:.4g})"
    )


def proof(runner: Runner, budget: Limits) -> tuple[str, ...]:
    """What is known of each part of the budget."""
    record = runner.record
    # What a measurement that counts says against itself: that it is unstable, and by what.
    found = [record.reason] if record and record.measured and record.reason else []
    for constraint in budget.timed:
        reading = figures.read(record, constraint) if record else None
        if reading:
            found.append(f"{constraint.text}: {said(reading, constraint)}")
    return (*found, f"{budget.top1.text}: top-1 {runner.top1 or 'not judged'}")


def ladder(runners: Sequence[Runner], decision: Decision) -> list[Runner]:
    """Everyone, the chosen first, then who came furthest and was fastest."""
    return sorted(
        runners, key=lambda one: (one is not decision.chosen, bool(one.fell), -STEPS.index(one.step), one.pace)
    )


def outcome(runner: Runner, decision: Decision) -> str:
    """What became of one, in a clause."""
    if runner is decision.chosen:
        return CHOSEN
    if runner in decision.tied:
        return "may be as fast, and is less simple"
    return runner.fell or (f"beaten: {runner.beaten}" if runner.beaten else "slower")


def _contender(runner: Runner, decision: Decision) -> Contender:
    found = runner.record
    return Contender(
        runtime=runner.runtime,
        precision=runner.precision,
        smooth=runner.smooth,
        threads=runner.threads,
        batch=found.batch if found else None,
        streams=found.streams if found else None,
        step=runner.step,
        outcome=outcome(runner, decision),
        median_ms=found.median_ms if isinstance(found, Latency) else None,
        images_per_s=found.images_per_s if isinstance(found, Throughput) else None,
        peak_memory_bytes=found.peak_memory_bytes if found else None,
        top1=runner.top1,
    )


def table(choice: Choice) -> Table:
    """The ladder, a row each."""
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    rate, price = choice.objective in (THROUGHPUT, COST), choice.price_per_hour
    speeds = ("images/s", "euros/million") if price else ("images/s",) if rate else ("median",)
    for name in ("runtime", "threads", *speeds, "memory", "top-1", "came to", "outcome"):
        shown.add_column(plain(name), overflow="fold")
    for one in choice.contenders:
        speed = one.images_per_s if rate else one.median_ms
        figure = "-" if speed is None else f"{speed:.1f}" if rate else f"{speed:.2f} ms"
        costs = [f"{euros_per_million(speed, price):.4g}" if speed else "-"] if price else []
        memory = "-" if one.peak_memory_bytes is None else f"{one.peak_memory_bytes / 1e6:.0f} MB"
        name = kind(one.runtime, one.precision, one.smooth)
        entries = (name, one.threads, figure, *costs, memory, one.top1 or "not judged", one.step, one.outcome)
        shown.add_row(*map(plain, entries))
    return shown


def advice(decision: Decision, runners: Sequence[Runner]) -> str:
    """What may be worth a try: int8 that lost too much and is faster than the choice, or without one than every FP32;
    empty where there is none."""
    paces = [decision.chosen.pace] if decision.chosen else [one.pace for one in runners if one.precision == FP32]
    best = min(filter(math.isfinite, paces), default=0.0)
    lost = [one for one in runners if one.precision == INT8 and one.holds is False and one.step in (PART, ACCURACY)]
    held = {one.runtime for one in runners if one.precision == INT8 and one.holds}  # with another smoothing
    fast = [one for one in lost if one.pace < best and one.runtime not in held]
    if not fast:
        return ""
    names = ", ".join(dict.fromkeys(one.runtime for one in fast))
    return (
        f"int8 on {names} is faster and loses too much: `vitbench search` with the same images keeps operators in FP32"
        " until it does not; then the same command again"
    )
