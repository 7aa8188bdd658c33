"""The tables of what a model is and whether it stayed the same: accuracy, size, parity, and what is missing and why."""

from __future__ import annotations

from typing import Any

from convert.zoo import PUBLISHED
from reports.language import names, say
from reports.load.results import MEASURED, Results, is_number
from reports.numbers import NONE, closeness, measured, spread, tiny
from reports.tables.frames import (
    Cell,
    Footnotes,
    Table,
    commands,
    frame,
    identity,
    machine,
    machine_column,
    model_cell,
    plain,
    runtime_name,
    status_note,
)
from runtimes.records.store import Record

FULL_SET = 50_000  # images of ILSVRC 2012 validation, on which the published accuracies were measured


def accuracy(results: Results) -> Table:
    """Top-1 and top-5 as fractions: measured, as PaddleClas published them, and as the original authors did."""
    notes = Footnotes()
    measurements = results.of("accuracy")
    rows = []
    for model in results.models:
        published = PUBLISHED.get(model)
        figures = (
            (published.top1, published.top5, published.reference_top1, published.reference_top5)
            if published
            else (None,) * 4
        )
        beside = [_figure(figure, 4) for figure in figures]
        records: list[Record | None] = [*results.of("accuracy", model=model)]
        for record in records or [None]:
            place = machine(results, record) if record else [None] * len(machine_column(results))
            rows.append([*place, model_cell(results, model), *_accuracies(record, notes), *beside])
    columns = names(
        *("Model", "Runtime", "Images", "Top-1", "95 % interval", "Top-5", "Verdict"),
        *("Published top-1", "Published top-5", "Reference top-1", "Reference top-5"),
    )
    return Table(
        "accuracy",
        say("Accuracy, beside the published one"),
        frame((*machine_column(results), *columns), rows),
        names(
            *(() if measurements else ("No accuracy was measured in these results.",)),
            "Fractions of the images. Published: PaddleClas' page, on the 50,000 images of ILSVRC 2012 validation; "
            "reference: the original authors, as that page quotes them. An accuracy on a subset or on other images "
            "is one on those images, not on the 50,000.",
            "Interval: Wilson's, of top-1; it limits the digits of top-5 too. Verdict: against the reference run over "
            "the same images; p is that of McNemar's test in pairs.",
        ),
        tuple(notes.texts),
        commands(measurements),
    )


def _accuracies(record: Record | None, notes: Footnotes) -> list[Cell]:
    """The measured part of an accuracy row, from runtime to verdict."""
    if record is None:
        return [plain(None)] * 6
    runtime = plain(runtime_name(record))
    top1, top5, interval = record.get("top1"), record.get("top5"), record.get("top1_ci95")
    if record["status"] not in MEASURED and top1 is None:
        return [
            runtime,
            plain(None),
            Cell(None, say(record["status"]), (notes.number(status_note(record)),)),
            *[plain(None)] * 3,
        ]
    about = [say("dataset: {name}", name=record.get("dataset") or say("not recorded"))]
    if record.get("unreadable"):
        about.append(say("{count} images could not be read", count=record["unreadable"]))
    if record.get("preprocessing_is_models") is False:
        about.append(say("the preprocessing is not the model's"))
    images = record.get("images")
    subset = record.get("subset") or (record["model"] in PUBLISHED and images != FULL_SET)
    text = plain(images).text
    text = say("{count} (subset)", count=text) if subset else text
    count = Cell(images, text, (notes.number("; ".join(about)),))
    passed, p = record.get("passed"), record.get("mcnemar_p")
    why = () if record["status"] == "ok" else (notes.number(status_note(record)),)
    verdict = NONE if passed is None else say("passed") if passed else say("failed")
    return [
        runtime,
        count,
        Cell(top1, measured(top1, interval)),
        Cell(interval, spread(top1, interval)),
        Cell(top5, measured(top5, interval)),
        Cell(passed, verdict if p is None else f"{verdict} (p = {p:.2g})", why),
    ]


def size(results: Results) -> Table:
    """Multiply-accumulates in G and parameters in M, as published and as counted."""
    rows = []
    for model in results.models:
        published = PUBLISHED.get(model)
        row: list[Any] = [model_cell(results, model)]
        for table, scale, figure in (
            ("macs", 1e9, published.gmacs if published else None),
            ("parameters", 1e6, published.mparams if published else None),
        ):
            counted = [results.count(model, table, name) for name in ("published", "total")]
            row.append(_figure(figure, 2))
            row += [_figure(None if count is None else count / scale, 2) for count in counted]
        rows.append(row)
    columns = names(
        *("Model", "FLOPs (G), published", "FLOPs (G), counted that way", "GMACs, all"),
        *("Params (M), published", "Params (M), counted that way", "Params (M), all"),
    )
    return Table(
        "size",
        say("Compute and parameters"),
        frame(columns, rows),
        (
            *names(
                "Per image. What PaddleClas publishes as FLOPs are multiply-accumulates (MACs) of the convolution and "
                "the linear layers only; all: with both matrix products of the attention. One MAC is two "
                "floating-point "
                "operations. Its Params leave out the position embedding and the class token; all: with them."
            ),
            *(f"{model}: {note}." for model in results.models for note in results.notes(model)),
        ),
        commands=commands(results.source(model) for model in results.models),
    )


def parity(results: Results) -> Table:
    """How far each runtime's logits are from the reference's, and whether that is within the tolerance."""
    notes = Footnotes()
    rows = []
    for record in results.of("parity"):
        passed, bounds = record.get("passed"), record.get("tolerance") or {}
        verdict = "passed" if passed is True else "failed" if passed is False else record["status"]
        why = () if passed is True else (notes.number(status_note(record)),)
        rows.append(
            [
                *identity(results, record),
                Cell(verdict, say(verdict), why),
                Cell(record.get("max_abs"), tiny(record.get("max_abs"))),
                *(Cell(bounds.get(name), tiny(bounds.get(name))) for name in ("max_abs", "paddle_max_abs", "needed")),
                Cell(record.get("mean_abs"), tiny(record.get("mean_abs"))),
                Cell(record.get("cosine"), closeness(record.get("cosine"), 7)),
                Cell(record.get("top1_agreement"), closeness(record.get("top1_agreement"), 4)),
                record.get("nonfinite"),
                _yes_no(record.get("batch_invariant")),
                Cell(bounds, _tolerance(bounds)),
                record.get("reference"),
                Cell(record.get("inputs"), _inputs(record.get("inputs"))),
            ]
        )
    columns = names(
        *("Model", "Runtime", "Verdict", "Max abs", "Allowed", "Paddle's own FP32 error", "Factor needed"),
        *("Mean abs", "Cosine", "Top-1 agreement", "Not finite", "Batch-invariant"),
        *("Tolerance", "Reference", "Inputs"),
    )
    return Table(
        "parity",
        say("Parity: is it the same model?"),
        frame((*machine_column(results), *columns), rows),
        names(
            "Differences of the logits, before any softmax, from the Paddle model in float64. Factor needed: the "
            "smallest that would have passed; what it is a factor of stands in the tolerance. Cosine and agreement are "
            "cut, not rounded: only 1 reads 1. Batch-invariant: an image's logits do not depend on the batch that it "
            "is in."
            if rows
            else "No parity was checked in these results: no speed is proven.",
        ),
        tuple(notes.texts),
        commands(results.of("parity")),
        once=names("Tolerance", "Reference", "Inputs"),
    )


def missing(results: Results) -> Table:
    """What was refused, failed, unavailable, unstable or left unproven, and why.

    Models share a row where all of it is the same, their batches too: the row holds of each model at each batch.
    """
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in results.records:
        doubt = results.doubt(record) if record["kind"] in ("latency", "throughput") else None
        if record["status"] != "ok":
            reason = record["reason"] or say("no reason recorded")
            key = (*machine(results, record), runtime_name(record), record["status"], reason, record["model"])
            groups.setdefault(key, []).append(record)
        if record["status"] in MEASURED and doubt:
            key = (*machine(results, record), runtime_name(record), "unproven", doubt, record["model"])
            groups.setdefault(key, []).append(record)
    merged: dict[tuple[Any, ...], list[str]] = {}
    for (*where, model), records in groups.items():
        timed = [record for record in records if record["kind"] in ("latency", "throughput")]
        batches = tuple(sorted({record["batch"] for record in timed if record.get("batch")}))
        kinds = tuple(dict.fromkeys(record["kind"] for record in records))
        merged.setdefault((*where, kinds, batches), []).append(model)
    rows = [
        [
            *place,
            model_cell(results, *models),
            runtime,
            ", ".join(map(say, kinds)),
            Cell(list(batches), ", ".join(map(str, batches)) or NONE),
            Cell(status, say(status)),
            reason,
        ]
        for (*place, runtime, status, reason, kinds, batches), models in merged.items()
    ]
    return Table(
        "missing",
        say("Not measured, or not to be relied on"),
        frame((*machine_column(results), *names("Models", "Runtime", "Of", "Batches", "Status", "Reason")), rows),
        (
            *names(
                "Refused: the tool would not run it under this name. Unavailable: this machine lacks it. Failed: it "
                "ran and went wrong. Unstable: measured, but beside other work, or the samples do not agree. Unproven: "
                "measured, but no parity check passed."
                if rows
                else "Nothing: every cell ended well and every speed is proven."
            ),
            *(
                say(
                    "Left out, because their artifact has been replaced since: {count} of the records of {model}.",
                    count=count,
                    model=model,
                )
                for model, count in results.stale.items()
            ),
        ),
        commands=commands(record for records in groups.values() for record in records),
    )


def _figure(value: float | None, places: int) -> Cell:
    """A figure with as many decimals as PaddleClas' page prints; what is too small for them has three digits."""
    small = value is not None and 0 < value < 10 ** (1 - places)
    return Cell(value, NONE if value is None else measured(value) if small else f"{value:.{places}f}")


def _yes_no(value: bool | None) -> Cell:
    return Cell(value, NONE if value is None else say("yes") if value else say("no"))


def _tolerance(bounds: dict[str, Any]) -> str:
    """`8 times Paddle's own FP32 error, cosine ≥ 0.9999999`, or the plain bounds of records that have no factor."""
    cosine = [say("cosine ≥ {bound}", bound=bounds["cosine"])] if "cosine" in bounds else []
    if is_number(bounds.get("factor")):
        return ", ".join(
            [say("{factor} times {unit}", factor=f"{bounds['factor']:g}", unit=say(bounds["unit"])), *cosine]
        )
    largest = [say("max abs ≤ {bound}", bound=tiny(bounds["max_abs"]))] if is_number(bounds.get("max_abs")) else []
    return ", ".join(largest + cosine) or NONE


def _inputs(inputs: Any) -> str:
    """What went in: the record's source, which says how many images there were."""
    source = inputs.get("source") if isinstance(inputs, dict) else inputs
    return plain(source).text
