"""The answer first: which runtime and precision is the fastest for each model, and by how much."""

from __future__ import annotations

from typing import Any

from reports.cells import SPREAD_NOTE, label, number, ranking, shown_status
from reports.frames import Cell, Footnotes, Table, commands, frame, model_cell, ran_as, status_note
from reports.numbers import NONE, measured, spread
from reports.results import MEASURED, Results
from runtimes.bench.store import Record

BASELINE = {"runtime": "paddle", "precision": "fp32"}
BATCH = 1


def answer(results: Results) -> Table:
    """Per model the fastest cell at batch 1, its median and its gain over Paddle in fp32.

    Only cells with status ok and a parity that passed take part. Where the first one's interval overlaps others, there
    is no fastest: all of them are listed as a tie.
    """
    notes = Footnotes()
    rows: list[list[Any]] = []
    used: list[Record] = []
    for model in results.models:
        cells = results.of("latency", model=model, batch=BATCH)
        verdict, winners = ranking(results, cells)
        if not winners:
            tally = ", ".join(f"{label(results, cell)} {shown_status(results, cell)}" for cell in cells)
            note = notes.number(f"no latency at batch {BATCH} to rely on: {tally or 'none was measured'}")
            rows.append([model_cell(results, model), Cell(None, "none", (note,)), *[None] * 5])
        for cell in winners:
            used += [cell, *_baseline(results, cell)]
            rows.append(
                [
                    model_cell(results, model),
                    Cell(verdict, verdict, best=verdict == "fastest"),
                    Cell(label(results, cell), label(results, cell), best=verdict == "fastest"),
                    ran_as(cell),
                    number(cell["median_ms"], cell.get("ci95_ms")),
                    Cell(cell.get("ci95_ms"), spread(cell["median_ms"], cell.get("ci95_ms"))),
                    _gain(results, cell, notes),
                ]
            )
    columns = ("Model", "Verdict", "Runtime", "Ran as", "Median (ms)", "95 % interval (ms)", "Gain over paddle fp32")
    return Table(
        "answer",
        f"The fastest at batch {BATCH}",
        frame(columns, rows),
        (
            "Only cells that ended well and whose parity passed take part. Tie: the intervals overlap, so none of them "
            "is called the fastest. Gain: the median of paddle fp32 at the same batch, divided by this median.",
            SPREAD_NOTE,
        ),
        tuple(notes.texts),
        commands(used),
    )


def _baseline(results: Results, cell: Record) -> list[Record]:
    """Paddle in fp32 on the same model, batch and threads, or with whatever threads where that is the only one."""
    cells = results.of("latency", model=cell["model"], batch=cell["batch"], **BASELINE)
    found = [c for c in cells if c["status"] in MEASURED and not results.doubt(c)]
    same = [c for c in found if c.get("threads") == cell.get("threads")]
    return same or (found if len(found) == 1 else [])


def _gain(results: Results, cell: Record, notes: Footnotes) -> Cell:
    """How many times faster than the baseline. Its digits are those that both intervals together carry."""
    found = _baseline(results, cell)
    if not found:
        return Cell(None, NONE, (notes.number("paddle fp32 has no proven latency at this batch to compare with"),))
    base, own, other = found[0], cell.get("ci95_ms"), found[0].get("ci95_ms")
    if base is cell:
        return Cell(1.0, "it is paddle fp32")
    gain = base["median_ms"] / cell["median_ms"]
    interval = (other[0] / own[1], other[1] / own[0]) if own and other and own[0] > 0 else None
    remarks = []
    if base["status"] == "unstable":
        remarks.append(notes.number(f"paddle fp32, {status_note(base)}"))
    if ran_as(base).text.split(" on ")[-1] != ran_as(cell).text.split(" on ")[-1]:
        remarks.append(notes.number(f"compared with paddle that ran as {ran_as(base).text}"))
    return Cell(gain, f"{measured(gain, interval)}×", tuple(remarks))
