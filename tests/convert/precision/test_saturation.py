"""Sums of two products of int8 in 16 bits: what the processor gives, when it cannot happen, and what is made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.precision import calibrate, int8, saturation
from convert.precision.operators import Operator, operators, weights
from convert.precision.portability import FULL, MAY_DIFFER, PORTABLE, PORTABLE_CALIBRATED
from runtimes.system.processor import cpuinfo

ROWS, CHANNELS, COLUMNS = 8, 34, 16  # two channels are left over where four are packed together
STEP = np.float32(1 / 64)


def _cuts_off() -> bool:
    flags = cpuinfo().get("flags", "")
    return "avx2" in flags and "vnni" not in flags


def _as_int8(activations: np.ndarray, weight: np.ndarray) -> bytes:
    """One MatMul of the two in int8, as artifacts have it; its output is the sums times STEP."""
    constants: dict[str, np.ndarray] = {
        **{"step": np.array(1, np.float32), "zero": np.array(0, np.int8), "weight": weight},
        **{"steps": np.full(weight.shape[1], STEP), "zeros": np.zeros(weight.shape[1], np.int8)},
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["rounded"]),
        helper.make_node("DequantizeLinear", ["rounded", "step", "zero"], ["back"]),
        helper.make_node("DequantizeLinear", ["weight", "steps", "zeros"], ["factors"], axis=1),
        helper.make_node("MatMul", ["back", "factors"], ["sums"]),
    ]
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, activations.shape)],
        [helper.make_tensor_value_info("sums", TensorProto.FLOAT, [len(activations), weight.shape[1]])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString())


def _on_onnxruntime(model: bytes, rows: np.ndarray) -> np.ndarray:
    return np.asarray(ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": rows})[0])


def _on_openvino(model: bytes, rows: np.ndarray) -> np.ndarray:
    openvino = pytest.importorskip("openvino", reason="openvino is not installed here")
    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    return np.asarray(core.compile_model(core.read_model(model, b""), "CPU", settings)(rows)[0])


@pytest.mark.skipif(not _cuts_off(), reason="this processor has VNNI, or no AVX2: it adds in 32 bits")
@pytest.mark.parametrize("run", [_on_onnxruntime, _on_openvino])
def test_the_simulation_is_what_the_processor_gives(run: Callable[[bytes, np.ndarray], np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    activations = rng.integers(-127, 128, (ROWS, CHANNELS)).astype(np.int8)
    activations[:, ::3] = 127
    weight = rng.integers(-127, 128, (CHANNELS, COLUMNS)).astype(np.int8)
    found = run(_as_int8(activations, weight), activations.astype(np.float32)) / STEP
    np.testing.assert_array_equal(found, saturation.product(activations, weight))
    assert (found != activations.astype(np.int64) @ weight.astype(np.int64)).any()


def test_what_fits_into_16_bits_is_exact() -> None:
    rng = np.random.default_rng(0)
    activations = rng.integers(-127, 128, (ROWS, CHANNELS)).astype(np.int8)
    weight = rng.integers(-64, 65, (CHANNELS, COLUMNS)).astype(np.int8)
    np.testing.assert_array_equal(
        saturation.product(activations, weight), activations.astype(np.int64) @ weight.astype(np.int64)
    )


def _layer(kind: str) -> tuple[onnx.ModelProto, np.ndarray]:
    """One operator with weights that are large side by side, half of them where its inputs are small."""
    rng = np.random.default_rng(3)
    shape = (12, 5, 3, 3) if kind == "Conv" else (CHANNELS, COLUMNS)
    weight = rng.normal(size=shape).astype(np.float32)
    if kind != "Conv":
        weight[:2, :8] = weight[-2:, 8:] = 3
    more: dict[str, Any] = {"transB": 1} if kind == "Gemm" else {}
    nodes = [
        helper.make_node("Neg", ["x"], ["read"]),
        helper.make_node(kind, ["read", "fc.weight"], ["logits"], **more),
    ]
    size: list[str | int | None] = ["batch", 5, 8, 8] if kind == "Conv" else ["batch", CHANNELS]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, size)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ascontiguousarray(weight.T) if more else weight, "fc.weight")],
    )
    inputs = -rng.uniform(0.5, 1, (4, 5, 8, 8) if kind == "Conv" else (64, CHANNELS)).astype(np.float32)
    if kind != "Conv":
        inputs *= np.linspace(0.02, 1, CHANNELS, dtype=np.float32)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), inputs


def _made(kind: str, fit: str) -> tuple[onnx.ModelProto, dict[str, calibrate.Range], Operator]:
    model, inputs = _layer(kind)
    (operator,) = operators(model, weights(model))
    ranges = calibrate.observe(model, operator.activations, inputs)
    int8.quantize(model, [operator], ranges, fit=fit)
    return model, ranges, operator


@pytest.mark.parametrize("kind", ["MatMul", "Gemm", "Conv"])
@pytest.mark.parametrize(("fit", "result"), [(FULL, MAY_DIFFER), (PORTABLE, PORTABLE)])
def test_a_range_gives_what_it_promises(kind: str, fit: str, result: str) -> None:
    found = saturation.certify(*_made(kind, fit)[:2])
    assert found.result == result
    assert (found.up_to or 0) > 0 if result == MAY_DIFFER and kind != "Conv" else not found.up_to
    assert found.columns == (12 if kind == "Conv" else COLUMNS)


def test_a_convolution_behind_a_convolution_is_looked_at() -> None:
    """What the second one reads was rounded behind the first one, and has another name."""
    rng = np.random.default_rng(0)
    stored = [rng.normal(size=(4, 4, 3, 3)).astype(np.float32) for _ in range(2)]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "a.weight"], ["h"]), helper.make_node("Conv", ["h", "b.weight"], ["logits"])],
        "two",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, f"{name}.weight") for name, values in zip("ab", stored, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    chosen = operators(model, weights(model))
    inputs = rng.normal(size=(2, 4, 8, 8)).astype(np.float32)
    ranges = calibrate.observe(model, [*(name for one in chosen for name in one.activations), "h"], inputs)
    int8.quantize(model, chosen, ranges, behind={"h"})
    found = saturation.certify(model, ranges)
    assert found.columns == 8
    assert set(found.any_input) == {"a", "b"}


def test_no_more_of_the_range_is_given_up_than_needed() -> None:
    """The steps of a column grow where its neighbours need it, and to less than twice what they are."""
    full, portable = (weights(_made("MatMul", fit)[0]) for fit in (FULL, PORTABLE))
    assert (full["fc.weight_scale"] <= portable["fc.weight_scale"]).all()
    assert (portable["fc.weight_scale"] < full["fc.weight_scale"] * 127 / 63).all()
    assert np.abs(portable["fc.weight_int8"].astype(int)).max(axis=0).min() > 60


def test_what_calibration_did_not_reach_may_be_all_that_saturates() -> None:
    """The weights that are large side by side are where the inputs are small."""
    model, ranges, _ = _made("MatMul", FULL)
    for tensor in model.graph.initializer:
        if tensor.name == "fc.weight_int8":
            values = numpy_helper.to_array(tensor).copy()
            values[2:] = values[2:].clip(-60, 60)
            values[:2] = 120
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    found = saturation.certify(model, ranges)
    assert (found.result, found.any_input, found.calibrated) == (PORTABLE_CALIBRATED, {"fc": COLUMNS}, {})


def test_a_portable_layer_is_exact_for_the_worst_input_and_a_full_one_is_not() -> None:
    for fit in (FULL, PORTABLE):
        weight = weights(_made("MatMul", fit)[0])["fc.weight_int8"]
        worst = np.where(
            np.repeat(np.add.reduceat(weight.astype(int), range(0, CHANNELS, 2)), 2, axis=0) > 0, 127, -127
        )
        rows = worst.T.astype(np.int8)
        exact = rows.astype(np.int64) @ weight.astype(np.int64)
        assert (saturation.product(rows, weight) == exact).all() == (fit == PORTABLE)


def test_without_its_ranges_an_artifact_may_differ_or_is_portable(tmp_path: Path) -> None:
    for fit, result in ((FULL, MAY_DIFFER), (PORTABLE, PORTABLE)):
        onnx.save(_made("MatMul", fit)[0], tmp_path / "model.onnx")
        found = saturation.run_job({"onnx": str(tmp_path / "model.onnx")})
        assert found["result"] == result
        assert found["calibrated"] is None
        assert ("fc" in found["any_input"]) == (result == MAY_DIFFER)
