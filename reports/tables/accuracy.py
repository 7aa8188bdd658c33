"""The tables of accuracy: beside the published one, and what a precision costs of it and gains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convert.manifest import MULTI_LABEL
from convert.precision.table import FP32
from convert.zoo import PUBLISHED, Published
from reports.language import mark, say, stored
from reports.load.results import Results, grouped
from reports.numbers import measured
from reports.tables import columns
from reports.tables.columns import BATCH, MODEL, RUNTIME, STATUS, Column, Measured, Row, number_column, rows_of
from reports.tables.standing import how_made, missed_note, remarks_on, runtime_name, spread_note, status_note
from reports.tables.table import Entry, Subject, Table, Tone
from runtimes.records.kinds import Accuracy, Latency

_FIGURES_NOTE = mark(
    "Fractions of the images. Published: PaddleClas' page, on the 50,000 images of ILSVRC 2012 validation; "
    "reference: the original authors, as that page quotes them. An accuracy on a subset or on other images "
    "is one on those images, not on the 50,000."
)
_FRACTIONS_NOTE = mark("Fractions of the images: an accuracy on these images, and on no others.")
_INTERVAL_NOTE = mark(
    "Interval: Wilson's, of top-1; it limits the digits of top-5 too. Verdict: against the reference run over "
    "the same images; p is that of McNemar's test in pairs."
)
_PRECISION_NOTE = mark(
    "Accuracy: whether top-1 held against the reference over the same images; where it was not measured, "
    "parity alone speaks for a precision. Change of top-1: against that reference; p is that of McNemar's test "
    "in pairs. Gain over its own fp32: how many times as fast as fp32 on the same runtime at the same batch."
)


AccuracyRow = Row[Accuracy | None]  # None: of a model whose accuracy was not measured


def accuracy(results: Results) -> Table:
    """Top-1 and top-5 as fractions: measured, as PaddleClas published them, and as the original authors did."""
    found = grouped(results.of(Accuracy), lambda record: record.model)
    footnotes: list[str] = []
    rows: list[AccuracyRow] = []
    for model in results.models:
        for record in found.get(model, [None]):
            subject = columns.subject_of(results, record) if record else Subject((model,))
            rows.append(Row(results, subject, footnotes, record))
    of_page: list[Column[AccuracyRow]] = [
        number_column("Published top-1", published(lambda one: one.top1, 4)),
        number_column("Published top-5", published(lambda one: one.top5, 4)),
        number_column("Reference top-1", published(lambda one: one.reference_top1, 4)),
        number_column("Reference top-5", published(lambda one: one.reference_top5, 4)),
    ]
    known = any_published(results)
    shown: list[Column[AccuracyRow]] = [
        MODEL,
        columns.text_column("Runtime", lambda row: runtime_name(row.record) if row.record else None),
        number_column("Images", _images),
        number_column("Top-1", _top1_or_status),
        columns.range_column("95 % interval", lambda row: _top1(_counted(row))),
        number_column("Top-5", lambda row: (one.top5, one.top1_ci95) if (one := _counted(row)) else None),
        columns.text_column("Verdict", _verdict),
        *(of_page if known else ()),
    ]
    nothing = () if found else (mark("No accuracy was measured in these results."),)
    title = mark("Accuracy, beside the published one") if known else mark("Accuracy")
    notes = (*nothing, _FIGURES_NOTE if known else _FRACTIONS_NOTE, _INTERVAL_NOTE)
    return columns.build("accuracy", title, results, shown, rows, *notes)


def any_published(results: Results) -> bool:
    """Whether PaddleClas published figures of any of the models: without them columns and words about them say
    nothing."""
    return any(model in PUBLISHED for model in results.models)


def _counted(row: AccuracyRow) -> Accuracy | None:
    """The record, where it has something to show."""
    return row.record if row.record and (row.record.measured or row.record.top1 is not None) else None


def figure(value: float | None, places: int) -> Entry:
    """A figure with as many decimals as PaddleClas' page prints; what is too small for them has three digits."""
    small = value is not None and 0 < value < 10 ** (1 - places)
    return Entry(value, measured(value)) if small else columns.formatted(value, f".{places}f")


def published(value: Callable[[Published], float | None], places: int) -> Callable[[Row[Any]], Entry]:
    """What PaddleClas published of a row's model, with so many decimals."""

    def of_row(row: Row[Any]) -> Entry:
        found = PUBLISHED.get(row.subject.models[0])
        return figure(value(found) if found else None, places)

    return of_row


def _images(row: AccuracyRow) -> Entry | None:
    """How many images were counted, and what there is to know of them."""
    record = _counted(row)
    if record is None:
        return None
    about = [say("dataset: {name}", name=stored(record.dataset or "") or say("not recorded"))]
    if record.unreadable:
        about.append(
            say("{count} image{s} could not be read", count=record.unreadable, s="s" * (record.unreadable != 1))
        )
    if record.preprocessing_is_models is False:
        about.append(say("the preprocessing is not the model's"))
    if record.model_info and record.model_info.head == MULTI_LABEL:
        about.append(say("a multi-label model: top-1 is the class with the highest score, whatever its threshold"))
    if record.labels:
        about.append(_labels(record.labels))
    text = columns.entry(record.images).text
    text = say("{count} (subset)", count=text) if record.subset else text
    return Entry(record.images, text, row.note("; ".join(about)))


def _labels(known: str) -> str:
    """How the labels are known; the basis is in the words of the record."""
    state, _, basis = known.partition(": ")
    basis = stored(basis)
    if state == "proven":
        return say("the order of the classes is proven: {basis}", basis=basis)
    return say("the order of the classes is assumed: {basis}", basis=basis)


def _top1_or_status(row: AccuracyRow) -> Entry | Measured:
    """Top-1, or in its place why there is none."""
    if row.record and not _counted(row):
        return Entry(None, say(row.record.status), row.note(status_note(row.record)))
    return _top1(row.record)


def _top1(record: Accuracy | None) -> Measured:
    return (record.top1, record.top1_ci95) if record else (None, None)


def _verdict(row: AccuracyRow) -> Entry | None:
    record = _counted(row)
    if record is None:
        return None
    said = [None if record.status == "ok" else status_note(record), how_made(record), *remarks_on(record)]
    said = [missed_note(record), *said] if record.undecided else said
    why = row.note(*filter(None, said))
    p = record.mcnemar_p
    if record.doubt and record.passed is None:
        return Entry(
            None, say("in doubt"), row.note(*filter(None, [stored(record.doubt), how_made(record)])), tone=Tone.DOUBTFUL
        )
    detail = "" if p is None else f" (p = {p:.2g})"
    return columns.undecided(detail, why) if record.undecided else columns.verdict(record.passed, detail, why)


def precision(results: Results) -> Table:
    """Per latency of a runtime with several precisions or an accuracy: top-1, its change, and the gain over fp32.

    Gain: median of fp32 / median, on one machine, runtime, device, settings, batch and number of threads.
    """
    several = _several_precisions(results)
    cells = [cell for cell in results.of(Latency) if results.accuracies(cell) or _runtime_of(cell) in several]
    shown: list[Column[Row[Latency]]] = [
        *(MODEL, RUNTIME, BATCH),
        columns.text_column("Accuracy", _held),
        number_column("Top-1", lambda row: _top1(_worst(row))),
        columns.range_column("95 % interval of top-1", lambda row: _top1(_worst(row))),
        number_column("Change of top-1", lambda row: columns.change_of_top1(_worst(row)), form="+.4f"),
        number_column("McNemar p", lambda row: one.mcnemar_p if (one := _worst(row)) else None, form=".2g"),
        STATUS,
        number_column("Median (ms)", lambda row: (row.record.median_ms, row.record.ci95_ms) if row.shown else None),
        number_column("Gain over its own fp32", lambda row: _gain(row) if row.shown else None),
    ]
    rows, notes = rows_of(results, cells), (_PRECISION_NOTE, spread_note(results))
    records = [record for row in rows for record in (row.record, _worst(row))]
    title = mark("Precision against accuracy and speed")
    return columns.build("precision", title, results, shown, rows, *notes, records=records)


def _held(row: Row[Latency]) -> Entry:
    made = how_made(_worst(row) or row.record)
    return columns.held_accuracy(row.results, row.record, notes=row.note(made) if made else ())


def _worst(row: Row[Latency]) -> Accuracy | None:
    """The first accuracy of a cell that did not hold, else the last."""
    return next(iter(row.results.missed(row.record) or row.results.accuracies(row.record)[-1:]), None)


def _several_precisions(results: Results) -> set[tuple[str | None, str, str]]:
    """The runtimes of a model, on a machine, of which latencies in more than one precision were asked for."""
    found = grouped(results.of(Latency), _runtime_of)
    return {subject for subject, cells in found.items() if len({cell.precision for cell in cells}) > 1}


def _runtime_of(cell: Latency) -> tuple[str | None, str, str]:
    return cell.machine, cell.model, cell.runtime


def _gain(row: Row[Latency]) -> Entry | None:
    cell = row.record
    names = ("machine", "model", "runtime", "device", "settings", "batch", "threads")
    same = row.results.of(Latency, precision=FP32, **{name: getattr(cell, name) for name in names})
    found = [other for other in same if other.measured and not row.results.doubt(other)]
    return columns.gain(found[0], cell) if found and cell.precision != FP32 else None
