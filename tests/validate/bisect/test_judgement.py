"""Errors against their bounds, and rows in another order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from convert.precision.table import PRECISIONS
from validate.bisect.judgement import in_shape, judge, row_order

TRUTH = np.random.default_rng(0).standard_normal((4, 50, 32))
PADDLE = TRUTH.astype(np.float32)


def test_rounding_is_within_bounds() -> None:
    found = judge(PADDLE, TRUTH, PADDLE, "fp32", "layer_norm")
    assert not found.bad
    assert found.excess is not None
    assert 0 < found.excess < 0.5


def test_a_small_error_everywhere_is_told_by_the_root_mean_square() -> None:
    found = judge(TRUTH * (1 + 4e-7), TRUTH, PADDLE, "fp32", "layer_norm")
    assert found.bad
    assert found.statistic == "rms"
    assert found.errors["max"] < found.bounds["max"]


def test_one_wrong_channel_is_told_by_the_worst_channel() -> None:
    wrong = TRUTH.copy()
    wrong[..., 7] *= 1 + 7e-7
    found = judge(wrong, TRUTH, PADDLE, "fp32", "layer_norm")
    assert found.bad
    assert found.statistic == "channel"
    assert found.errors["rms"] < found.bounds["rms"]


def test_one_wild_value_is_told_by_the_largest_error() -> None:
    wrong = TRUTH.copy()
    wrong[1, 2, 3] += 1e-5
    found = judge(wrong, TRUTH, PADDLE, "fp32", "layer_norm")
    assert found.bad
    assert found.statistic == "max"


def test_not_finite_comes_before_all() -> None:
    wrong = TRUTH.copy()
    wrong[0, 0, :3] = np.nan, np.inf, -np.inf
    found = judge(wrong, TRUTH, PADDLE, "fp32", "layer_norm")
    assert (found.nonfinite, found.excess, found.statistic, found.errors) == (3, float("inf"), "nonfinite", {})


def test_what_came_in_with_the_inputs_is_no_verdict() -> None:
    broken = TRUTH.copy()
    broken[0] = np.nan
    found = judge(broken, broken, PADDLE, "fp32")
    assert found.excess is None
    assert not found.bad


@pytest.mark.parametrize("precision", ["fp16", "bf16", "tf32", "int8"])
def test_lower_precisions_have_wider_bounds(precision: str) -> None:
    error = PRECISIONS[precision].unit_roundoff * np.abs(TRUTH).max()
    rounded = TRUTH + error * np.sign(np.sin(np.arange(TRUTH.size)).reshape(TRUTH.shape))
    assert judge(rounded, TRUTH, PADDLE, "fp32").bad
    assert not judge(rounded, TRUTH, PADDLE, precision).bad
    assert judge(TRUTH + 20 * error, TRUTH, PADDLE, precision).bad


def test_a_curve_may_be_approximated() -> None:
    near = TRUTH * (1 + 8 * PRECISIONS["fp32"].unit_roundoff)
    assert judge(near, TRUTH, PADDLE, "fp32", "layer_norm").bad
    assert not judge(near, TRUTH, PADDLE, "fp32", "gelu").bad


def test_a_joined_operator_has_the_rounding_of_both() -> None:
    noisy = PADDLE + np.float32(1e-6) * np.sin(np.arange(TRUTH.size)).reshape(TRUTH.shape).astype(np.float32)
    before = judge(TRUTH, TRUTH, noisy, "fp32")
    assert judge(noisy, TRUTH, PADDLE, "fp32", "add").bad
    assert not judge(noisy, TRUTH, PADDLE, "fp32", "add", [before]).bad


def test_merged_axes_are_split_again_and_others_are_refused() -> None:
    flat = PADDLE.reshape(200, 32, 1, 1)
    np.testing.assert_array_equal(in_shape(flat, TRUTH.shape), PADDLE)
    with pytest.raises(ValueError, match="instead of"):
        in_shape(PADDLE.transpose(0, 2, 1), TRUTH.shape)
    with pytest.raises(ValueError, match="instead of"):
        in_shape(PADDLE[:2], TRUTH.shape)


@given(hnp.arrays(np.float32, (5, 6), elements=st.floats(-8, 8, width=32), unique=True), st.permutations(range(5)))
def test_rows_in_another_order(images: np.ndarray, order: list[int]) -> None:
    images += 100 * np.arange(5, dtype=np.float32)[:, None]  # no two rows alike
    assert row_order(images[order], images) == (None if order == sorted(order) else order)


def test_other_values_are_no_other_order() -> None:
    images = np.random.default_rng(1).standard_normal((3, 8))
    assert row_order(images[[1, 0, 2]] + 0.1, images) is None
    assert row_order(images[:1], images[:1]) is None
