"""How far a tensor is from what Paddle makes of the same inputs, and how far it may be.

The bound is a small factor of Paddle's own FP32 error there, against float64. Three statistics, since faults differ:
the largest error finds one wild value, the root mean square a small error everywhere (an epsilon), and that of the
worst channel one wrong weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convert.precision.table import FP32, PRECISIONS

# Factor of Paddle's own FP32 error. Measured on ViT_tiny and ViT_small, in the order of the statistics, for matrix
# products: ONNX Runtime is within 2.8, 1.7 and 2.6 times that error, OpenVINO within 6.2, 2.9 and 5.8, MNN within 12,
# 6.6 and 11. For LayerNorm and Softmax all are within 5.2, 3.4 and 3.6.
_FACTOR = {"max": 16.0, "rms": 6.0, "channel": 12.0}
_FACTOR_OF_SUMS = {"max": 24.0, "rms": 12.0, "channel": 20.0}
# The least bound, in units of rounding: of the tensor's largest value (max), of its root mean square (rms), of the
# highest one of a channel. Runtimes replace curves by polynomials: OpenVINO's GELU errs by 6, 9 and 5 units where
# Paddle errs by 1.
_LEAST = 1.0
_LEAST_OF_CURVES = 16.0
_SUMS = ("matmul", "conv2d", "depthwise_conv2d")
_CURVES = ("gelu", "softmax", "tanh", "erf", "sigmoid", "exp")
# What runtimes join with the operator before it: MNN makes one of a matrix product and its bias.
_JOINED = ("add", "scale", "multiply", "gelu", "reshape", "transpose", "unbind", "slice", "concat")
# Lower precisions: the bound in units of rounding of that precision, of the tensor's largest value.
_LOWER = {"max": 16.0, "rms": 2.0, "channel": 4.0}

NAMES = {
    "max": "max abs error",
    "rms": "root mean square error",
    "channel": "root mean square error of the worst channel",
    "nonfinite": "NaN or infinite values",
}


@dataclass(frozen=True)
class Judgement:
    """A tensor against its reference.

    errors, bounds: absolute, by statistic (`max`, `rms`, `channel`); errors are empty where values are not finite.
    nonfinite: values that are NaN or infinite where the reference is not. excess: the largest error over its bound,
    infinite where nonfinite; None when the reference itself is not finite: the fault came in with the inputs.
    largest: the largest absolute value of the reference.
    """

    errors: dict[str, float]
    bounds: dict[str, float]
    nonfinite: int
    excess: float | None
    largest: float

    @property
    def bad(self) -> bool:
        return self.excess is not None and self.excess > 1

    @property
    def statistic(self) -> str:
        """The one that is the furthest out."""
        if self.nonfinite or not self.errors:
            return "nonfinite"
        return max(self.errors, key=lambda name: self.errors[name] / self.bounds[name])


def judge(
    found: np.ndarray,
    truth: np.ndarray,
    paddle: np.ndarray,
    precision: str,
    kind: str | None = None,
    before: Sequence[Judgement] = (),
) -> Judgement:
    """Hold a runtime's tensor against Paddle's float64 of the same inputs.

    found, truth, paddle: the runtime's, Paddle's in float64 and in float32, of the same number of values in the same
    order. precision: the one that was asked for. kind: Paddle's name of the operator that the tensor comes from; None
    for a whole block. before: judgements of its inputs; a runtime may have joined it with the operator that they come
    from, which is then computed anew, with another rounding. ValueError when the shapes are not the same but for merged
    axes.
    """
    truth = np.asarray(truth, np.float64)
    found, paddle = (in_shape(np.asarray(array), truth.shape).astype(np.float64) for array in (found, paddle))
    if not np.isfinite(truth).all():
        return Judgement({}, {}, 0, None, float("nan"))
    largest = float(np.abs(truth).max(initial=0))
    own, size = _statistics(paddle - truth), _statistics(truth)
    tiny = float(np.finfo(np.float32).tiny)
    factor = _FACTOR_OF_SUMS if kind is None or kind in _SUMS else _FACTOR
    least = _LEAST_OF_CURVES if kind in _CURVES else _LEAST
    rounding = least * PRECISIONS[FP32].unit_roundoff
    bounds = {name: max(factor[name] * own[name], rounding * size[name], tiny) for name in factor}
    for one in before if kind in _JOINED else ():
        share = min(1.0, size["max"] / one.largest) if one.largest else 1.0
        bounds = {name: bounds[name] + share * one.bounds.get(name, 0.0) for name in bounds}
    if precision != FP32:
        unit = PRECISIONS[precision].unit_roundoff * largest
        bounds = {name: max(bounds[name], _LOWER[name] * unit) for name in bounds}
    nonfinite = int(found.size - np.isfinite(found).sum())
    if nonfinite:
        return Judgement({}, bounds, nonfinite, float("inf"), largest)
    errors = _statistics(found - truth)
    return Judgement(errors, bounds, 0, max(errors[name] / bounds[name] for name in bounds), largest)


def _statistics(error: np.ndarray) -> dict[str, float]:
    square = np.square(error)
    channels = square.reshape(-1, error.shape[-1]).mean(axis=0) if error.ndim else square.reshape(1)
    return {
        "max": float(np.abs(error).max(initial=0)),
        "rms": float(np.sqrt(channels.mean())),
        "channel": float(np.sqrt(channels.max())),
    }


def in_shape(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The array in the shape, when that splits or merges neighbouring axes only. ValueError when it does not.

    Some runtimes keep (batch, tokens, dim) as (batch * tokens, dim, 1, 1).
    """
    if array.shape == shape:
        return array
    few, many = sorted((_products(array.shape), _products(shape)), key=len)
    if array.size != np.prod(shape, dtype=np.int64) or not few <= many:
        raise ValueError(f"{array.shape} instead of {shape}")
    return array.reshape(shape)


def _products(shape: tuple[int, ...]) -> set[int]:
    return {int(product) for product in np.cumprod(shape)}


def row_order(found: np.ndarray, truth: np.ndarray, relative: float = 1e-3) -> list[int] | None:
    """When the rows of a batch (axis 0) stand in another order: which image each row holds; None when they do not.

    relative: how far a row may be from the image that it holds, in parts of the truth's largest value.
    """
    count = len(truth)
    if count < 2 or found.shape != truth.shape or not np.isfinite(found).all() or not np.isfinite(truth).all():
        return None
    rows, images = (np.asarray(array, np.float64).reshape(count, -1) for array in (found, truth))
    nearest = [int(np.argmin(np.abs(images - row).max(axis=1))) for row in rows]
    if nearest == list(range(count)) or np.abs(rows - images[nearest]).max() > relative * np.abs(images).max():
        return None
    return nearest
