"""Quantisation of one linear layer whose activations are what a ViT's are: far from zero, with an outlier."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.precision import calibrate, int8
from convert.precision.operators import Operator, operators, weights
from convert.precision.table import SMOOTH

CHANNELS, CLASSES = 32, 16


def _layer() -> onnx.ModelProto:
    """logits = (x * scale) @ fc.weight + fc.bias, for x (batch, CHANNELS)."""
    rng = np.random.default_rng(0)
    stored = {
        "scale": np.ones(CHANNELS, np.float32),
        "fc.weight": rng.normal(size=(CHANNELS, CLASSES)).astype(np.float32),
        "fc.bias": np.zeros(CLASSES, np.float32),
    }
    nodes = [
        helper.make_node("Mul", ["x", "scale"], ["scaled"]),
        helper.make_node("MatMul", ["scaled", "fc.weight"], ["product"]),
        helper.make_node("Add", ["product", "fc.bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", CHANNELS])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _run(model: onnx.ModelProto, rows: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": rows})[0])


def _one(model: onnx.ModelProto) -> Operator:
    (operator,) = operators(model, weights(model))
    return operator


def _quantized(model: onnx.ModelProto, rows: np.ndarray, smoothing: bool) -> tuple[onnx.ModelProto, float]:
    """The layer in int8, and its signal to noise in dB."""
    operator = _one(model)
    smoothed: dict[str, np.ndarray] = {}
    if smoothing:
        smoothed = int8.smooth(model, [operator], calibrate.observe(model, operator.activations, rows), SMOOTH)
        operator = _one(model)
    ranges = calibrate.observe(model, operator.activations, rows)
    weight = weights(model)["fc.weight"]
    noise = int8.signal_to_noise_db(operator, weight, ranges, smoothed.get("fc"))
    int8.quantize(model, [operator], ranges)
    return model, noise


@pytest.mark.parametrize("smoothing", [True, False])
def test_what_is_constant_in_the_activations_leaves_no_error(smoothing: bool) -> None:
    """Skewed activations far from zero: rounded weights would move the mean output, and the bias takes that out."""
    rows = (100 + np.random.default_rng(1).exponential(1, (512, CHANNELS))).astype(np.float32)
    exact = _run(_layer(), rows)
    found = _run(_quantized(_layer(), rows, smoothing)[0], rows)
    bias = np.abs((found - exact).mean(axis=0)).max()
    assert bias < 0.03 * (exact.std(axis=0).mean() if smoothing else 100)


def test_a_shift_spares_the_levels_between_zero_and_the_activations() -> None:
    rows = (100 + np.random.default_rng(1).uniform(-1, 1, (64, CHANNELS))).astype(np.float32)
    exact = _run(_layer(), rows)
    shifted, plain = (_run(_quantized(_layer(), rows, smoothing)[0], rows) for smoothing in (True, False))
    assert np.abs(shifted - exact).max() < 0.05 * np.abs(plain - exact).max()


def test_an_outlier_costs_less_once_smoothed_and_the_measure_sees_it() -> None:
    rng = np.random.default_rng(1)
    rows = rng.uniform(-1, 1, (64, CHANNELS)).astype(np.float32)
    rows[:, 3] *= 50
    exact = _run(_layer(), rows)
    errors, noises = [], []
    for smoothing in (False, True):
        model, noise = _quantized(_layer(), rows, smoothing)
        errors.append(float(np.square(_run(model, rows) - exact).mean()))
        noises.append(noise)
    assert errors[1] < errors[0] / 4
    assert noises[1] > noises[0] + 6
    assert noises[1] == pytest.approx(10 * np.log10(np.square(exact).mean() / errors[1]), abs=3)


@pytest.mark.parametrize("strength", [0.25, 0.5, 1.0])
def test_the_strength_says_how_much_of_an_outlier_moves(strength: float) -> None:
    """By SmoothQuant's formula: weights are alike here, so that 50 times as large becomes 50^(1 - strength) times."""
    rows = np.random.default_rng(1).choice([-1.0, 1.0], (16, CHANNELS)).astype(np.float32)
    rows[:, 3] *= 50
    model = _layer()
    (weight,) = (one for one in model.graph.initializer if one.name == "fc.weight")
    weight.CopyFrom(numpy_helper.from_array(np.ones((CHANNELS, CLASSES), np.float32), "fc.weight"))
    operator = _one(model)
    int8.smooth(model, [operator], calibrate.observe(model, operator.activations, rows), strength)
    seen = calibrate.observe(model, _one(model).activations, rows)[_one(model).activations[0]]
    assert seen.high[3] / seen.high[0] == pytest.approx(50 ** (1 - strength), rel=1e-4)


def test_a_dead_channel_stays_as_it_is() -> None:
    rows = np.random.default_rng(1).uniform(-1, 1, (16, CHANNELS)).astype(np.float32)
    rows[:, 5] = 0
    model = _layer()
    operator = _one(model)
    before = weights(model)["fc.weight"][5]
    int8.smooth(model, [operator], calibrate.observe(model, operator.activations, rows), SMOOTH)
    np.testing.assert_array_equal(weights(model)["fc.weight"][5], before)
    assert np.isfinite(_run(model, rows)).all()
