"""What activations reach on calibration images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper

_BATCH = 2


@dataclass
class Range:
    """A tensor over all calibration images.

    low, high, total: smallest and largest value and the sum by last axis, over `count` rows; first: the rows
    (rows, channels) of the first batch.
    """

    low: np.ndarray = field(default_factory=lambda: np.array(np.inf, np.float32))
    high: np.ndarray = field(default_factory=lambda: np.array(-np.inf, np.float32))
    total: np.ndarray = field(default_factory=lambda: np.array(0, np.float64))
    count: int = 0
    first: np.ndarray | None = None

    def add(self, values: np.ndarray) -> None:
        rows = values.reshape(-1, values.shape[-1])
        self.low = np.minimum(self.low, rows.min(axis=0))
        self.high = np.maximum(self.high, rows.max(axis=0))
        self.total = self.total + rows.sum(axis=0, dtype=np.float64)
        self.count += len(rows)
        if self.first is None:
            self.first = rows

    @property
    def mean(self) -> np.ndarray:
        """By last axis, float64."""
        return np.asarray(self.total / self.count)

    @property
    def largest(self) -> float:
        """The largest absolute value."""
        return float(max(self.high.max(), -self.low.min()))


def observe(model: onnx.ModelProto, tensors: Iterable[str], images: np.ndarray) -> dict[str, Range]:
    """The ranges of some tensors of an FP32 graph over images (count, 3, size, size) float32, by ONNX Runtime."""
    import onnxruntime as ort

    (source,) = [value.name for value in model.graph.input]
    wanted = [name for name in dict.fromkeys(tensors) if name != source]
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in wanted)
    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    session = ort.InferenceSession(watched.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    ranges = {name: Range() for name in (source, *wanted)}
    fixed = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    size = fixed or _BATCH
    for start in range(0, len(images), size):
        # A graph of a fixed batch takes no less: the first images fill the last one.
        batch = images.take(range(start, start + size), axis=0, mode="wrap") if fixed else images[start : start + size]
        ranges[source].add(batch)
        for name, values in zip(wanted, session.run(wanted, {source: batch}), strict=True):
            ranges[name].add(values)
    return ranges
