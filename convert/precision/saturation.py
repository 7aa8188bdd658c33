"""int8 on processors without VNNI, where two products are added in 16 bits: which sums saturate, and what that changes.

SSE, AVX2 and AVX512 multiply unsigned by signed bytes and add neighbours in 16 bits (VPMADDUBSW); VNNI adds in 32. So
kernels add 128 to int8 activations, and take out of the sum what that brought in. OpenVINO's (oneDNN's) and ONNX
Runtime's take two that follow each other along the axis that is summed over: `product` gives their sums to the bit. In
a convolution that axis is three, in an order that differs among kernels: there any two are taken for neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from convert.common import typed
from convert.precision.calibrate import Range
from convert.precision.operators import MULTIPLY, is_transposed, stem
from convert.precision.portability import MAY_DIFFER, PORTABLE, PORTABLE_CALIBRATED, Saturation

LEVELS = 127  # of symmetric int8 on each side of zero
EXACT = "_exact"  # ends the name that an output has before it is rounded, where what is rounded took its name
_OFFSET, _LARGEST = 128, 255  # what kernels add to int8 activations, and how large that makes them
_LOW, _HIGH = -(2**15), 2**15 - 1  # of 16 bits
_ROWS = 32  # tokens of the calibration images that the difference is computed for


def product(activations: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Sums of products as processors without VNNI give them, int64 (rows, columns).

    activations: int8 (rows, channels). weight: int8 (channels, columns).
    """
    # In floats, which hold all these numbers and are multiplied many times as fast as integers.
    rows, pairs = activations.astype(np.float32) + _OFFSET, weight.astype(np.float32)
    sums = np.zeros((len(rows), weight.shape[1]))
    for i in range(0, len(weight), 2):
        sums += np.clip(rows[:, i : i + 2] @ pairs[i : i + 2], _LOW, _HIGH)
    return np.asarray(sums.astype(np.int64) - _OFFSET * weight.sum(axis=0, dtype=np.int64))


def least_steps(kind: str, weight: np.ndarray, axis: int) -> np.ndarray:
    """The smallest scale of each output channel with which no two products saturate, whatever they are multiplied by.

    kind, axis: of the weight's operator. float32, in the weight's dimensions.
    """
    by_column = _columns(weight, axis)
    # Rounding moves each of two weights by half a step at most.
    steps = _largest_sums(kind, by_column, *_inputs(kind, None, len(by_column))) / (_HIGH - _LARGEST)
    shape = [1] * weight.ndim
    shape[axis] = -1
    return steps.astype(np.float32).reshape(shape)


def certify(model: onnx.ModelProto, ranges: Mapping[str, Range] | None) -> Saturation:
    """What of an int8 graph can saturate. ranges: of its activations by name; None where they are not known."""
    always: dict[str, int] = {}
    seen: dict[str, int] = {}
    columns, largest = 0, 0.0
    for one in _quantized(model):
        columns += one.weight.shape[1]
        taken = _range_of(one, ranges) if ranges is not None else None
        can = _saturating(one, None)
        if not can.any():
            continue
        always[one.name] = int(can.sum())
        if taken is None:
            continue
        if (within := _saturating(one, taken)).any():
            seen[one.name] = int(within.sum())
            largest = max(largest, _difference(one, within, taken))
    result = PORTABLE if not always else PORTABLE_CALIBRATED if ranges is not None and not seen else MAY_DIFFER
    return Saturation(
        result=result,
        columns=columns,
        any_input=always,
        calibrated=None if ranges is None else seen,
        up_to=None if ranges is None else float(f"{largest:.2g}"),
    )


def _range_of(one: _Quantized, ranges: Mapping[str, Range]) -> Range:
    """The range of what it reads, by the name that it had before a convolution's output was rounded too."""
    found = ranges.get(one.source)
    return ranges[one.source.removesuffix(EXACT)] if found is None else found


def run_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """`certify` of the file job["onnx"], as JSON types: for an artifact that was made before it was looked at."""
    table: dict[str, Any] = typed.table(certify(onnx.load(Path(job["onnx"])), None))
    return table


@dataclass(frozen=True)
class _Quantized:
    """An operator in int8. weight: (channels, columns). steps: its scales. source: the activations before rounding."""

    name: str
    kind: str
    weight: np.ndarray
    steps: np.ndarray
    source: str


def _quantized(model: onnx.ModelProto) -> Iterator[_Quantized]:
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node}
    for node in model.graph.node:
        if node.op_type not in MULTIPLY:
            continue
        back, read = (makers.get(name) for name in (node.input[1], node.input[0]))
        if back is None or read is None or back.op_type != "DequantizeLinear" or back.input[0] not in stored:
            continue
        weight, steps = (numpy_helper.to_array(stored[name]) for name in back.input[:2])
        axis = 0 if node.op_type == "Conv" or is_transposed(node) else 1
        rounded = makers[read.input[0]]
        yield _Quantized(
            stem(back.input[0].removesuffix("_int8")), node.op_type, _columns(weight, axis), steps, rounded.input[0]
        )


def _columns(weight: np.ndarray, axis: int) -> np.ndarray:
    """(what is summed over, output channels)."""
    return weight.reshape(len(weight), -1).T if axis == 0 else weight


def _inputs(kind: str, taken: Range | None, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The least and the largest number that each of `count` weights of a column is multiplied by."""
    if taken is None:
        return np.zeros(count), np.full(count, float(_LARGEST))
    step = taken.largest / LEVELS or 1
    low, high = (np.clip(np.rint(one / step), -LEVELS, LEVELS) + _OFFSET for one in (taken.low, taken.high))
    if kind == "Conv":  # its ranges are by columns of the image, and kernels fill its border up
        low, high = np.zeros(count), np.full(count, high.max())
    return low, high


def _largest_sums(kind: str, by_column: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The largest absolute sum of two products of each column, float64."""
    ends = np.stack([by_column * low[:, None], by_column * high[:, None]]).astype(np.float64)
    found = []
    for one in (ends.max(axis=0), -ends.min(axis=0)):
        if kind == "Conv":
            found.append(np.sort(one, axis=0)[-2:].sum(axis=0))
        else:
            even = np.append(one, np.zeros((len(one) % 2, one.shape[1])), axis=0)
            found.append((even[::2] + even[1::2]).max(axis=0))
    return np.asarray(np.maximum(*found))


def _saturating(one: _Quantized, taken: Range | None) -> np.ndarray:
    """Whether two products of each column can saturate, for any input or for those that were taken in."""
    return _largest_sums(one.kind, one.weight.astype(np.int32), *_inputs(one.kind, taken, len(one.weight))) > _HIGH


def _difference(one: _Quantized, columns: np.ndarray, taken: Range) -> float:
    """How far saturation moves an output of the first calibration images, in its operator's largest one.

    A convolution, whose patches are not laid out for a product, tells nothing: 0.
    """
    if one.kind == "Conv" or taken.first is None:
        return 0.0
    step = taken.largest / LEVELS or 1
    chosen = np.linspace(0, len(taken.first) - 1, _ROWS).astype(int)
    rows = np.clip(np.rint(taken.first[chosen] / step), -LEVELS, LEVELS).astype(np.int8)
    exact = rows.astype(np.float64) @ one.weight.astype(np.float64) * one.steps
    found = product(rows, one.weight[:, columns]) * one.steps[columns]
    return float(np.abs(found - exact[:, columns]).max() / (np.abs(exact).max() or 1))
