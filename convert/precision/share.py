"""How much of a graph's arithmetic a lower precision takes: multiply-accumulates, since operators differ much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import onnx

from convert.common.errors import GraphError, InputError, listing
from convert.export import counts
from convert.precision.half import BF16_CONV_OPSET
from convert.precision.operators import Operator
from convert.precision.table import BF16, INT8, MOSTLY, percent

_SHOWN = 3  # operators in a sentence


def macs(model: onnx.ModelProto, found: Iterable[Operator]) -> dict[str, int]:
    """Multiply-accumulates of each operator by its name, for one image (or a batch that is fixed).

    Nothing where a shape is not known.
    """
    try:
        written = counts.macs_by_output(counts.without_weights(model))
    except GraphError:
        return {}
    summed: Counter[str] = Counter()
    for operator in found:  # of one name are those that share a weight
        summed[operator.name] += written[operator.output]
    return dict(summed)


def of(names: Collection[str], counted: Mapping[str, int]) -> float | None:
    """The share that some operators have of all, 0 to 1; None where nothing was counted."""
    whole = sum(counted.values())
    return sum(counted[name] for name in names) / whole if whole else None


def check(
    precision: str,
    lowered: Collection[str],
    found: Iterable[Operator],
    kept: Mapping[str, str],
    counted: Mapping[str, int],
) -> None:
    """InputError where a lowering leaves half of the arithmetic, or more, as it was: it would be called what it is not.

    lowered: names. found: all operators. kept: reasons of those that are kept in FP32.
    """
    share, operators = of(lowered, counted), {operator.name: operator for operator in found}
    if share is None or share > MOSTLY:
        return
    left = sorted((name for name in operators if name not in lowered), key=lambda name: -counted[name])
    shown = [f"{name} ({percent(of([name], counted) or 0)}, {_why(operators[name], precision, kept)})" for name in left]
    raise InputError(
        f"{precision} lowered {len(lowered)} of {len(operators)} operators, {percent(share)} of the arithmetic: FP32 "
        f"stays {listing(shown, _SHOWN)}; more than {percent(MOSTLY)} is needed to call a model {precision}"
    )


def _why(operator: Operator, precision: str, kept: Mapping[str, str]) -> str:
    if operator.name in kept:
        return kept[operator.name]
    if operator.kind == "Conv" and precision == BF16:
        return f"a Conv, which ONNX has in bf16 from opset {BF16_CONV_OPSET} on only"
    if operator.weight is None:
        return "a product of two activations"
    return "a depthwise convolution" if operator.kind == "Conv" and precision == INT8 else "not lowered"


def keepable(candidates: Sequence[str], counted: Mapping[str, int]) -> list[str]:
    """Those of some operators, in their order, that can stay FP32 together while most of the arithmetic does not.

    candidates: all that can be lowered. One that is too much of the arithmetic is passed over; none is where nothing
    was counted.
    """
    kept: list[str] = []
    for name in candidates:
        left = of(set(candidates) - {*kept, name}, counted)
        if left is None or left > MOSTLY:
            kept.append(name)
    return kept
