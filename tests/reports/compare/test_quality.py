"""Accuracy and parity held against each other, image by image and check by check."""

from __future__ import annotations

from typing import Any

import pytest
from scipy.stats import binomtest

from reports.compare.compared import APART, BETTER, SAME, UNKNOWN, WORSE
from reports.compare.match import Pair
from reports.compare.quality import accuracies, parity
from runtimes.records.kinds import Accuracy, Parity
from tests.runtimes.records.made import record


def accuracy(outcomes: str | None, **fields: Any) -> Accuracy:
    top1 = outcomes.count("1") / len(outcomes.replace("-", "")) if outcomes and outcomes.strip("-") else None
    return record(Accuracy, **{"outcomes": outcomes, "top1": top1, "selection_sha256": "c", **fields})


def judged(base: Accuracy, new: Accuracy, **fields: Any) -> Any:
    (found,) = accuracies([Pair(base, new, **fields)])
    return found


def test_only_images_on_which_one_alone_is_right_count() -> None:
    """And only those that both read: 12 lost, 2 won, of 100; 20 were read by one alone."""
    base = accuracy("1" * 50 + "0" * 36 + "1" * 12 + "05" + "1" * 10 + "-" * 10)
    new = accuracy("1" * 50 + "5" * 36 + "05x" * 4 + "11" + "-" * 10 + "0" * 10)
    found = judged(base, new)
    assert (found.base, found.new, found.figure) == (base.top1, new.top1, "accuracy")
    assert found.change.amount == pytest.approx(-0.10)
    assert found.change.p == pytest.approx(binomtest(2, 14).pvalue)
    assert found.change.p < 0.05
    assert found.verdict == WORSE
    assert judged(new, base).verdict == BETTER
    assert judged(base, base).verdict == SAME
    assert found.change.low < -0.10 < found.change.high


def test_several_are_judged_together() -> None:
    """p of 2 in 14 is 0.013: of four comparisons none shows a change."""
    base, new = accuracy("1" * 12 + "00" + "1" * 86), accuracy("0" * 12 + "11" + "1" * 86)
    same = accuracy("1" * 100)
    lacking = Pair(same, accuracy(None))
    found = accuracies([lacking, Pair(base, new), lacking, *[Pair(same, same)] * 3, lacking])
    assert [one.verdict for one in found] == [APART, SAME, APART, SAME, SAME, SAME, APART]
    assert found[1].change
    assert found[1].change.p == pytest.approx(4 * binomtest(2, 14).pvalue)


@pytest.mark.parametrize(
    ("changes", "words", "verdict"),
    [
        ({"selection_sha256": "d"}, "measured on other images", APART),
        ({"outcomes": "11100"}, "measured on other images", APART),
        ({"outcomes": None}, "it is not known image by image", APART),
        ({"selection_sha256": None}, "it is not known image by image", APART),
        ({"outcomes": "--11"}, None, SAME),
        ({"outcomes": "----"}, "no image was read by both", APART),
        ({"status": "failed", "reason": "not finite"}, "NEW: failed: not finite", WORSE),
        ({"status": "refused", "reason": "no room"}, "NEW: refused: no room", APART),
    ],
)
def test_what_cannot_be_compared_says_why(changes: dict[str, Any], words: str | None, verdict: str) -> None:
    base = accuracy("1110")
    new = accuracy(**{"outcomes": "1110", **changes})
    found = judged(base, new)
    assert (found.notes, found.verdict) == ((words,) if words else (), verdict)
    assert (found.change is None) == bool(words)
    other_way = judged(new, base)
    assert other_way.verdict == (SAME if words is None else APART)
    apart = judged(base, new, apart="measured with other options")
    assert (apart.notes, apart.verdict) == (("measured with other options",), APART)


def test_that_no_image_was_read_by_both_takes_all_of_them() -> None:
    assert judged(accuracy("--10"), accuracy("10--")).notes == ("no image was read by both",)
    assert judged(accuracy("--10"), accuracy("110-")).notes == ()


@pytest.mark.parametrize(
    ("base", "new", "verdict", "note"),
    [
        ({"passed": True}, {"passed": True}, SAME, None),
        ({"passed": False}, {"passed": False}, SAME, None),
        ({"passed": False}, {"passed": True}, BETTER, None),
        ({"passed": None}, {"passed": True}, BETTER, None),
        ({"passed": True}, {"passed": False, "reason": "differ"}, WORSE, "parity fails now: differ"),
        ({"passed": True}, {"passed": None, "status": "failed"}, WORSE, "parity fails now: no reason recorded"),
        (
            {"passed": True},
            {"passed": None, "status": "unavailable", "reason": "gone"},
            UNKNOWN,
            "not checked in one of the two: gone",
        ),
        ({"passed": None}, {"passed": None}, UNKNOWN, "not checked in one of the two: no reason recorded"),
        ({"passed": None}, {"passed": False}, UNKNOWN, "not checked in one of the two: no reason recorded"),
    ],
)
def test_parity(base: dict[str, Any], new: dict[str, Any], verdict: str, note: str | None) -> None:
    one, other = record(Parity, max_abs=1e-6, **base), record(Parity, max_abs=2e-6, **new)
    found = parity(Pair(one, other))
    assert (found.verdict, found.notes) == (verdict, (note,) if note else ())
    assert (found.figure, found.base, found.new) == ("parity", 1e-6, 2e-6)
    assert parity(Pair(one, other, "measured with other options")).verdict == APART
