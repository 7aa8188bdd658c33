"""The table of parity: is it the same model?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from reports.language import mark, say
from reports.load.reading import without_nulls
from reports.load.results import Results
from reports.numbers import NONE, closeness, tiny
from reports.tables.columns import (
    MODEL,
    RUNTIME,
    Column,
    Row,
    build,
    entry,
    number_column,
    rows_of,
    status_entry,
    text_column,
    yes_no,
)
from reports.tables.standing import remarks_on, status_note, unvouched_note
from reports.tables.table import Entry, Facet, Table
from runtimes.records.kinds import Parity
from runtimes.records.parts import ToleranceInfo


def parity(results: Results) -> Table:
    """How far each runtime's logits are from the reference's, and whether that is within the tolerance."""
    rows = [
        replace(row, subject=replace(row.subject, status=_outcome(row.record)))
        for row in rows_of(results, results.of(Parity))
    ]
    columns: list[Column[Row[Parity]]] = [
        *(MODEL, RUNTIME),
        text_column("Verdict", _verdict, facet=Facet.STATUS),
        number_column("Max abs", _tiny(lambda record: record.max_abs)),
        number_column("Allowed", _tiny(lambda record: _bounds(record).max_abs)),
        number_column("Paddle's own FP32 error", _tiny(lambda record: _bounds(record).paddle_max_abs)),
        number_column("Factor needed", _tiny(lambda record: _bounds(record).needed)),
        number_column("Mean abs", _tiny(lambda record: record.mean_abs)),
        number_column("Cosine", lambda row: _close(row.record.cosine, 7)),
        number_column("Top-1 agreement", lambda row: _close(row.record.top1_agreement, 4)),
        number_column("Not finite", "nonfinite"),
        text_column("Batch-invariant", lambda row: yes_no(row.record.batch_invariant)),
        text_column("Tolerance", _tolerance, once=True),
        text_column("Reference", lambda row: row.record.reference, once=True),
        text_column("Inputs", _inputs, once=True),
    ]
    note = mark(
        "Differences of the logits, before any softmax, from the Paddle model in float64. Factor needed: the "
        "smallest that would have passed; what it is a factor of stands in the tolerance. Cosine and agreement are "
        "cut, not rounded: only 1 reads 1. Batch-invariant: an image's logits do not depend on the batch that it "
        "is in."
    )
    nothing = mark("No parity was checked in these results: no speed is proven.")
    title = mark("Parity: is it the same model?")
    return build("parity", title, results, columns, rows, note if rows else nothing, *unvouched_note(results))


def _outcome(record: Parity) -> str:
    """Passed or failed, or why neither; "agrees" where no Paddle program was there to be held against."""
    passed = "agrees" if record.model_info and record.model_info.unvouched else "passed"
    return record.status if record.passed is None else passed if record.passed else "failed"


def _verdict(row: Row[Parity]) -> Entry:
    said = [] if row.record.passed is True else [status_note(row.record)]
    return status_entry(row.subject.status, row.note(*said, *remarks_on(row.record)))


def _tiny(value: Callable[[Parity], float | None]) -> Callable[[Row[Parity]], Entry]:
    return lambda row: Entry(value(row.record), tiny(value(row.record)))


def _close(value: float | None, places: int) -> Entry:
    return Entry(value, closeness(value, places))


def _bounds(record: Parity) -> ToleranceInfo:
    return record.tolerance or ToleranceInfo()


def _tolerance(row: Row[Parity]) -> Entry:
    """`8 times Paddle's own FP32 error, cosine ≥ 0.9999999`, or the plain bounds of records that have no factor."""
    bounds, parts = _bounds(row.record), []
    if bounds.factor is not None:
        parts.append(say("{factor} times {unit}", factor=f"{bounds.factor:g}", unit=say(bounds.unit or "")))
    elif bounds.max_abs is not None:
        parts.append(say("max abs ≤ {bound}", bound=tiny(bounds.max_abs)))
    if bounds.cosine is not None:
        parts.append(say("cosine ≥ {bound}", bound=f"{bounds.cosine:.9g}"))
    return Entry(without_nulls(bounds), ", ".join(parts) or NONE)


def _inputs(row: Row[Parity]) -> Entry:
    """What went in: the record's source, which says how many images there were."""
    inputs = row.record.inputs
    return Entry(inputs and without_nulls(inputs), entry(inputs and inputs.source).text)
