"""From the answers of a cell to its record: what is counted, and what it is held against."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from convert.common import typed
from convert.zoo import PUBLISHED
from runtimes import registry
from runtimes.base import discrepancy
from runtimes.records.parts import Effective
from runtimes.records.store import Record
from validate.accuracy.cells import REFERENCE, REFERENCE_PRECISION, Cell, Settings, command, subject
from validate.accuracy.outcomes import Predictions, holds, mcnemar, reaches, wilson


def counted(cell: Cell, record: Record, outcomes: str, unreadable: list[str]) -> Record:
    """The record with what follows from the outcomes alone. unreadable: names of images.

    A complete set of which some images could not be read is a subset. A runtime that computed in another precision, or
    gave logits that are not finite, has failed.
    """
    predictions = Predictions(outcomes)
    record = record | {
        "images": predictions.images,
        "unreadable": predictions.unreadable,
        "unreadable_images": unreadable,
        "nonfinite": predictions.nonfinite,
        "top1": predictions.top1,
        "top5": predictions.top5,
        "outcomes": predictions.outcomes,
        "subset": record["subset"] or bool(predictions.unreadable),
    }
    if not predictions.images:
        return record | {"status": "failed", "reason": "no image could be read", "passed": False}
    record["top1_ci95"] = list(wilson(predictions.right, predictions.images))
    record["top5_ci95"] = list(wilson(predictions.among_five, predictions.images))
    reason = discrepancy(cell.runtime.name, typed.read(Effective, record["effective"]), cell.options)
    if predictions.nonfinite:
        reason = f"the logits of {predictions.nonfinite} of {predictions.images} images are not finite"
    return record | ({"status": "failed", "reason": reason, "passed": False} if reason else {})


def compare(record: Record, earlier: Iterable[Record], cell: Cell, settings: Settings) -> Record:
    """The cell's record held against Paddle's among the earlier ones: reference_top1, mcnemar_p, passed, command.

    Paddle in fp32 is its own reference. Lower precisions are held against fp32 too, or where Paddle ran in theirs only,
    against that. Without a reference there is no verdict, unless the published figure gives one.
    """
    record = record | {"keep": float(settings.bar)}
    own = record["runtime"] == REFERENCE and record["precision"] == REFERENCE_PRECISION
    reference = None if own else _reference(record, earlier)
    if reference is not None:
        predictions, standard = Predictions(record["outcomes"]), Predictions(reference["outcomes"])
        runtimes = [] if record["runtime"] == REFERENCE else [registry.get(REFERENCE)]
        precisions = list(dict.fromkeys([reference["precision"], record["precision"]]))
        record |= {
            "reference_top1": reference["top1"],
            "mcnemar_p": mcnemar(predictions, standard),
            "passed": record["status"] == "ok" and holds(predictions, standard, settings.bar),
            "command": command(cell, [*runtimes, cell.runtime], precisions, settings, record["batch"]),
        }
    elif record["runtime"] == REFERENCE and record["status"] == "ok":
        record |= {"reference_top1": record["top1"], "passed": True}
    return record | _published(record, settings.bar)


def _published(record: Record, bar: Fraction) -> Record:
    """What comes of the published figure, which is one on all 50,000 images, of the pretrained weights."""
    published = PUBLISHED.get(record["model"])
    pretrained = record["model_info"]["weights"]["kind"] == "pretrained"
    comparable = pretrained and not record["subset"] and record["preprocessing_is_models"] is True
    if published is None or not comparable or record["top1"] is None:
        return {}
    found = {
        "published_top1": published.top1,
        "published_difference": record["top1"] - published.top1,
    }
    if record["status"] == "ok":
        right = Predictions(record["outcomes"]).right
        reached = reaches(right, record["images"], Fraction(str(published.top1)), bar)
        found["passed"] = record["passed"] is not False and reached
    return found


def below(record: Record) -> str:
    """Why a record did not pass although it ran well, in words."""
    keep, top1 = record["keep"], record["top1"]
    reference, published = record["reference_top1"], record["published_top1"]
    if published is None or (reference is not None and top1 < keep * reference):
        return f"has top-1 {top1:.4f}, below {keep:.4g} of {reference:.4f} on {REFERENCE}"
    return f"has top-1 {top1:.4f}, below {keep:.4g} of the published {published:.4f}"


def _reference(record: Record, earlier: Iterable[Record]) -> Record | None:
    """Paddle's newest good record on the same model, weights and images: in fp32, else in the record's precision."""
    found = {
        other["precision"]: other
        for other in earlier
        if other["kind"] == "accuracy"
        and other["runtime"] == REFERENCE
        and other["status"] == "ok"
        and other.get("outcomes")
        and subject(other) == subject(record)
    }
    return found.get(REFERENCE_PRECISION) or found.get(record["precision"])
