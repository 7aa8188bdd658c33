"""The answer first: which runtime and precision is the fastest for each model, and by how much."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from convert.families.spec import is_number
from convert.precision.table import FP32
from reports import energy
from reports.faster import faster
from reports.language import mark, say
from reports.load.results import Results
from reports.numbers import NONE, milliseconds
from reports.tables import columns, standing
from reports.tables.columns import Column, Measured, Row, number_column, text_column
from reports.tables.table import Entry, Subject, Table
from runtimes import registry
from runtimes.bench.ceiling.believed import images_per_s
from runtimes.records.kinds import Latency, Throughput, TimedRecord

BATCH = 1
_NOTE = mark(
    "Every cell (a model on a runtime in a precision, with one batch size and one set of options) takes part that has "
    "a number, whose parity passed, whose accuracy did not miss its bar and which is not slower than fp32 on its "
    "runtime. Which is faster, "
    "and the gain (how many times as fast as paddle fp32 at the same batch), is estimated from short turns where two "
    "had them side by side, so that what the machine did at a moment falls out, and elsewhere from medians. Tie: any "
    "of them may be the fastest."
)
_BUSY_NOTE = mark(
    "This machine was busy while it was measured{programs}. For surer numbers close those programs and measure again "
    "what was disturbed (RESUME=1 with OUT= of this folder, or --resume), or let the run wait for a quiet moment "
    "(--patience). The medians are of the samples that other programs left alone, where there were enough of them; "
    "the gain comes from turns side by side, and holds where unstable medians do not."
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

    Cells with a number, a parity that passed and no accuracy that missed its bar take part, but for a lowered precision
    that is slower than FP32 (`standing.ranking`).
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
    notes = (*_busy(rows), _NOTE, _ACCURACY_NOTE, standing.spread_note(results))
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
    states = [
        standing.missed_accuracy(results, cell) if cell in failed else say(standing.shown_status(results, cell))
        for cell in cells
    ]
    tally = ", ".join(f"{standing.label(results, cell)} {state}" for cell, state in zip(cells, states, strict=True))
    return say("no latency at batch {batch} to rely on: {tally}", batch=BATCH, tally=tally or say("none was measured"))


def _runtime(row: AnswerRow) -> Entry | None:
    if row.record is None:
        return None
    name = standing.label(row.results, row.record)
    return Entry(name, name, best=_is_fastest(row))


def _median(row: AnswerRow | MachineRow) -> Measured | None:
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


_MACHINES_NOTE = mark(
    "One row for each model and machine, the lowest median first: of the runtimes that may be the fastest there, the "
    "first. Machines met different moments, so that no interval says which of two medians that are close is lower."
)
_PRICE_NOTE = mark(
    "Images per euro: as many as the machine computes of that model in an hour, at the highest proven rate of any "
    "batch or number of streams, over the price per hour that the plan gave for it."
)


_ENERGY_NOTE = mark(
    "Least energy: of the proven cells on the device that is the fastest there, at any batch or number of streams. One "
    "over it is images per second for each watt."
)


@dataclass(frozen=True)
class MachineRow(Row[Latency]):
    """record: the fastest on its machine. price: euros per hour; None where nobody gave one. best: whether it has the
    lowest median of its model, the most images per euro, and the fewest joules where all are by one kind of counter."""

    price: float | None
    best: tuple[bool, bool, bool] = (False, False, False)


def machines(results: Results) -> Table:
    """Which machine, and which runtime there, answers a model soonest, for the least money and by the least energy."""
    rows = list(_machine_rows(results))
    priced = any(row.price for row in rows)
    of_price: list[Column[MachineRow]] = [
        number_column("Euros per hour", lambda row: row.price, "g"),
        text_column("Runtime at that rate", lambda row: _named(row, best) if (best := _best(row)) else None),
        number_column("Images per euro", _per_euro),
    ]
    of_energy: list[Column[MachineRow]] = [
        text_column("Runtime of least energy", lambda row: _named(row, least) if (least := _least(row)) else None),
        number_column("Joules per image", _joules),
    ]
    counted = any(_least(row) for row in rows)
    shown: list[Column[MachineRow]] = [
        columns.MODEL,
        text_column("Runtime", lambda row: _named(row, row.record)),
        number_column("Median (ms)", _lowest),
        columns.range_column("95 % interval (ms)", _median),
        *(of_price if priced else []),
        *(of_energy if counted else []),
    ]
    notes = [_MACHINES_NOTE, *([_PRICE_NOTE] if priced else []), *([_ENERGY_NOTE, energy.NOTE] if counted else [])]
    return columns.build("machines", mark("Which machine"), results, shown, rows, *notes)


def _machine_rows(results: Results) -> Iterator[MachineRow]:
    footnotes: list[str] = []
    for model in results.models:
        rows = []
        for machine, its_model in standing.machines_and_models(results):
            cells = results.of(Latency, machine=machine, model=model, batch=BATCH) if its_model == model else []
            winners = standing.ranking(results, cells)[1]
            price = results.environments.get(machine, {}).get("price_per_hour", 0)
            known = float(price) if is_number(price) and price > 0 else None
            for cell in winners[:1]:
                rows.append(MachineRow(results, columns.subject_of(results, cell), footnotes, cell, known))
        rows.sort(key=lambda row: standing.median(row.record))
        worth, least = [_worth(row) for row in rows], [_least(row) for row in rows]
        thrifty = [one for one in least if one]
        fewest = min((energy.of_cell(one) or 0.0 for one in thrifty), default=None)
        alike = len({one.energy.source for one in thrifty if one.energy}) == 1
        for place, row in enumerate(rows):
            cheapest = worth[place] > 0 and worth[place] == max(worth)
            own = least[place]
            thriftiest = alike and own is not None and energy.of_cell(own) == fewest
            yield replace(row, best=(place == 0, cheapest, thriftiest))


def _named(row: MachineRow, cell: TimedRecord) -> str:
    return standing.label(row.results, cell)


def _lowest(row: MachineRow) -> Entry:
    return Entry(row.record.median_ms, milliseconds(row.record.median_ms, row.record.ci95_ms), best=row.best[0])


def _able(row: MachineRow) -> list[TimedRecord]:
    """The proven cells of a row's machine and model that may be recommended."""
    results, cell = row.results, row.record
    there = {"machine": cell.machine, "model": cell.model}
    known: list[TimedRecord] = [*results.of(Latency, **there), *results.of(Throughput, **there)]
    able = [one for one in known if one.measured and not results.doubt(one) and results.accurate(one) is not False]
    return [one for one in able if not one.elsewhere and not standing.slower(results, one)]


def _best(row: MachineRow) -> TimedRecord | None:
    """The one that computes the most images in a second."""
    return max(_able(row), key=images_per_s, default=None)


def _least(row: MachineRow) -> TimedRecord | None:
    """The one that takes the fewest joules for an image, of those whose counter is that of the row's own cell."""
    known = [one for one in _able(row) if one.device == row.record.device and energy.of_cell(one) is not None]
    return min(known, key=lambda one: energy.of_cell(one) or 0.0, default=None)


def _joules(row: MachineRow) -> Entry | None:
    return energy.entry(least, row.best[2]) if (least := _least(row)) else None


def _worth(row: MachineRow) -> float:
    best = _best(row)
    return 3600 * images_per_s(best) / row.price if best and row.price else 0.0


def _per_euro(row: MachineRow) -> Entry | None:
    """Three digits: the rate has no more that are sure."""
    worth = _worth(row)
    return Entry(worth, f"{float(f'{worth:.3g}'):,.0f}", best=row.best[1]) if worth else None
