"""From the answers of an evaluation to its record: what is counted, and what it is held against."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

import numpy as np

from convert.datasets.labelled_set import COMPLETE
from convert.zoo import PUBLISHED
from runtimes import registry
from runtimes.base import discrepancy
from runtimes.records.kinds import Accuracy
from validate.accuracy.doubt import Answers, doubt
from validate.accuracy.evaluation import REFERENCE, REFERENCE_PRECISION, Evaluation, Settings, command, subject
from validate.accuracy.outcomes import Predictions, holds, mcnemar, wilson
from validate.accuracy.top5_file import NONE

_CHANCE = 0.05  # of McNemar's p, above which a difference says little


def doubted(evaluation: Evaluation, record: Accuracy, first: np.ndarray) -> Accuracy:
    """The record with what speaks against its top-1. first: (images,), the class that came first, or negative."""
    labels = np.array(evaluation.dataset.labels)
    known = first != NONE
    answers = Answers(first[known], labels[known], evaluation.artifact.classes)
    return replace(record, doubt=doubt(answers, evaluation.artifact.seeded))


def counted(evaluation: Evaluation, record: Accuracy, outcomes: str, unreadable: list[str]) -> Accuracy:
    """The record with what follows from the outcomes alone. unreadable: names of images.

    A complete set of which some images could not be read is a subset. A runtime that computed in another precision, or
    gave logits that are not finite, has failed.
    """
    predictions = Predictions(outcomes)
    images = predictions.images
    record = replace(
        record,
        images=images,
        unreadable=predictions.unreadable,
        unreadable_images=tuple(unreadable),
        nonfinite=predictions.nonfinite,
        top1=predictions.top1,
        top5=predictions.top5,
        top1_ci95=wilson(predictions.right, images) if images else None,
        top5_ci95=wilson(predictions.among_five, images) if images else None,
        outcomes=predictions.outcomes,
        subset=bool(record.subset or predictions.unreadable),
    )
    reason = None
    if not images:
        reason = "no image could be read"
    elif predictions.nonfinite:
        reason = f"the logits of {predictions.nonfinite} of {images} images are not finite"
    elif record.effective:
        reason = discrepancy(evaluation.runtime.name, record.effective, evaluation.options)
    return replace(record, status="failed", reason=reason, passed=False) if reason else record


def compare(record: Accuracy, earlier: Iterable[Accuracy], evaluation: Evaluation, settings: Settings) -> Accuracy:
    """The record held against Paddle's among the earlier ones: reference_top1, mcnemar_p, passed, undecided, command.

    Paddle in fp32 is its own reference. Lower precisions are held against fp32 too, or where Paddle ran in theirs only,
    against that. Without a reference there is no verdict, unless the published figure gives one. Nor is there one where
    the reference itself is in doubt: a part of nothing means nothing. A bad top-1 beside a good one is no doubt.
    """
    if record.keep not in (None, keep := float(settings.bar)) and record.status == "ok":  # a verdict of another bar
        record = replace(record, passed=None, reference_top1=None, mcnemar_p=None)
    record = replace(record, keep=keep)
    own = record.runtime == REFERENCE and record.precision == REFERENCE_PRECISION
    reference = None if own else _reference(record, earlier)
    if reference is not None:
        predictions, standard = Predictions(record.outcomes or ""), Predictions(reference.outcomes or "")
        runtimes = [] if record.runtime == REFERENCE else [registry.get(REFERENCE)]
        precisions = list(dict.fromkeys([reference.precision, record.precision]))
        held = holds(predictions, Fraction(standard.right, standard.images), settings.bar)
        record = replace(
            record,
            reference_top1=reference.top1,
            mcnemar_p=mcnemar(predictions, standard),
            doubt=reference.doubt and (record.doubt or reference.doubt),
            passed=record.status == "ok" and held,
            command=command(evaluation, [*runtimes, evaluation.runtime], precisions, settings, record.batch),
        )
    elif record.runtime == REFERENCE and record.status == "ok":
        record = replace(record, reference_top1=record.top1, passed=True)
    if record.doubt and record.status == "ok":
        record = replace(record, passed=None)
    record = _published(record, settings.bar)
    return replace(record, undecided=_may_be_chance(record))


def _may_be_chance(record: Accuracy) -> bool | None:
    """Whether a record that missed the bar may be as good as the reference for all that its images tell; None where it
    did not miss it. The published figure is one on all images: what misses that one is no sample."""
    if record.status != "ok" or record.passed is not False:
        return None
    p = record.mcnemar_p
    return record.published_top1 is None and p is not None and p > _CHANCE


def _published(record: Accuracy, bar: Fraction) -> Accuracy:
    """The record held against the published figure, which is one on all 50,000 images, of the pretrained weights."""
    published = PUBLISHED.get(record.model)
    weights = record.model_info.weights if record.model_info else None
    pretrained = weights is not None and weights.kind == "pretrained"
    official = record.images == COMPLETE and not record.subset
    comparable = pretrained and official and record.preprocessing_is_models is True
    if published is None or not comparable or record.top1 is None:
        return record
    record = replace(record, published_top1=published.top1, published_difference=record.top1 - published.top1)
    if record.status != "ok":
        return record
    reached = holds(Predictions(record.outcomes or ""), Fraction(str(published.top1)), bar)
    return replace(record, passed=record.passed is not False and reached)


def below(record: Accuracy) -> str:
    """Why a record did not pass although it ran well, in words."""
    top1, keep, reference = record.top1 or 0.0, record.keep or 0.0, record.reference_top1
    if record.published_top1 is None or (reference is not None and top1 < keep * reference):
        why = f"top-1 {top1:.4f}, below {keep:.4g} of {reference:.4f} on {REFERENCE}"
        if record.undecided:
            return f"{why}; on {record.images} images that may be chance (p = {record.mcnemar_p:.2g}): take more"
        return why
    return f"top-1 {top1:.4f}, below {keep:.4g} of the published {record.published_top1:.4f}"


def _reference(record: Accuracy, earlier: Iterable[Accuracy]) -> Accuracy | None:
    """Paddle's newest good record on the same model, weights and images: in fp32, else in the record's precision."""
    found = {
        other.precision: other
        for other in earlier
        if other.runtime == REFERENCE and other.status == "ok" and other.outcomes and subject(other) == subject(record)
    }
    return found.get(REFERENCE_PRECISION) or found.get(record.precision)
