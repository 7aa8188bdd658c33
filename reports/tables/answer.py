"""The answer first: which runtime and precision is the fastest for each model, and by how much."""

from __future__ import annotations

from typing import Any

from reports.language import names, say
from reports.load.results import MEASURED, Results
from reports.numbers import NONE, overlap, rivals, spread
from reports.tables.cells import (
    accuracy,
    accuracy_note,
    gain,
    inaccurate,
    label,
    number,
    ranking,
    shown_status,
    spread_note,
    subjects,
)
from reports.tables.frames import (
    Cell,
    Footnotes,
    Table,
    commands,
    frame,
    machine_column,
    model_cell,
    ran_as,
    status_note,
)
from runtimes.records.store import Record

BASELINE = {"runtime": "paddle", "precision": "fp32"}
BATCH = 1


def answer(results: Results) -> Table:
    """Per model the fastest cell at batch 1, its median and its gain over Paddle in fp32.

    Only cells with status ok, a parity that passed and no accuracy that failed take part. Where the first one's
    interval overlaps others, there is no fastest: all of them are listed as a tie.
    """
    notes = Footnotes()
    rows: list[list[Any]] = []
    used: list[Record] = []
    several = len(results.environments) > 1
    for machine, model in subjects(results):
        cells = results.of("latency", machine=machine, model=model, batch=BATCH)
        place = [machine] if several else []
        verdict, winners = ranking(results, cells)
        if not winners:
            none = Cell(None, say("none"), (notes.number(_none(results, cells)),))
            rows.append([*place, model_cell(results, model), none, *[None] * 6])
        passed_over = [
            notes.number(say("{name} is not counted: {reason}", name=label(results, cell), reason=reason))
            for cell, reason in _passed_over(results, cells, winners)
        ]
        for cell in winners:
            used += [cell, *_baseline(results, cell)]
            rows.append(
                [
                    *place,
                    model_cell(results, model),
                    Cell(verdict, say(verdict), tuple(passed_over), best=verdict == "fastest"),
                    Cell(label(results, cell), label(results, cell), best=verdict == "fastest"),
                    ran_as(cell),
                    number(cell["median_ms"], cell.get("ci95_ms")),
                    Cell(cell.get("ci95_ms"), spread(cell["median_ms"], cell.get("ci95_ms"))),
                    _gain(results, cell, notes),
                    _accuracy(results, cell),
                ]
            )
    columns = names(
        *("Model", "Verdict", "Runtime", "Ran as", "Median (ms)", "95 % interval (ms)", "Gain over paddle fp32"),
        "Accuracy",
    )
    return Table(
        "answer",
        say("The fastest at batch {batch}", batch=BATCH),
        frame((*machine_column(results), *columns), rows),
        names(
            "A cell takes part that ended well, or whose interval is merely wider than was asked for, whose parity "
            "passed, and whose accuracy did not fail. Tie: the intervals overlap, so none of them is called the "
            "fastest. Gain: the median of paddle fp32 at the same batch, divided by this median.",
            "Accuracy: whether top-1 held against the reference over the same images; in brackets, how much it "
            "changed. Where it was not measured, parity alone speaks for a cell; for int8 that is a coarse net.",
            spread_note(results),
        ),
        tuple(notes.texts),
        commands(used),
    )


def _none(results: Results, cells: list[Record]) -> str:
    """What became of the cells of a model that has none to rely on."""
    failed = inaccurate(results, cells)
    states = [say("accuracy failed") if cell in failed else say(shown_status(results, cell)) for cell in cells]
    tally = ", ".join(f"{label(results, cell)} {state}" for cell, state in zip(cells, states, strict=True))
    return say("no latency at batch {batch} to rely on: {tally}", batch=BATCH, tally=tally or say("none was measured"))


def _passed_over(results: Results, cells: list[Record], winners: list[Record]) -> list[tuple[Record, str]]:
    """Cells with a lower median than the first of the winners that lost their place to a failed accuracy, and why."""
    return [
        (cell, accuracy_note(results, cell))
        for cell in inaccurate(results, cells)
        if winners and cell["median_ms"] < winners[0]["median_ms"]
    ]


def _accuracy(results: Results, cell: Record) -> Cell:
    """The verdict on a cell's accuracy, and the change of top-1 against the reference where there is one."""
    changes = [
        record["top1"] - record["reference_top1"]
        for record in results.accuracies(cell)
        if record.get("top1") is not None and record.get("reference_top1") is not None
    ]
    return accuracy(results, cell, f" ({min(changes):+.4f})" if changes else "")


def _baseline(results: Results, cell: Record) -> list[Record]:
    """Paddle in fp32 on the same model, batch and threads, or with whatever threads where that is the only one."""
    cells = results.of("latency", machine=cell["machine"], model=cell["model"], batch=cell["batch"], **BASELINE)
    found = [c for c in cells if c["status"] in MEASURED and not results.doubt(c)]
    same = [c for c in found if c.get("threads") == cell.get("threads")]
    return same or (found if len(found) == 1 else [])


def _gain(results: Results, cell: Record, notes: Footnotes) -> Cell:
    """How many times faster than the baseline, with what must be known of that."""
    found = _baseline(results, cell)
    if not found:
        return Cell(None, NONE, (notes.number(say("paddle fp32 has no proven latency at this batch to compare with")),))
    base = found[0]
    if base is cell:
        return Cell(1.0, say("it is paddle fp32"))
    remarks = []
    if overlap(*rivals(base, cell)):
        remarks.append(notes.number(say("the intervals overlap: it may be no gain at all")))
    if base["status"] == "unstable":
        remarks.append(notes.number(say("paddle fp32, {note}", note=status_note(base))))
    if (base["effective"] or {}).get("device") != (cell["effective"] or {}).get("device"):
        remarks.append(notes.number(say("compared with paddle that ran as {ran}", ran=ran_as(base).text)))
    return gain(base, cell, tuple(remarks))
