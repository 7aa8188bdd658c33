"""Accuracy and parity of two results held against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reports.compare.change import SIGNIFICANCE, paired, together
from reports.compare.compared import APART, BETTER, SAME, UNKNOWN, WORSE, Compared, not_measured, of_pair
from reports.compare.match import Pair
from runtimes.records.kinds import Accuracy, Parity
from validate.accuracy.outcomes import FIRST, UNREADABLE, Predictions, mcnemar


def accuracies(pairs: Sequence[Pair[Accuracy]]) -> list[Compared]:
    """Top-1 on the same images, by McNemar's test."""
    found: list[Compared] = []
    for pair in pairs:
        one, other = pair.base, pair.new
        cell = of_pair(pair, "accuracy", one.top1, other.top1)
        outcomes = one.outcomes or "", other.outcomes or ""
        if why := pair.apart or _other_images(pair, outcomes):
            lost = not pair.apart and one.measured and other.status == "failed"
            absent = not pair.apart and not one.measured
            found.append(cell.noted(why, verdict=WORSE if lost else APART, absent=absent))
            continue
        read = [both for both in zip(*outcomes, strict=True) if UNREADABLE not in both]
        only_base, only_new = sum(a == FIRST != b for a, b in read), sum(b == FIRST != a for a, b in read)
        p = mcnemar(Predictions(outcomes[0]), Predictions(outcomes[1]))
        found.append(replace(cell, change=paired(only_base, only_new, len(read), p)))
    adjusted = iter(together([cell.change.p for cell in found if cell.change]))
    return [_accuracy(cell, next(adjusted)) if cell.change else cell for cell in found]


def _accuracy(cell: Compared, p: float) -> Compared:
    assert cell.change
    verdict = SAME if p > SIGNIFICANCE else BETTER if cell.change.amount > 0 else WORSE
    return replace(cell, verdict=verdict, change=replace(cell.change, p=p))


def _other_images(pair: Pair[Accuracy], outcomes: tuple[str, str]) -> str | None:
    if reason := not_measured(pair):
        return reason
    selections = pair.base.selection_sha256, pair.new.selection_sha256
    if not all(outcomes) or not all(selections):
        return "it is not known image by image"
    if selections[0] != selections[1] or len(outcomes[0]) != len(outcomes[1]):
        return "measured on other images"
    if all(UNREADABLE in pair for pair in zip(*outcomes, strict=True)):
        return "no image was read by both"
    return None


def parity(pair: Pair[Parity]) -> Compared:
    one, other = pair.base, pair.new
    cell = of_pair(pair, "parity", one.max_abs, other.max_abs)
    if pair.apart:
        return cell.noted(pair.apart, verdict=APART)
    if one.passed is not None and one.passed == other.passed:
        return replace(cell, verdict=SAME)
    if other.passed:
        return replace(cell, verdict=BETTER)
    reason = other.reason or "no reason recorded"
    if one.passed and (other.passed is False or other.status == "failed"):
        return cell.noted(f"parity fails now: {reason}", verdict=WORSE)
    return cell.noted(f"not checked in one of the two: {reason}", verdict=UNKNOWN, absent=one.passed is None)
