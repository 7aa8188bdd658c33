"""How far apart two sets of logits are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Difference:
    """Statistics of logits against a reference, over all images and classes.

    nonfinite: NaN and infinite values among the logits, counted before anything else; the other numbers are None when
    there is one. max_abs, mean_abs: absolute error. cosine: the lowest over the images. top1_agreement: share of images
    with the same first class. top5_agreement: mean share of the five first classes that are the same.
    """

    nonfinite: int
    max_abs: float | None = None
    mean_abs: float | None = None
    cosine: float | None = None
    top1_agreement: float | None = None
    top5_agreement: float | None = None


def compare(logits: np.ndarray, reference: np.ndarray) -> Difference:
    """Compare logits (images, classes) with a finite reference of the same shape. ValueError when shapes differ."""
    if logits.shape != reference.shape:
        raise ValueError(f"logits {logits.shape} against a reference {reference.shape}")
    nonfinite = int(np.size(logits) - np.isfinite(logits).sum())
    if nonfinite:
        return Difference(nonfinite)
    a, b = logits.astype(np.float64), reference.astype(np.float64)
    error = np.abs(a - b)
    cosine = (a * b).sum(1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), np.finfo(float).tiny)
    k = min(5, a.shape[1])
    first, second = (np.argsort(-x, axis=1, kind="stable")[:, :k] for x in (a, b))
    shared = [len(set(row) & set(other)) / k for row, other in zip(first, second, strict=True)]
    return Difference(
        nonfinite=0,
        max_abs=float(error.max()),
        mean_abs=float(error.mean()),
        cosine=float(cosine.min()),
        top1_agreement=float((first[:, 0] == second[:, 0]).mean()),
        top5_agreement=float(np.mean(shared)),
    )


def worst(differences: list[Difference]) -> Difference:
    """The worst of each statistic, over several comparisons."""
    nonfinite = sum(d.nonfinite for d in differences)
    if nonfinite:
        return Difference(nonfinite)

    def values(name: str) -> list[float]:
        return [getattr(d, name) for d in differences]

    highest = {name: max(values(name)) for name in ("max_abs", "mean_abs")}
    lowest = {name: min(values(name)) for name in ("cosine", "top1_agreement", "top5_agreement")}
    return Difference(0, **highest, **lowest)
