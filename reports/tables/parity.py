"""The table of parity: is it the same model?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from convert.common import typed
from reports.language import mark, say
from reports.load.results import Results
from reports.numbers import NONE, closeness, tiny
from reports.tables.columns import (
    MODEL,
    RUNTIME,
    RecordLine,
    number_column,
    record_table,
    status_entry,
    subject_of,
    text_column,
    yes_no,
)
from reports.tables.standing import status_note
from reports.tables.table import Column, Entry, Facet, Subject, Table, entry
from runtimes.records.kinds import Parity
from runtimes.records.parts import ToleranceInfo


class ParityLine(RecordLine[Parity]):
    """What a row is made from."""

    @property
    def bounds(self) -> ToleranceInfo:
        """The bounds of the check."""
        return self.record.tolerance or ToleranceInfo()

    @property
    def verdict(self) -> str:
        """Passed or failed, or why neither."""
        passed = self.record.passed
        return self.record.status if passed is None else "passed" if passed else "failed"

    @property
    def subject(self) -> Subject:
        """What the row is about."""
        return replace(subject_of(self.record), status=self.verdict)


def parity(results: Results) -> Table:
    """How far each runtime's logits are from the reference's, and whether that is within the tolerance."""
    records = results.of(Parity)
    columns: list[Column[ParityLine]] = [
        *(MODEL, RUNTIME),
        text_column("Verdict", _verdict, facet=Facet.STATUS),
        number_column("Max abs", _tiny(lambda line: line.record.max_abs)),
        number_column("Allowed", _tiny(lambda line: line.bounds.max_abs)),
        number_column("Paddle's own FP32 error", _tiny(lambda line: line.bounds.paddle_max_abs)),
        number_column("Factor needed", _tiny(lambda line: line.bounds.needed)),
        number_column("Mean abs", _tiny(lambda line: line.record.mean_abs)),
        number_column("Cosine", lambda line: _close(line.record.cosine, 7)),
        number_column("Top-1 agreement", lambda line: _close(line.record.top1_agreement, 4)),
        number_column("Not finite", lambda line: line.record.nonfinite),
        text_column("Batch-invariant", lambda line: yes_no(line.record.batch_invariant)),
        text_column("Tolerance", _bounds, once=True),
        text_column("Reference", lambda line: line.record.reference, once=True),
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
    return record_table("parity", title, results, ParityLine, records, columns, note if records else nothing)


def _verdict(line: ParityLine) -> Entry:
    return status_entry(
        line.verdict, () if line.record.passed is True else (line.notes.number(status_note(line.record)),)
    )


def _tiny(value: Callable[[ParityLine], float | None]) -> Callable[[ParityLine], Entry]:
    return lambda line: Entry(value(line), tiny(value(line)))


def _close(value: float | None, places: int) -> Entry:
    return Entry(value, closeness(value, places))


def _tolerance(bounds: ToleranceInfo) -> str:
    """`8 times Paddle's own FP32 error, cosine ≥ 0.9999999`, or the plain bounds of records that have no factor."""
    parts = []
    if bounds.factor is not None:
        parts.append(say("{factor} times {unit}", factor=f"{bounds.factor:g}", unit=say(bounds.unit or "")))
    elif bounds.max_abs is not None:
        parts.append(say("max abs ≤ {bound}", bound=tiny(bounds.max_abs)))
    if bounds.cosine is not None:
        parts.append(say("cosine ≥ {bound}", bound=bounds.cosine))
    return ", ".join(parts) or NONE


def _bounds(line: ParityLine) -> Entry:
    return Entry(typed.table(line.record.tolerance or {}), _tolerance(line.bounds))


def _inputs(line: ParityLine) -> Entry:
    """What went in: the record's source, which says how many images there were."""
    inputs = line.record.inputs
    return Entry(inputs and typed.table(inputs), entry(inputs and inputs.source).text)
