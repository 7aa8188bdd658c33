"""In which precision a model's multiply-accumulates ran, from what a runtime tells of each operator.

Multiply-accumulates and not operators are counted: one lowered operator of fifty may be 3 % of the arithmetic, or all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isqrt, prod

from convert.common.errors import listing
from convert.precision.table import FP32, MOSTLY, PRECISIONS, TF32, percent
from runtimes.records.parts import Arithmetic

_PLAIN = (FP32, TF32)
_SHOWN = 3  # operators in a sentence
_KEPT = 10  # operators in a record

Shape = Sequence[int]


@dataclass(frozen=True)
class Product:
    """An operator that multiplies, as a runtime ran it. macs: multiply-accumulates; None where it does not tell so much
    of the shapes."""

    name: str
    precision: str
    macs: int | None


def shares(products: Iterable[Product], total: int | None) -> Arithmetic:
    """The shares by precision, and the operators in another one than the lowest, the largest first.

    total: multiply-accumulates of the whole model for the same images, None where they were not counted. What none of
    the products accounts for is that of those without a number, where all of these are in one precision; else it is in
    no share.
    """
    products = list(products)
    told: Counter[str] = Counter()
    for one in products:
        if one.macs:
            told[one.precision] += one.macs
    unsized = {one.precision for one in products if one.macs is None}
    whole = max(total or 0, told.total())
    if not products or not whole or (unsized and total is None):
        return Arithmetic(reason="the runtime does not tell of its operators how much they multiply")
    if len(unsized) == 1:
        told[unsized.pop()] += whole - told.total()
    low = max((one.precision for one in products), key=list(PRECISIONS).index)
    others = sorted((one for one in products if one.precision != low), key=lambda one: -(one.macs or 0))
    return Arithmetic(
        shares={name: round(macs / whole, 4) for name, macs in told.items()},
        higher=tuple(f"{one.name} ({one.precision}{_of(one, whole)})" for one in others[:_KEPT]),
    )


def _of(product: Product, whole: int) -> str:
    return "" if product.macs is None else f", {percent(product.macs / whole)}"


def too_little(runtime: str, precision: str, found: Arithmetic | None) -> str | None:
    """Why a cell is not one of a lower precision, in a sentence; None where it is or the runtime does not tell."""
    if precision in _PLAIN or found is None or found.shares is None:
        return None
    share = found.shares.get(precision, 0.0)
    if share > MOSTLY:
        return None
    left = f": not in {precision} ran {listing(found.higher, _SHOWN)}" if found.higher else ""
    untold = 1 - sum(found.shares.values())
    left += f"; of {percent(untold)} it does not tell" if untold > 1e-3 else ""
    return (
        f"{runtime} computed {percent(share)} of the arithmetic in {precision}, and more than {percent(MOSTLY)} is "
        f"needed to call it that{left}"
    )


def of_product(first: Shape, output: Shape, second: Shape | None = None) -> int:
    """Multiply-accumulates of a matrix product; however either side is transposed where both shapes are known."""
    if second is None or min(len(first), len(second), len(output)) < 2:
        return prod(output) * first[-1]
    left, right, made = (prod(shape[-2:]) for shape in (first, second, output))
    return prod(output) * isqrt(left * right // made) if made else 0


def of_convolution(output: Shape, weight: Shape) -> int:
    """Multiply-accumulates of a convolution. weight: (out, in / groups, *kernel), or with (groups, ...) before it."""
    return prod(output) * prod(weight[len(weight) - len(output) + 1 :])
