"""Differences of logits: by hand, and what must hold whatever the logits are."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import rel_entr, softmax

from runtimes.records.parts import FlipInfo
from validate.parity import metrics
from validate.parity.metrics import Difference, worst


def compare(found: np.ndarray, expected: np.ndarray, allowed: float = 0.0) -> Difference:
    """The images are called by their numbers."""
    return metrics.compare(found, expected, list(map(str, range(len(found)))), allowed)


LOGITS = hnp.arrays(np.float32, (4, 9), elements=st.floats(-100, 100, width=32))


def test_by_hand() -> None:
    expected = np.array([[3, 4, 0], [0, 1, 0]], np.float64)
    found = np.array([[4, 3, 0], [0, 1, 0]], np.float32)
    difference = compare(found, expected)
    assert (difference.max_abs, difference.mean_abs, difference.p50_abs) == (1, 2 / 6, 0)
    assert difference.p99_abs == pytest.approx(1)
    assert difference.max_rel == pytest.approx(1 / 3)
    assert difference.mean_rel == pytest.approx((1 / 3 + 1 / 4) / 6)
    assert difference.cosine == pytest.approx(24 / 25)
    assert difference.snr_db == pytest.approx(10 * math.log10(25 / 2))
    p, q = softmax(expected[0]), softmax(found[0].astype(float))
    assert difference.kl == pytest.approx(rel_entr(p, q).sum())
    assert (difference.top1_agreement, difference.top5_agreement) == (0.5, 1)
    assert (difference.top1_flips, difference.top1_ties, difference.worst_image) == (1, 0, "0")
    assert difference.nonfinite == 0


def test_by_hand_with_errors_of_several_sizes() -> None:
    """Squares of 1 and of 0 are themselves, and of three classes all are among the first five."""
    expected = np.array([[8.0, 7, 6, 5, 4, 3, 2], [-2, 1, 0, 0, 0, 0, 0]])
    found = expected + np.array([[0, 0, -3.5, 0, 0, 0, 3], [0, 0.5, 0, 0, 0, 0, 0]])
    difference = compare(found, expected)
    signals, errors = [64 + 49 + 36 + 25 + 16 + 9 + 4, 5], [3.5**2 + 9, 0.25]
    assert difference.snr_db == pytest.approx(min(10 * math.log10(s / e) for s, e in zip(signals, errors, strict=True)))
    assert difference.top5_agreement == pytest.approx((4 / 5 + 1) / 2)  # 2.5 for 6 falls out, 5 for 2 comes in
    assert difference.max_abs == 3.5
    assert difference.max_rel == pytest.approx(1.5)
    assert difference.cosine == pytest.approx(
        min((a @ b) / math.sqrt((a @ a) * (b @ b)) for a, b in zip(found, expected, strict=True))
    )


def test_a_cosine_is_never_above_one() -> None:
    same = np.array([[0.1, 0.7]])  # their product is 1.0000000000000002 times that of their norms
    assert compare(same, same).cosine == 1.0


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_cosine_does_not_depend_on_the_scale(scale: float) -> None:
    assert compare(scale * np.array([[3.0, 4]]), scale * np.array([[4.0, 3]])).cosine == pytest.approx(24 / 25)


def test_quantiles_tell_one_wild_value_from_an_error_everywhere() -> None:
    expected = np.full((10, 1000), 2.0)
    wild = expected.copy()
    wild[3, 5] = 7
    difference = compare(wild, expected)
    assert (difference.max_abs, difference.p999_abs, difference.worst_image) == (5, 0, "3")
    everywhere = compare(expected + 5, expected)
    assert (everywhere.max_abs, everywhere.p50_abs, everywhere.p999_rel) == (5, 5, 2.5)


def test_a_logit_of_zero_does_not_make_an_error_infinite() -> None:
    difference = compare(np.array([[1e-6, 10]]), np.array([[0.0, 10]]))
    assert difference.max_rel == pytest.approx(1e-6 / 1e-2)
    zeros = compare(np.zeros((2, 3)), np.zeros((2, 3)))
    assert (zeros.max_rel, zeros.cosine) == (0, 1)
    ones = compare(np.ones((1, 3)), np.zeros((1, 3)))
    assert (ones.max_rel, ones.cosine) == (1, 0)


@pytest.mark.parametrize(
    ("allowed", "ties"), [(0.0, 0), (0.04, 0), (0.046875, 1), (0.05, 1), (0.3749, 1), (0.375, 2), (0.4, 2)]
)
def test_a_flip_within_the_allowed_error_of_both_classes_is_a_tie(allowed: float, ties: int) -> None:
    expected = np.array([[1.0, 0.90625, 0], [1, 0.25, 0], [3, 2, 1]])  # margins 0.09375 and 0.75
    found = np.array([[1.0, 1.25, 0], [1, 1.5, 0], [3, 2, 1]])
    difference = compare(found, expected, allowed)
    assert (difference.top1_flips, difference.top1_ties) == (2, ties)
    assert difference.top1_agreement == pytest.approx(1 / 3)
    assert difference.flips == (
        FlipInfo(image="0", expected=0, found=1, margin=0.09375, tie=ties >= 1),
        FlipInfo(image="1", expected=0, found=1, margin=0.75, tie=ties >= 2),
    )


@given(LOGITS, hnp.arrays(np.float64, (4, 9), elements=st.floats(-1, 1)))
def test_every_flip_within_the_allowed_error_is_a_tie(expected: np.ndarray, error: np.ndarray) -> None:
    reference = expected.astype(np.float64)
    difference = compare(reference + error, reference, 1.0 + 1e-9)
    assert difference.top1_flips == difference.top1_ties


class TestNotFinite:
    def test_it_is_counted_before_anything_is_averaged_and_each_kind_apart(self) -> None:
        found = np.array([[1, 1, 1], [np.nan, np.inf, 1], [-np.inf, 1, 1]], np.float32)
        difference = compare(found, np.ones((3, 3)))
        assert difference == Difference(3, nan=1, inf=2, worst_image="1")
        assert difference.mean_abs is None
        either = [compare(np.array([[1, value]]), np.ones((1, 2))) for value in (np.nan, np.inf)]
        assert [(one.nonfinite, one.nan, one.inf) for one in either] == [(1, 1, 0), (1, 0, 1)]

    def test_it_is_the_worst(self) -> None:
        good = compare(np.ones((1, 3)), np.ones((1, 3)))
        bad = Difference(2, nan=2, worst_image="4")
        other = Difference(3, nan=1, inf=2, worst_image="1")
        assert worst([good, bad]) == bad
        assert worst([bad, good, other]) == Difference(5, nan=3, inf=2, worst_image="1")


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        compare(np.zeros((2, 3)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="zip"):
        metrics.compare(np.zeros((2, 3)), np.zeros((2, 3)), ["a name for one"], 0.0)


def test_what_is_no_score_of_classes_has_nothing_said_of_classes() -> None:
    flipped = compare(np.array([[2.0, 1]]), np.array([[1.0, 2]]), allowed=1.0)
    found = vars(metrics.without_classes(flipped))
    assert {name for name, value in found.items() if value != vars(flipped)[name]} == {
        *("kl", "top1_agreement", "top5_agreement", "top1_flips", "top1_ties", "flips")
    }
    assert not any(found[name] for name in ("kl", "top1_agreement", "top5_agreement", "top1_flips", "top1_ties"))
    assert (found["top1_ties"], found["flips"]) == (None, ())


def test_the_worst_flips_are_the_most_that_are_no_ties() -> None:
    expected = np.array([[1.0, 0.5], [1, 0.5], [1, 0.5]])

    def flipped(allowed: float, *images: int) -> Difference:
        found = expected.copy()
        found[list(images)] = [1, 1.25]
        return compare(found, expected, allowed)

    one, fault = flipped(1.0, 0), flipped(0.0, 1)
    ties, faults = flipped(1.0, 0, 1, 2), flipped(0.0, 1, 2)
    for several, bad in (([one, ties], ties), ([ties, fault], fault), ([fault, ties, faults, one], faults)):
        for order in (several, several[::-1]):
            found = worst(order)
            assert (found.top1_flips, found.top1_ties, found.flips) == (bad.top1_flips, bad.top1_ties, bad.flips)
            assert (found.nonfinite, found.max_abs) == (0, 0.75)


def test_the_worst_image_is_that_of_the_largest_error() -> None:
    expected = np.ones((3, 2))
    for size in (0.25, 3.0):
        errors = [np.zeros((3, 2)), np.array([[0, 0], [0, size / 2], [0, 0]]), np.array([[0, 0], [0, 0], [size, 0]])]
        for order in (errors, errors[::-1]):
            found = worst([compare(expected + error, expected) for error in order])
            assert (found.worst_image, found.max_abs) == ("2", size)


@given(LOGITS)
def test_logits_agree_with_themselves(logits: np.ndarray) -> None:
    found = vars(compare(logits, logits)).copy()
    assert found.pop("worst_image") == "0"
    likeness = {name: found.pop(name) for name in ("cosine", "snr_db", "top1_agreement", "top5_agreement")}
    assert likeness["cosine"] == pytest.approx(1)
    assert likeness["top1_agreement"] == likeness["top5_agreement"] == 1
    assert likeness["snr_db"] == pytest.approx(20 * math.log10(1 / np.finfo(float).eps))
    assert not any(found.values())


@given(LOGITS, LOGITS)
def test_statistics_keep_their_order(found: np.ndarray, expected: np.ndarray) -> None:
    difference = compare(found, expected)
    for kind in ("abs", "rel"):
        names = ("p50", "p99", "p999", "max")
        values = [getattr(difference, f"{name}_{kind}") for name in names]
        assert values == sorted(values)
        assert 0 <= getattr(difference, f"mean_{kind}") <= values[-1] * (1 + 1e-12)
    assert difference.kl is not None
    assert difference.kl >= 0
    assert difference.cosine is not None
    assert -1 - 1e-12 <= difference.cosine <= 1
    json.dumps(asdict(difference), allow_nan=False)


@given(st.lists(LOGITS, min_size=1, max_size=4), LOGITS)
def test_the_worst_is_as_bad_as_each(several: list[np.ndarray], expected: np.ndarray) -> None:
    differences = [compare(found, expected, 1.0) for found in several]
    found = worst(differences)
    for one in differences:
        assert found.max_abs is not None
        assert found.max_abs >= (one.max_abs or 0)
        assert found.snr_db is not None
        assert one.snr_db is not None
        assert found.snr_db <= one.snr_db
    assert (found.max_abs, found.worst_image) in [(one.max_abs, one.worst_image) for one in differences]
    assert (found.top1_flips, found.top1_ties) in [(one.top1_flips, one.top1_ties) for one in differences]
