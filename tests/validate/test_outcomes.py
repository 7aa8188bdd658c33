"""The statistics of accuracy against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from validate.accuracy.outcomes import Predictions, holds, judge, mcnemar, wilson


def test_judge_ranks_the_label() -> None:
    logits = np.array([[5, 4, 3, 2, 1, 0, -1]] * 7, dtype=np.float32)
    assert judge(logits, np.arange(7)) == "1555500"


def test_ties_go_to_the_lower_index() -> None:
    # All equal: class 0 is first, 1 to 4 among the first five, whatever a sort would make of it.
    assert judge(np.zeros((7, 7), dtype=np.float32), np.arange(7)) == "1555500"
    # 2 and 6 share the first place: 2 has it, and 6 is second.
    logits = np.array([[0, 0, 9, 0, 0, 0, 9]] * 2, dtype=np.float32)
    assert judge(logits, np.array([2, 6])) == "15"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_wrong(value: float) -> None:
    logits = np.array([[9, 0, 0], [9, value, 0], [value, 0, 0]], dtype=np.float32)
    assert judge(logits, np.zeros(3, dtype=np.int64)) == "1xx"


def test_fewer_than_five_classes() -> None:
    assert judge(np.array([[1, 2, 3]], dtype=np.float32), np.array([0])) == "5"


@pytest.mark.parametrize("shape", [(2, 3), (1, 3, 1), (1, 2)])
def test_logits_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="logits"):
        judge(np.zeros(shape, dtype=np.float32), np.array([2]))


def test_counts() -> None:
    predictions = Predictions("1150x-")
    assert (predictions.images, predictions.unreadable, predictions.nonfinite, predictions.right) == (5, 1, 1, 2)
    assert predictions.top1 == 0.4
    assert predictions.top5 == 0.6
    assert Predictions("--").top1 is None
    assert Predictions("--").top5 is None


def test_wilson_by_hand() -> None:
    # 8 of 10 with z = 1.959964, z^2 = 3.841459: centre (0.8 + z^2/20) / (1 + z^2/10) = 0.9920730 / 1.3841459
    # = 0.7167402; half width z * sqrt(0.8 * 0.2 / 10 + z^2/400) / 1.3841459 = 1.959964 * 0.1600114 / 1.3841459
    # = 0.2265761.
    assert wilson(8, 10) == pytest.approx((0.4901641, 0.9433163), abs=2e-6)
    # 0 of 10: from 0 to z^2/10 / (1 + z^2/10) = 0.3841459 / 1.3841459; a normal interval would have no width here.
    assert wilson(0, 10) == pytest.approx((0, 0.2775328), abs=1e-6)


def test_mcnemar_by_hand() -> None:
    # Six images that only one has right, one that only the other has: of 7 tosses at most one is heads with
    # (1 + 7) / 2^7 = 0.0625, and as many tails likewise: 0.125. The three on which both agree say nothing.
    assert mcnemar(Predictions("1111110" + "105"), Predictions("0055001" + "105")) == pytest.approx(0.125)
    # Nine to none: 2 / 2^9
    assert mcnemar(Predictions("1" * 9), Predictions("0" * 9)) == pytest.approx(2 / 512)


def test_mcnemar_without_difference() -> None:
    assert mcnemar(Predictions("110"), Predictions("11x")) == 1.0
    assert mcnemar(Predictions("10"), Predictions("01")) == 1.0


def test_mcnemar_leaves_out_what_one_could_not_read() -> None:
    assert mcnemar(Predictions("1" * 9 + "1"), Predictions("-" * 9 + "1")) == 1.0
    assert mcnemar(Predictions("-" * 9 + "1"), Predictions("1" * 9 + "1")) == 1.0
    with pytest.raises(ValueError, match="zip"):
        mcnemar(Predictions("1"), Predictions("11"))


def test_the_bar_is_exact() -> None:
    reference = Predictions("1" * 700 + "0" * 300)
    # 99 % of 700 is 693; as floats, 0.99 * 0.7 is not 0.693.
    assert holds(Predictions("1" * 693 + "0" * 307), reference)
    assert not holds(Predictions("1" * 692 + "0" * 308), reference)
    assert holds(reference, reference)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_fraction(pair: tuple[int, int]) -> None:
    right, images = pair
    low, high = wilson(right, images)
    assert -1e-12 <= low <= right / images + 1e-12
    assert right / images - 1e-12 <= high <= 1 + 1e-12


@given(st.lists(st.lists(st.integers(-3, 3), min_size=6, max_size=6), min_size=1), st.integers(0, 5))
def test_judge_agrees_with_a_stable_sort(rows: list[list[int]], label: int) -> None:
    letters = judge(np.array(rows, dtype=np.float32), np.full(len(rows), label))
    for row, letter in zip(rows, letters, strict=True):
        place = sorted(range(6), key=lambda index, row=row: -row[index]).index(label)
        assert letter == ("1" if place == 0 else "5" if place < 5 else "0")
