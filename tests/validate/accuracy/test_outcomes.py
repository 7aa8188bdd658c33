"""The statistics of accuracy against numbers worked out by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validate.accuracy.outcomes import Predictions, holds, mcnemar, wilson


def test_counts() -> None:
    predictions = Predictions("1150x-")
    assert (predictions.images, predictions.unreadable, predictions.nonfinite, predictions.right) == (5, 1, 1, 2)
    assert predictions.among_five == 3
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
    reference, keep = Fraction(7, 10), Fraction("0.99")
    # 99 % of 700 is 693; as floats, 0.99 * 0.7 is not 0.693.
    assert holds(Predictions("1" * 693 + "0" * 307), reference, keep)
    assert not holds(Predictions("1" * 692 + "0" * 308), reference, keep)
    assert holds(Predictions("1" * 692 + "0" * 308), reference, Fraction("0.98"))
    assert holds(Predictions("1" * 700 + "0" * 300), reference, Fraction(1))


def test_the_published_bar_is_exact() -> None:
    # 99 % of 0.8195 of 50,000 images is 40565.25.
    assert holds(Predictions("1" * 40_566 + "0" * 9_434), Fraction("0.8195"), Fraction("0.99"))
    assert not holds(Predictions("1" * 40_565 + "0" * 9_435), Fraction("0.8195"), Fraction("0.99"))


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_fraction(pair: tuple[int, int]) -> None:
    right, images = pair
    low, high = wilson(right, images)
    assert -1e-12 <= low <= right / images + 1e-12
    assert right / images - 1e-12 <= high <= 1 + 1e-12
