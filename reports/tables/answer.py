"""The answer first: which runtime and precision is the fastest for each model, and by how much."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from convert.precision.table import FP32
from reports.faster import faster
from reports.language import mark, say
from reports.load.results import Results
from reports.numbers import NONE
from reports.tables import columns, standing
from reports.tables.columns import Column, Measured, Row, number_column, text_column
from reports.tables.table import Entry, Subject, Table
from runtimes import registry
from runtimes.records.kinds import Latency

BATCH = 1
_NOTE = mark(
    "Every cell (a model on a runtime in a precision, with one batch size and one set of options) takes part that has "
    "a number, whose parity passed and whose accuracy did not fail. Which is faster, "
    "and the gain (how many times as fast as paddle fp32 at the same batch), is estimated from short turns where two "
    "had them side by side, so that what the machine did at a moment falls out, and elsewhere from medians. Tie: any "
    "of them may be the fastest."
)
_BUSY_NOTE = mark(
    "This machine was busy while it was measured{programs}. The medians are of the samples that other programs left "
    "alone, where there were enough of them. For surer numbers close those programs and measure again what was "
    "disturbed (RESUME=1 with OUT= of this folder, or --resume), or let the run wait for a quiet moment (--patience)."
)
_ACCURACY_NOTE = mark(
    "Accuracy: whether top-1 held against the reference over the same images; in brackets, how much it "
    "changed. Where it was not measured, parity alone speaks for a cell; for int8 that is a coarse net."
)


@dataclass(frozen=True)
class AnswerRow(Row[Latency | None]):
    """What a row is made from. record: None for a model that has none to rely on. cells: those that were ranked."""

    cells: list[Latency]
    verdict: str
    winners: list[Latency]


def answer(results: Results) -> Table:
    """Per model the fastest cell at batch 1, its median and its gain over Paddle in fp32.

    Cells with a number, a parity that passed and no accuracy that failed take part (`standing.ranking`).
    """
    rows = list(_rows(results, []))
    shown: list[Column[AnswerRow]] = [
        columns.MODEL,
        text_column("Verdict", _verdict),
        text_column("Runtime", _runtime),
        text_column("Ran as", lambda row: row.record and standing.ran_as(row.record)),
        number_column("Median (ms)", _median),
        columns.range_column("95 % interval (ms)", _median),
        number_column("Gain over paddle fp32", _gain),
        text_column("Accuracy", _accuracy),
    ]
    title = say("The fastest at batch {batch}", batch=BATCH)
    notes = (_NOTE, _ACCURACY_NOTE, standing.spread_note(results), *_busy(rows))
    winners = [row.record for row in rows if row.record]
    records = [record for cell in winners for record in (cell, *baseline(results, cell))]
    return columns.build("answer", title, results, shown, rows, *notes, records=records)


def _rows(results: Results, footnotes: list[str]) -> Iterator[AnswerRow]:
    for machine, model in standing.machines_and_models(results):
        cells = results.of(Latency, machine=machine, model=model, batch=BATCH)
        verdict, winners = standing.ranking(results, cells)
        if not winners:
            yield AnswerRow(results, Subject((model,), machine=machine), footnotes, None, cells, verdict, winners)
        for cell in winners:
            yield AnswerRow(results, columns.subject_of(results, cell), footnotes, cell, cells, verdict, winners)


def _busy(rows: Iterable[AnswerRow]) -> list[str]:
    """Who disturbed the cells that were ranked, and what to do; empty where nobody did."""
    cells = [cell for row in rows for cell in row.cells if cell.measured and standing.busy(cell)]
    if not cells:
        return []
    named = standing.programs_of(cells)
    return [say(_BUSY_NOTE, programs=say(": {programs} of a core", programs=named) if named else "")]


def _verdict(row: AnswerRow) -> Entry:
    """The verdict, and who would be faster had its accuracy held."""
    results, note = row.results, standing.accuracy_note
    passed_over = [
        say("{name} is not counted: {reason}", name=standing.label(results, cell), reason=note(results, cell))
        for cell in standing.inaccurate(results, row.cells)
        if row.winners and standing.median(cell) < standing.median(row.winners[0])
    ]
    if row.record is None:
        return Entry(None, say(row.verdict), row.note(_none(row.results, row.cells)))
    return replace(columns.status_entry(row.verdict, row.note(*passed_over)), best=_is_fastest(row))


def _is_fastest(row: AnswerRow) -> bool:
    return row.verdict.startswith("fastest")


def _none(results: Results, cells: list[Latency]) -> str:
    """What became of the cells of a model that has none to rely on."""
    if standing.ranking(results, cells)[0] == "cannot tell":
        return say("the machine was too busy to tell which is the fastest: measure again when it is quiet")
    failed = standing.inaccurate(results, cells)
    states = [say("accuracy failed") if cell in failed else say(standing.shown_status(results, cell)) for cell in cells]
    tally = ", ".join(f"{standing.label(results, cell)} {state}" for cell, state in zip(cells, states, strict=True))
    return say("no latency at batch {batch} to rely on: {tally}", batch=BATCH, tally=tally or say("none was measured"))


def _runtime(row: AnswerRow) -> Entry | None:
    if row.record is None:
        return None
    name = standing.label(row.results, row.record)
    return Entry(name, name, best=_is_fastest(row))


def _median(row: AnswerRow) -> Measured | None:
    return (row.record.median_ms, row.record.ci95_ms) if row.record else None


def _accuracy(row: AnswerRow) -> Entry | None:
    """The verdict on a cell's accuracy, and the change of top-1 against the reference where there is one."""
    if row.record is None:
        return None
    known = map(columns.change_of_top1, row.results.accuracies(row.record))
    changes = [change for change in known if change is not None]
    made = standing.how_made(next(iter(row.results.accuracies(row.record)), row.record))
    notes = row.note(made) if made else ()
    return columns.held_accuracy(row.results, row.record, f" ({min(changes):+.4f})" if changes else "", notes)


def is_baseline(cell: Latency) -> bool:
    """Whether it is what all others are compared with."""
    return (cell.runtime, cell.precision) == (registry.reference().name, FP32)


def baseline(results: Results, cell: Latency) -> list[Latency]:
    """Paddle in fp32 on the same model, batch and threads, or with whatever threads where that is the only one."""
    cells = results.of(Latency, machine=cell.machine, model=cell.model, batch=cell.batch)
    found = [one for one in cells if is_baseline(one) and one.measured and not results.doubt(one)]
    same = [one for one in found if one.threads == cell.threads]
    return same or (found if len(found) == 1 else [])


def _gain(row: AnswerRow) -> Entry | None:
    """How many times faster than the baseline, with what must be known of that."""
    if row.record is None:
        return None
    found, cell = baseline(row.results, row.record), row.record
    if not found:
        why = say("paddle fp32 has no proven latency at this batch to compare with")
        return Entry(None, NONE, row.note(why))
    base = found[0]
    if base is cell:
        return Entry(1.0, say("it is paddle fp32"))
    remarks = []
    gain = faster(base, cell)
    if gain and not gain.sure:
        remarks.append(say("the intervals overlap: it may be no gain at all"))
    if base.status == "unstable":
        remarks.append(say("paddle fp32, {note}", note=standing.status_note(base)))
    devices = [one.effective.device if one.effective else None for one in (base, cell)]
    if devices[0] != devices[1]:
        remarks.append(say("compared with paddle that ran as {ran}", ran=standing.ran_as(base) or NONE))
    return columns.gain(base, cell, row.note(*remarks))
