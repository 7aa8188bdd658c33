"""A choice as a function, which the command and `import vitbench` call: the race, its record, what it leaves behind."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from convert import cli
from convert.common.console import say
from convert.common.errors import InputError
from convert.datasets.options import SetOptions
from convert.precision.table import BF16, FP16, FP32, INT8
from runtimes.records import blank, store
from runtimes.records.kinds import Choice
from runtimes.system import environment
from validate.choice import deliver, race, told
from validate.choice.budget import LATENCY, OBJECTIVES, parse
from validate.choice.candidates import Candidates, Question, gather
from validate.choice.race import Decision
from validate.choice.steps import RealSteps

# Where nobody says others.
PRECISIONS = (FP32, FP16, BF16, INT8)
MINUTES = 30.0


@dataclass(frozen=True)
class ChoiceMade:
    """What came of a race. shipped: the folder to ship; None where there is none. lines: what was left behind, and what
    may be worth a try, in sentences."""

    record: Choice
    shipped: Path | None
    lines: tuple[str, ...]


def choose(
    question: Question,
    budget: str,
    labelled: SetOptions | None,
    minutes: float,
    folder: Path,
    *,
    resume: bool = False,
    fresh: bool = False,
) -> ChoiceMade:
    """Run the race, and write its record and what the chosen one leaves behind into a results folder.

    budget: `p99<50ms, top1>=-0.5`. labelled: images for accuracies, without which lowered precisions take no part.
    minutes: of the whole race, 0 for no end. The record's status is failed where nothing meets the budget.
    InputError for a wrong input; CheckFailed where no question can be answered, and where the folder to ship cannot be
    made, whose record is stored by then.
    """
    if question.objective not in OBJECTIVES:
        raise InputError(f"--objective {question.objective}: choose from {', '.join(OBJECTIVES)}")
    if not minutes >= 0:
        raise InputError(f"--minutes {minutes:g}: nothing below zero makes sense")
    limits = parse(budget, question.objective, question.price)
    if labelled:
        labelled.load(None)  # what is wrong is found before a long conversion
    with store.alone(folder):
        store.refuse_unfinished(folder, "ship", resume, fresh)
        deliver.refuse_others(folder)
        began = time.monotonic()
        with store.until_finished(folder, "ship"):
            candidates = gather(question, labelled is not None)
            for line in candidates.out:
                say(f"takes no part: {line}")
            say(cli.drawn_weights_warning(candidates.cells[0].artifact))
            steps = RealSteps(candidates, limits, labelled, folder, resume, minutes, began_s=began)
            decision = race.run(candidates.runners, limits, steps)
            command = _command(question, budget, labelled, minutes, candidates)
            made = told.record(decision, candidates, limits, question.objective, command, steps.limited)
            made = replace(made, seconds=round(time.monotonic() - began, 1))
            # First the record: what a race found is not lost where the folder to ship cannot be made.
            environment.save(folder)
            store.append(folder, made)
            shipped, lines = _deliver(folder, decision, candidates, steps)
    return ChoiceMade(made, shipped, (*lines, told.advice(decision, candidates.runners)))


def _command(
    question: Question, budget: str, labelled: SetOptions | None, minutes: float, candidates: Candidates
) -> str:
    """The command line that runs the race again."""
    first = candidates.cells[0]
    options = {
        "budget": budget or None,
        "objective": question.objective if question.objective != LATENCY else None,
        "price": question.price,
        **(labelled.arguments() if labelled else {}),
        "calibration": question.calibration,
        "smooth": ",".join(f"{one:g}" for one in question.strengths) if question.strengths else None,
        "precision": question.precision,
        "runtime": question.runtime,
        "device": question.device,
        "threads": ",".join(map(str, question.threads)) if question.threads else None,
        "streams": question.streams,
        "cache": question.cache,
        "option": list(question.pairs),
        "minutes": minutes,
    }
    return blank.command("validate.choice", first.argument, first.artifact.fp32, question.chosen, **options)


def _deliver(
    folder: Path, decision: Decision, candidates: Candidates, steps: RealSteps
) -> tuple[Path | None, list[str]]:
    """Write what the chosen one leaves behind, and nothing of an earlier choice beside it; its folder to ship, and what
    is said of it all."""
    deliver.clear(folder)
    subject = decision.chosen or decision.nearest
    if subject and subject.group:
        together = [one for one in candidates.runners if one.group == subject.group]
        deliver.records(folder, together, subject, steps.finals[subject.group])
    if not decision.chosen:
        return None, []
    cell = deliver.settled(candidates.cell(decision.chosen))
    again, compare = deliver.gate(folder, decision.chosen, cell, steps.budget)
    shipped = deliver.ship(folder, decision.chosen, cell)
    hpi = deliver.hpi(folder, decision.chosen, cell)
    device = cell.options.device
    proven = "" if device == "CPU" else f" (proven on the CPU, not on {device})"
    unset = ", ".join(deliver.unset(decision.chosen, cell))
    return shipped, [
        *([f"to ship: {shipped}{proven}"] if shipped else []),
        *([f"measured with {unset}, which the folder to ship does not set"] if shipped and unset else []),
        *([f"for PaddleX: {hpi}"] if hpi else []),
        f"for CI: {again}",
        f"        {compare}",
    ]
