"""How far apart two sets of logits are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from runtimes.records.parts import FlipInfo

Values = NDArray[np.float64]

_QUANTILES = (0.5, 0.99, 0.999)
# A logit may be zero, and then any error is infinite relative to it: it counts as this share of its image's largest.
_SMALLEST_RELATIVE_TO_LARGEST = 1e-3
_NO_SIGNAL = 1e-200  # instead of the zero of an image whose logits are all zero


@dataclass(frozen=True)
class Difference:
    """Statistics of logits against a reference, over all images and classes.

    nonfinite: NaN and infinite values among the logits, counted before anything else; nan, inf: either kind of them.
    The other numbers are None when there is one. worst_image: the name of the image with the largest absolute error, or
    with the most values that are not finite.

    max_abs, mean_abs, p50_abs, p99_abs, p999_abs: absolute error and its quantiles; the same with _rel: relative to the
    reference's logit, which counts as at least a thousandth of its image's largest. cosine, snr_db: cosine similarity
    and signal-to-noise ratio in dB (at most that of float64 itself, 313), the lowest over the images. kl:
    Kullback-Leibler divergence of the softmax from the reference's, in nats, the highest over the images.

    top1_agreement: share of images with the same first class. top5_agreement: mean share of the five first classes
    that are the same. top1_flips: images with another first class, each of which is in `flips`. top1_ties: those of
    them that are ties: the margin is within twice the allowed error, so that errors that are allowed can swap the two.
    """

    nonfinite: int
    nan: int = 0
    inf: int = 0
    worst_image: str | None = None
    max_abs: float | None = None
    mean_abs: float | None = None
    p50_abs: float | None = None
    p99_abs: float | None = None
    p999_abs: float | None = None
    max_rel: float | None = None
    mean_rel: float | None = None
    p50_rel: float | None = None
    p99_rel: float | None = None
    p999_rel: float | None = None
    cosine: float | None = None
    snr_db: float | None = None
    kl: float | None = None
    top1_agreement: float | None = None
    top5_agreement: float | None = None
    top1_flips: int | None = None
    top1_ties: int | None = None
    flips: tuple[FlipInfo, ...] = ()


_HIGHEST_IS_WORST = (
    *("max_abs", "mean_abs", "p50_abs", "p99_abs", "p999_abs"),
    *("max_rel", "mean_rel", "p50_rel", "p99_rel", "p999_rel", "kl"),
)
_LOWEST_IS_WORST = ("cosine", "snr_db", "top1_agreement", "top5_agreement")


def compare(logits: np.ndarray, reference: np.ndarray, names: Sequence[str], allowed: float) -> Difference:
    """Compare logits (images, classes) with a finite reference of the same shape. ValueError when shapes differ.

    names: of the images. allowed: the largest absolute error that is no fault, which decides what is a tie. The error
    that was found would not do: no first class flips but within twice that.
    """
    if logits.shape != reference.shape:
        raise ValueError(f"logits {logits.shape} against a reference {reference.shape}")
    nan, inf = np.isnan(logits), np.isinf(logits)
    if nan.any() or inf.any():
        counts = int(nan.sum()), int(inf.sum())
        return Difference(sum(counts), *counts, worst_image=names[(nan | inf).sum(1).argmax()])
    a, b = logits.astype(np.float64), reference.astype(np.float64)
    error = np.abs(a - b)
    floor = _SMALLEST_RELATIVE_TO_LARGEST * np.abs(b).max(1, keepdims=True)
    size = np.maximum(np.abs(b), floor)
    relative = np.divide(error, size, out=(error > 0).astype(np.float64), where=size > 0)
    flips = _flips(a, b, names, allowed)
    return Difference(
        nonfinite=0,
        worst_image=names[error.max(1).argmax()],
        **_spread("abs", error),
        **_spread("rel", relative),
        cosine=float(cosine(a, b).min()),
        snr_db=float(_snr_db(error, b).min()),
        kl=float(_kl(b, a).max()),
        top1_agreement=1 - len(flips) / len(a),
        top5_agreement=_agreement(a, b, min(5, a.shape[1])),
        top1_flips=len(flips),
        top1_ties=sum(bool(flip.tie) for flip in flips),
        flips=flips,
    )


def worst(differences: Sequence[Difference]) -> Difference:
    """The worst of each statistic, over several comparisons of the same images. Values not finite are added up."""
    if any(d.nonfinite for d in differences):
        image = max(differences, key=lambda d: d.nonfinite).worst_image
        nan, inf = sum(d.nan for d in differences), sum(d.inf for d in differences)
        return Difference(nan + inf, nan, inf, image)
    flipped = max(differences, key=lambda d: (sum(not flip.tie for flip in d.flips), len(d.flips)))
    return Difference(
        nonfinite=0,
        worst_image=max(differences, key=lambda d: d.max_abs or 0.0).worst_image,
        **{name: max(getattr(d, name) for d in differences) for name in _HIGHEST_IS_WORST},
        **{name: min(getattr(d, name) for d in differences) for name in _LOWEST_IS_WORST},
        top1_flips=flipped.top1_flips,
        top1_ties=flipped.top1_ties,
        flips=flipped.flips,
    )


def without_classes(difference: Difference) -> Difference:
    """The same of outputs that are no scores of classes of which one is right: features, or those of several labels."""
    return replace(
        difference, kl=None, top1_agreement=None, top5_agreement=None, top1_flips=None, top1_ties=None, flips=()
    )


def _spread(kind: str, error: Values) -> dict[str, Any]:
    p50, p99, p999 = np.quantile(error, _QUANTILES)
    values = {"max": error.max(), "mean": error.mean(), "p50": p50, "p99": p99, "p999": p999}
    return {f"{name}_{kind}": float(value) for name, value in values.items()}


def cosine(a: Values, b: Values) -> Values:
    """(images,), of logits (images, classes). Two images of nothing but zeros are the same; one is like nothing."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    equal = (a == b).all(1).astype(np.float64)
    found: Values = np.where(norms > 0, (a * b).sum(1) / np.maximum(norms, np.finfo(float).tiny), equal)
    return np.minimum(found, 1.0)


def _snr_db(error: Values, reference: Values) -> Values:
    signal = np.maximum((reference**2).sum(1), _NO_SIGNAL)
    noise = np.maximum((error**2).sum(1), signal * np.finfo(float).eps ** 2)
    found: Values = 10 * np.log10(signal / noise)
    return found


def _kl(p: Values, q: Values) -> Values:
    """Of softmax(q) from softmax(p), in nats, per row: sum p (log p - log q)."""
    log_p, log_q = log_softmax(p, axis=1), log_softmax(q, axis=1)
    found: Values = np.maximum((np.exp(log_p) * (log_p - log_q)).sum(1), 0.0)
    return found


def _agreement(a: Values, b: Values, k: int) -> float:
    first, second = (np.argsort(-x, kind="stable")[:, :k] for x in (a, b))
    return float(np.mean([len(set(row) & set(other)) / k for row, other in zip(first, second, strict=True)]))


def _flips(a: Values, b: Values, names: Sequence[str], allowed: float) -> tuple[FlipInfo, ...]:
    flips = []
    for name, row, expected, found in zip(names, b, b.argmax(1), a.argmax(1), strict=True):
        if found != expected:
            margin = float(row[expected] - row[found])
            tie = margin <= 2 * allowed
            flips.append(FlipInfo(image=name, expected=int(expected), found=int(found), margin=margin, tie=tie))
    return tuple(flips)
