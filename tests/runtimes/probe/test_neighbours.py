"""The probe of int8's sums: it tells exact ones from those that are cut off, and knows when it is neither."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

from convert.precision import saturation
from runtimes.probe import neighbours


def _factors() -> tuple[np.ndarray, np.ndarray]:
    (weight,) = (one for one in onnx.load_from_string(neighbours.model()).graph.initializer if one.name == "weight")
    return neighbours.INPUT[0].astype(np.int8), numpy_helper.to_array(weight)


def test_it_tells_exact_sums_from_those_that_are_cut_off() -> None:
    rows, weight = _factors()
    exact = rows.astype(np.float32) @ weight.astype(np.float32)
    assert neighbours.read(exact[None]) == neighbours.EXACT
    assert neighbours.read(saturation.product(rows, weight)[None].astype(np.float32)) == neighbours.SATURATED
    assert neighbours.read(exact[None] / 2) == neighbours.UNKNOWN
    assert neighbours.read(np.where(np.eye(*exact.shape) > 0, exact / 2, exact)[None]) == neighbours.UNKNOWN


def test_products_of_floats_are_exact() -> None:
    settings = ort.SessionOptions()
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # so the pairs stay beside a MatMul
    session = ort.InferenceSession(neighbours.model(), settings, providers=["CPUExecutionProvider"])
    assert neighbours.read(np.asarray(session.run(None, {"x": neighbours.INPUT})[0])) == neighbours.EXACT
