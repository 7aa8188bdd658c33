"""The tables of accuracy: beside the published one, and what a precision costs of it and gains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from convert.zoo import PUBLISHED, Published
from reports.language import mark, say
from reports.load.results import Results
from reports.numbers import measured
from reports.tables.columns import (
    BATCH,
    MODEL,
    RUNTIME,
    STATUS,
    Measured,
    TimedLine,
    build,
    change_of_top1,
    formatted,
    gain,
    held_accuracy,
    number_column,
    range_column,
    subject_of,
    text_column,
    verdict,
)
from reports.tables.standing import runtime_name, spread_note, status_note
from reports.tables.table import Column, Entry, Footnotes, Line, Subject, Table, entry
from runtimes.records.kinds import Accuracy, Latency

FULL_SET = 50_000  # images of ILSVRC 2012 validation, on which the published accuracies were measured
_FIGURES_NOTE = mark(
    "Fractions of the images. Published: PaddleClas' page, on the 50,000 images of ILSVRC 2012 validation; "
    "reference: the original authors, as that page quotes them. An accuracy on a subset or on other images "
    "is one on those images, not on the 50,000."
)
_INTERVAL_NOTE = mark(
    "Interval: Wilson's, of top-1; it limits the digits of top-5 too. Verdict: against the reference run over "
    "the same images; p is that of McNemar's test in pairs."
)
_PRECISION_NOTE = mark(
    "Accuracy: whether top-1 held against the reference over the same images; where it was not measured, "
    "parity alone speaks for a precision. Change of top-1: against that reference; p is that of McNemar's test "
    "in pairs. Gain: the median of fp32 on the same runtime at the same batch, divided by this median."
)


@dataclass(frozen=True)
class AccuracyLine:
    """What a row is made from. record: None for a model whose accuracy was not measured."""

    results: Results
    subject: Subject
    notes: Footnotes
    record: Accuracy | None

    @property
    def counted(self) -> Accuracy | None:
        """The record, where it has something to show."""
        return self.record if self.record and (self.record.measured or self.record.top1 is not None) else None


def accuracy(results: Results) -> Table:
    """Top-1 and top-5 as fractions: measured, as PaddleClas published them, and as the original authors did."""
    footnotes = Footnotes()
    measurements = results.of(Accuracy)
    lines = []
    for model in results.models:
        records = results.of(Accuracy, model=model)
        lines += [AccuracyLine(results, subject_of(record), footnotes, record) for record in records]
        if not records:
            lines.append(AccuracyLine(results, Subject((model,)), footnotes, None))
    columns: list[Column[AccuracyLine]] = [
        MODEL,
        text_column("Runtime", lambda line: runtime_name(line.record) if line.record else None),
        number_column("Images", _images),
        number_column("Top-1", _top1_or_status),
        range_column("95 % interval", lambda line: _top1(line.counted)),
        number_column("Top-5", _top5),
        text_column("Verdict", _verdict),
        number_column("Published top-1", published(lambda one: one.top1, 4)),
        number_column("Published top-5", published(lambda one: one.top5, 4)),
        number_column("Reference top-1", published(lambda one: one.reference_top1, 4)),
        number_column("Reference top-5", published(lambda one: one.reference_top5, 4)),
    ]
    nothing = () if measurements else (mark("No accuracy was measured in these results."),)
    title, notes = mark("Accuracy, beside the published one"), (*nothing, _FIGURES_NOTE, _INTERVAL_NOTE)
    return build("accuracy", title, results, columns, lines, *notes, footnotes=footnotes, records=measurements)


def figure(value: float | None, places: int) -> Entry:
    """A figure with as many decimals as PaddleClas' page prints; what is too small for them has three digits."""
    small = value is not None and 0 < value < 10 ** (1 - places)
    return Entry(value, measured(value)) if small else formatted(value, f".{places}f")


def published(value: Callable[[Published], float | None], places: int) -> Callable[[Line], Entry]:
    """What PaddleClas published of a row's model, with so many decimals."""

    def of_line(line: Line) -> Entry:
        found = PUBLISHED.get(line.subject.models[0])
        return figure(value(found) if found else None, places)

    return of_line


def _images(line: AccuracyLine) -> Entry | None:
    """How many images were counted, and what there is to know of them."""
    record = line.counted
    if record is None:
        return None
    about = [say("dataset: {name}", name=record.dataset or say("not recorded"))]
    if record.unreadable:
        about.append(say("{count} images could not be read", count=record.unreadable))
    if record.preprocessing_is_models is False:
        about.append(say("the preprocessing is not the model's"))
    subset = record.subset or (record.model in PUBLISHED and record.images != FULL_SET)
    text = entry(record.images).text
    text = say("{count} (subset)", count=text) if subset else text
    return Entry(record.images, text, (line.notes.number("; ".join(about)),))


def _top1_or_status(line: AccuracyLine) -> Entry | Measured:
    """Top-1, or in its place why there is none."""
    if line.record and not line.counted:
        return Entry(None, say(line.record.status), (line.notes.number(status_note(line.record)),))
    return _top1(line.record)


def _top1(record: Accuracy | None) -> Measured:
    return (record.top1, record.top1_ci95) if record else (None, None)


def _top5(line: AccuracyLine) -> Measured:
    return (line.counted.top5, line.counted.top1_ci95) if line.counted else (None, None)


def _verdict(line: AccuracyLine) -> Entry | None:
    record = line.counted
    if record is None:
        return None
    why = () if record.status == "ok" else (line.notes.number(status_note(record)),)
    p = record.mcnemar_p
    return verdict(record.passed, "" if p is None else f" (p = {p:.2g})", why)


@dataclass(frozen=True)
class PrecisionLine(TimedLine[Latency]):
    """What a row is made from: a latency, and the accuracy of what it measured."""

    accuracy: Accuracy | None


def precision(results: Results) -> Table:
    """Per latency of a runtime with several precisions or an accuracy: top-1, its change, and the gain over fp32.

    Gain: median of fp32 / median, on one machine, runtime, device, settings, batch and number of threads.
    """
    notes = Footnotes()
    several = _several_precisions(results)
    lines = [
        PrecisionLine(results, cell, notes, accuracy)
        for cell, accuracy in ((cell, _worst(results.accuracies(cell))) for cell in results.of(Latency))
        if accuracy or (cell.machine, cell.model, cell.runtime) in several
    ]
    columns: list[Column[PrecisionLine]] = [
        *(MODEL, RUNTIME, BATCH),
        text_column("Accuracy", lambda line: held_accuracy(line.results, line.record)),
        number_column("Top-1", lambda line: _top1(line.accuracy)),
        range_column("95 % interval of top-1", lambda line: _top1(line.accuracy)),
        number_column("Change of top-1", lambda line: change_of_top1(line.accuracy), form="+.4f"),
        number_column("McNemar p", lambda line: line.accuracy.mcnemar_p if line.accuracy else None, form=".2g"),
        STATUS,
        number_column("Median (ms)", lambda line: (line.record.median_ms, line.record.ci95_ms) if line.shown else None),
        number_column("Gain over fp32", lambda line: _gain(line) if line.shown else None),
    ]
    title, texts = mark("Precision against accuracy and speed"), (_PRECISION_NOTE, spread_note(results))
    records = [record for line in lines for record in (line.record, line.accuracy)]
    return build("precision", title, results, columns, lines, *texts, footnotes=notes, records=records)


def _worst(accuracies: list[Accuracy]) -> Accuracy | None:
    """The first that did not hold, else the last."""
    failed = [record for record in accuracies if record.passed is False]
    return next(iter(failed or accuracies[-1:]), None)


def _several_precisions(results: Results) -> set[tuple[str | None, str, str]]:
    """The runtimes of a model, on a machine, of which latencies in more than one precision were asked for."""
    found = defaultdict(set)
    for cell in results.of(Latency):
        found[cell.machine, cell.model, cell.runtime].add(cell.precision)
    return {subject for subject, precisions in found.items() if len(precisions) > 1}


def _gain(line: PrecisionLine) -> Entry | None:
    cell = line.record
    names = ("machine", "model", "runtime", "device", "settings", "batch", "threads")
    same = line.results.of(Latency, precision="fp32", **{name: getattr(cell, name) for name in names})
    found = [other for other in same if other.measured and not line.results.doubt(other)]
    return gain(found[0], cell) if found and cell.precision != "fp32" else None
