"""How far logits may be from the reference before they are another model's.

A bound is a factor times a unit; convert/precision/table.py has the factors, each with its reason. They hold for every
runtime: MNN needs 1.4 to 2.2 times Paddle's own error with the erf of the model, as others do. Its converter's tanh
formula for GELU, at 1e-4 to 3e-3 of the largest logit, is another model and fails.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convert.precision.table import FP32, LARGEST_LOGIT, LEAST_ERROR, ONNX_ERROR, PADDLE_ERROR, PRECISIONS, Rule, Unit
from runtimes.records.parts import ToleranceInfo
from validate.parity import metrics
from validate.parity.metrics import Difference
from validate.parity.reference import Reference

# The least that is taken for Paddle's own error, as a share of the largest logit: twice the spacing of float32. On a
# model of a few operations it may be smaller by luck, and a fair runtime must not fail for that. Measured on toys:
# 1.1e-7 to 3.9e-7.
FLOOR = 2.0**-22


@dataclass(frozen=True)
class Tolerance:
    """The bounds of one check, in the units of logits.

    max_abs: bound of a logit's absolute error, rule.factor * unit_value. cosine: the least of an image's logits.
    resolution: images whose logits are further apart than this are told apart by any FP32 runtime, so that their rows
    cannot be confused by rounding.
    """

    rule: Rule
    unit: Unit
    unit_value: float
    resolution: float
    paddle_max_abs: float | None
    largest_logit: float
    cosine: float

    @property
    def max_abs(self) -> float:
        return self.rule.factor * self.unit_value

    def needed(self, max_abs: float | None) -> float | None:
        """The smallest factor with which an error would have passed; None when there is no error to tell."""
        return None if max_abs is None or not self.unit_value else max_abs / self.unit_value

    def info(self, max_abs: float | None) -> ToleranceInfo:
        """What a record carries as `tolerance`. max_abs: the error that was found, None when there is none."""
        return ToleranceInfo(
            max_abs=self.max_abs,
            cosine=self.cosine,
            factor=self.rule.factor,
            unit=self.unit,
            reason=self.rule.reason,
            needed=self.needed(max_abs),
            paddle_max_abs=self.paddle_max_abs,
            largest_logit=self.largest_logit,
            floor=FLOOR * self.largest_logit,
        )

    def violation(self, difference: Difference) -> str | None:
        """What is out of bounds, in a sentence; None when the difference is within them."""
        if difference.nonfinite:
            kinds = f"{difference.nan} NaN, {difference.inf} infinite"
            logits = "logit is" if difference.nonfinite == 1 else "logits are"
            return f"{difference.nonfinite} {logits} NaN or infinite ({kinds})"
        assert difference.max_abs is not None
        assert difference.cosine is not None
        if difference.max_abs > self.max_abs:
            return f"logits differ by up to {self.measure(difference.max_abs)}"
        if difference.cosine < self.cosine:
            return f"an image's logits have cosine {difference.cosine:.8f}; at least {self.cosine:.9g} is needed"
        return None

    def measure(self, error: float) -> str:
        """`3.1e-3, 430 times Paddle's own FP32 error; 8 times is allowed`."""
        needed, share = self.needed(error), self.unit == LARGEST_LOGIT
        allowed = f"{self.rule.factor:g} of it is allowed" if share else f"{self.rule.factor:g} times is allowed"
        if needed is None:
            return f"{error:.2g}; {allowed}"
        of = f"{needed:.2g} of the largest logit" if share else f"{needed:.2g} times {self.unit}"
        return f"{error:.2g}, {of}; {allowed}"


def tolerance(precision: str, reference: Reference) -> Tolerance:
    """The bounds of a precision against a reference. KeyError when there are none for the precision."""
    rule = PRECISIONS[precision].tolerance
    paddle, largest = reference.paddle_max_abs, reference.largest
    least, own = FLOOR * largest, ONNX_ERROR if reference.alone else PADDLE_ERROR
    fp32: tuple[Unit, float] = (own, paddle) if paddle >= least else (LEAST_ERROR, least)
    unit = fp32 if rule.unit == PADDLE_ERROR else (LARGEST_LOGIT, largest)
    cosine = _cosine(rule, reference) if rule.unit == PADDLE_ERROR else rule.cosine
    return Tolerance(
        rule, *unit, PRECISIONS[FP32].tolerance.factor * fp32[1], None if reference.alone else paddle, largest, cosine
    )


def _cosine(rule: Rule, reference: Reference) -> float:
    """The least cosine where errors may be `factor` times Paddle's own: 1 - cosine grows with their square.

    At most the rule's own, which no model needs whose logits are large beside their errors; those of DSNet with drawn
    weights are not: Paddle's own FP32 is at 0.99999666.
    """
    paddles = float(metrics.cosine(reference.paddle.astype(np.float64), reference.logits).min())
    return min(rule.cosine, 1 - rule.factor**2 * (1 - paddles))
