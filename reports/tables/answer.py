"""The answer first: which runtime and precision is the fastest for each model, and by how much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reports.language import mark, say
from reports.load.results import Results
from reports.numbers import NONE, overlap, rivals
from reports.tables.columns import (
    MODEL,
    Measured,
    build,
    change_of_top1,
    gain,
    held_accuracy,
    number_column,
    range_column,
    status_entry,
    subject_of,
    text_column,
)
from reports.tables.standing import (
    accuracy_note,
    inaccurate,
    label,
    machines_and_models,
    median,
    ran_as,
    ranking,
    shown_status,
    spread_note,
    status_note,
)
from reports.tables.table import Column, Entry, Footnotes, Subject, Table, entry
from runtimes.records.kinds import Latency

BASELINE = ("paddle", "fp32")
BATCH = 1
_NOTE = mark(
    "A cell takes part that ended well, or whose interval is merely wider than was asked for, whose parity "
    "passed, and whose accuracy did not fail. Tie: the intervals overlap, so none of them is called the "
    "fastest. Gain: the median of paddle fp32 at the same batch, divided by this median."
)
_ACCURACY_NOTE = mark(
    "Accuracy: whether top-1 held against the reference over the same images; in brackets, how much it "
    "changed. Where it was not measured, parity alone speaks for a cell; for int8 that is a coarse net."
)


@dataclass(frozen=True)
class AnswerLine:
    """What a row is made from. cell: None for a model that has none to rely on."""

    results: Results
    subject: Subject
    notes: Footnotes
    cells: list[Latency]
    verdict: str
    winners: list[Latency]
    cell: Latency | None = None


def answer(results: Results) -> Table:
    """Per model the fastest cell at batch 1, its median and its gain over Paddle in fp32.

    Only cells with status ok, a parity that passed and no accuracy that failed take part. Where the first one's
    interval overlaps others, there is no fastest: all of them are listed as a tie.
    """
    notes = Footnotes()
    lines = list(_lines(results, notes))
    winners = [line.cell for line in lines if line.cell]
    columns: list[Column[AnswerLine]] = [
        MODEL,
        text_column("Verdict", _verdict),
        text_column("Runtime", _runtime),
        text_column("Ran as", lambda line: line.cell and ran_as(line.cell)),
        number_column("Median (ms)", _median),
        range_column("95 % interval (ms)", _median),
        number_column("Gain over paddle fp32", _gain),
        text_column("Accuracy", _accuracy),
    ]
    return build(
        "answer",
        say("The fastest at batch {batch}", batch=BATCH),
        results,
        columns,
        lines,
        *(_NOTE, _ACCURACY_NOTE, spread_note(results)),
        footnotes=notes,
        records=[record for cell in winners for record in (cell, *baseline(results, cell))],
    )


def _lines(results: Results, notes: Footnotes) -> Iterator[AnswerLine]:
    for machine, model in machines_and_models(results):
        cells = results.of(Latency, machine=machine, model=model, batch=BATCH)
        verdict, winners = ranking(results, cells)
        if not winners:
            yield AnswerLine(results, Subject((model,), machine=machine), notes, cells, verdict, winners)
        for cell in winners:
            yield AnswerLine(results, subject_of(cell), notes, cells, verdict, winners, cell)


def _verdict(line: AnswerLine) -> Entry:
    """The verdict, and who would be faster had its accuracy held."""
    passed_over = [
        say("{name} is not counted: {reason}", name=label(line.results, cell), reason=accuracy_note(line.results, cell))
        for cell in inaccurate(line.results, line.cells)
        if line.winners and median(cell) < median(line.winners[0])
    ]
    if line.cell is None:
        return Entry(None, say("none"), (line.notes.number(_none(line.results, line.cells)),))
    found = status_entry(line.verdict, tuple(map(line.notes.number, passed_over)))
    return Entry(found.value, found.text, found.notes, line.verdict == "fastest", found.tone)


def _none(results: Results, cells: list[Latency]) -> str:
    """What became of the cells of a model that has none to rely on."""
    failed = inaccurate(results, cells)
    states = [say("accuracy failed") if cell in failed else say(shown_status(results, cell)) for cell in cells]
    tally = ", ".join(f"{label(results, cell)} {state}" for cell, state in zip(cells, states, strict=True))
    return say("no latency at batch {batch} to rely on: {tally}", batch=BATCH, tally=tally or say("none was measured"))


def _runtime(line: AnswerLine) -> Entry | None:
    if line.cell is None:
        return None
    name = label(line.results, line.cell)
    return Entry(name, name, best=line.verdict == "fastest")


def _median(line: AnswerLine) -> Measured | None:
    return (line.cell.median_ms, line.cell.ci95_ms) if line.cell else None


def _accuracy(line: AnswerLine) -> Entry | None:
    """The verdict on a cell's accuracy, and the change of top-1 against the reference where there is one."""
    if line.cell is None:
        return None
    known = map(change_of_top1, line.results.accuracies(line.cell))
    changes = [change for change in known if change is not None]
    return held_accuracy(line.results, line.cell, f" ({min(changes):+.4f})" if changes else "")


def is_baseline(cell: Latency) -> bool:
    """Whether it is what all others are compared with."""
    return (cell.runtime, cell.precision) == BASELINE


def baseline(results: Results, cell: Latency) -> list[Latency]:
    """Paddle in fp32 on the same model, batch and threads, or with whatever threads where that is the only one."""
    cells = results.of(Latency, machine=cell.machine, model=cell.model, batch=cell.batch)
    found = [one for one in cells if is_baseline(one) and one.measured and not results.doubt(one)]
    same = [one for one in found if one.threads == cell.threads]
    return same or (found if len(found) == 1 else [])


def _gain(line: AnswerLine) -> Entry | None:
    """How many times faster than the baseline, with what must be known of that."""
    if line.cell is None:
        return None
    found, cell, notes = baseline(line.results, line.cell), line.cell, line.notes
    if not found:
        return Entry(
            None, NONE, (notes.number(say("paddle fp32 has no proven latency at this batch to compare with")),)
        )
    base = found[0]
    if base is cell:
        return Entry(1.0, say("it is paddle fp32"))
    remarks = []
    if overlap(*rivals(base, cell)):
        remarks.append(notes.number(say("the intervals overlap: it may be no gain at all")))
    if base.status == "unstable":
        remarks.append(notes.number(say("paddle fp32, {note}", note=status_note(base))))
    devices = [one.effective.device if one.effective else None for one in (base, cell)]
    if devices[0] != devices[1]:
        ran = entry(ran_as(base)).text
        remarks.append(notes.number(say("compared with paddle that ran as {ran}", ran=ran)))
    return gain(base, cell, tuple(remarks))
