"""Accuracy and parity of two results held against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reports.compare import match
from reports.compare.change import SIGNIFICANCE, paired, together
from reports.compare.compared import APART, BETTER, SAME, UNKNOWN, WORSE, Compared, not_measured
from reports.compare.match import Pair
from runtimes.records.kinds import Accuracy, Parity
from validate.accuracy.outcomes import FIRST, UNREADABLE, Predictions, mcnemar


def accuracies(pairs: Sequence[Pair[Accuracy]]) -> list[Compared]:
    """Top-1 on the same images, by McNemar's test."""
    found: list[Compared] = []
    for pair in pairs:
        one, other = pair.base, pair.new
        cell = Compared("accuracy", one.model, match.name(one), "accuracy", notes=pair.notes)
        cell = replace(cell, base=one.top1, new=other.top1)
        outcomes = one.outcomes or "", other.outcomes or ""
        if why := pair.apart or _other_images(one, other, outcomes):
            lost = not pair.apart and one.measured and other.status == "failed"
            found.append(replace(cell, verdict=WORSE if lost else APART, notes=(*cell.notes, why)))
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


def _other_images(one: Accuracy, other: Accuracy, outcomes: tuple[str, str]) -> str | None:
    if reason := not_measured(one, other):
        return reason
    if not all(outcomes) or not one.selection_sha256 or not other.selection_sha256:
        return "it is not known image by image"
    if one.selection_sha256 != other.selection_sha256 or len(outcomes[0]) != len(outcomes[1]):
        return "measured on other images"
    if all(UNREADABLE in pair for pair in zip(*outcomes, strict=True)):
        return "no image was read by both"
    return None


def parity(pair: Pair[Parity]) -> Compared:
    one, other = pair.base, pair.new
    cell = Compared("parity", one.model, match.name(one), "parity", SAME, one.max_abs, other.max_abs)
    cell = replace(cell, notes=pair.notes)
    if pair.apart:
        return replace(cell, verdict=APART, notes=(*cell.notes, pair.apart))
    passed = one.passed, other.passed
    if passed == (True, True) or passed == (False, False):
        return cell
    if passed[1] is True:
        return replace(cell, verdict=BETTER)
    reason = other.reason or "no reason recorded"
    if passed[0] is True and (passed[1] is False or other.status == "failed"):
        return replace(cell, verdict=WORSE, notes=(*cell.notes, f"parity fails now: {reason}"))
    return replace(cell, verdict=UNKNOWN, notes=(*cell.notes, f"not checked in one of the two: {reason}"))
