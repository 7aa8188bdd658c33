"""Bounds: FP32 in units of Paddle's own error, the others in units of the largest logit."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common import typed
from convert.precision.table import FP32, LEAST_ERROR, NAMES, PADDLE_ERROR, PRECISIONS
from validate.parity.metrics import Difference, compare
from validate.parity.reference import Reference
from validate.parity.tolerances import FLOOR, tolerance


def reference(paddle_error: float, largest: float = 16.0) -> Reference:
    logits = np.array([[largest, 1.0, -2.0]])
    return Reference(logits, logits + np.array([0, paddle_error, 0]))


def off(by: float, cosine: float = 1.0) -> Difference:
    zero = compare(np.ones((1, 3)), np.ones((1, 3)), ["one"], 0.0)
    return Difference(**{**vars(zero), "max_abs": by, "cosine": cosine})


def test_fp32_is_held_to_the_order_of_paddles_own_error() -> None:
    """A trained ViT: logits to 16, Paddle is off by 1.3e-5, runtimes by 1.2 to 2 times that, bf16 by 0.15."""
    bounds = tolerance("fp32", reference(1.3e-5))
    assert bounds.unit == PADDLE_ERROR
    assert bounds.max_abs == pytest.approx(PRECISIONS[FP32].tolerance.factor * 1.3e-5)
    assert bounds.violation(off(2 * 1.3e-5)) is None
    assert bounds.violation(off(0.15)) == (
        "logits differ by up to 0.15, 1.2e+04 times Paddle's own FP32 error; 8 times is allowed"
    )
    assert str(bounds.violation(off(1e-5, 0.9999))) == (
        "an image's logits have cosine 0.99990000; at least 0.9999999 is needed"
    )
    assert bounds.violation(Difference(3, nan=1, inf=2)) == "3 logits are NaN or infinite (1 NaN, 2 infinite)"


def test_paddle_itself_may_be_lucky() -> None:
    """On a model whose logits Paddle hits to the last bit a runtime that rounds once otherwise passes."""
    bounds = tolerance("fp32", reference(0.0))
    assert bounds.unit == LEAST_ERROR
    assert bounds.violation(off(np.spacing(np.float32(16.0)))) is None
    assert bounds.violation(off(16 * 1e-4)) is not None
    assert bounds.info(1e-5).paddle_max_abs == 0


def test_the_least_error_is_twice_the_spacing_of_float32() -> None:
    least = 2 * float(np.finfo(np.float32).eps)
    for paddle, unit in ((0.0, LEAST_ERROR), (16 * least, PADDLE_ERROR), (17 * least, PADDLE_ERROR)):
        bounds = tolerance("fp32", reference(paddle))
        assert (bounds.unit, bounds.unit_value) == (unit, max(paddle, 16 * least))
        assert bounds.info(None).floor == 16 * least


@pytest.mark.parametrize("precision", NAMES)
def test_a_bound_itself_is_within_it(precision: str) -> None:
    bounds = tolerance(precision, reference(1.3e-5))
    assert bounds.violation(off(bounds.max_abs, bounds.rule.cosine)) is None
    assert "differ" in str(bounds.violation(off(np.nextafter(bounds.max_abs, 1e9), bounds.rule.cosine)))
    assert "cosine" in str(bounds.violation(off(bounds.max_abs, np.nextafter(bounds.rule.cosine, 0))))


@pytest.mark.parametrize("precision", NAMES)
@pytest.mark.parametrize("paddle", [1e-7, 1.3e-5])
def test_images_are_told_apart_by_what_fp32_resolves(precision: str, paddle: float) -> None:
    """Whatever the precision."""
    assert tolerance(precision, reference(paddle)).resolution == tolerance("fp32", reference(paddle)).max_abs


def test_a_record_carries_the_bounds() -> None:
    bounds = tolerance("fp16", reference(1.3e-5))
    rule = PRECISIONS["fp16"].tolerance
    found = bounds.info(0.5)
    assert (found.max_abs, found.factor, found.unit) == (16 * rule.factor, rule.factor, "the largest logit")
    assert (found.cosine, found.reason) == (rule.cosine, rule.reason)
    assert (found.needed, found.largest_logit) == (0.5 / 16, 16)
    assert found.paddle_max_abs == pytest.approx(1.3e-5)
    assert bounds.measure(0.5) == f"0.5, 0.031 of the largest logit; {rule.factor:g} of it is allowed"


def test_of_logits_that_are_all_zero_nothing_is_told() -> None:
    bounds = tolerance("fp32", Reference(np.zeros((1, 3)), np.zeros((1, 3))))
    assert (bounds.needed(0.5), bounds.needed(None)) == (None, None)
    assert bounds.violation(off(0.5)) == "logits differ by up to 0.5; 8 times is allowed"


@pytest.mark.parametrize("precision", NAMES)
def test_every_precision_has_a_bound_and_a_reason(precision: str) -> None:
    bounds = tolerance(precision, reference(1.3e-5))
    assert 0 < bounds.max_abs < bounds.largest_logit
    assert 0.9 < bounds.rule.cosine < 1
    assert "measured" in bounds.rule.reason
    if precision != "fp32":
        assert bounds.max_abs > 50 * tolerance("fp32", reference(1.3e-5)).max_abs


@given(st.sampled_from(NAMES), st.floats(0, 1e-2), st.floats(1e-3, 1e3), st.floats(0, 10))
def test_the_factor_that_was_needed_decides(precision: str, paddle: float, largest: float, error: float) -> None:
    bounds = tolerance(precision, reference(paddle, largest))
    needed = bounds.needed(error)
    assert needed is not None
    assert (bounds.violation(off(error)) is None) == (error <= bounds.max_abs)
    assert needed * bounds.unit_value == pytest.approx(error)
    assert bounds.unit_value >= min(FLOOR, 1) * bounds.largest_logit or bounds.unit == PADDLE_ERROR
    json.dumps(typed.table(bounds.info(error)), allow_nan=False)


def test_without_an_error_nothing_was_needed() -> None:
    assert tolerance("fp32", reference(1e-6)).info(None).needed is None


def test_logits_that_are_small_beside_their_errors_are_held_against_paddles_own_cosine() -> None:
    """As DSNet's are with drawn weights: Paddle's own FP32 has cosine 0.9999966, below the rule's."""
    random = np.random.default_rng(3)
    truth = random.standard_normal((4, 1000))
    error = 2.6e-3 * random.standard_normal((4, 1000))
    bounds = tolerance("fp32", Reference(truth, (truth + error).astype(np.float32)))
    names = [str(number) for number in range(4)]
    assert bounds.info(None).cosine == bounds.cosine < 0.9999999
    for factor, passes in ((1, True), (6, True), (12, False)):
        difference = compare(truth + factor * error, truth, names, bounds.max_abs)
        assert (bounds.violation(difference) is None) == passes
    another = np.abs(bounds.max_abs) * np.sign(random.standard_normal((4, 1000)))  # each within its bound, all together
    assert "cosine" in str(bounds.violation(compare(truth + 0.99 * another, truth, names, bounds.max_abs)))


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_rules_own_cosine_is_the_most_that_is_asked(precision: str) -> None:
    assert tolerance(precision, reference(1.3e-5)).cosine == PRECISIONS[precision].tolerance.cosine
