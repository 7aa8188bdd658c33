"""The probe tells formats apart by the digits that a product keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtimes.mnn import precision_probe as significand


def _rounded(values: np.ndarray, fraction_bits: int) -> np.ndarray:
    """To nearest, ties to even, as processors do."""
    mantissa, exponent = np.frexp(values.astype(np.float64))
    rounded: np.ndarray = np.ldexp(np.rint(np.ldexp(mantissa, fraction_bits + 1)), exponent - fraction_bits - 1)
    return rounded


def _product(path: Path, weight_bits: int, activation_bits: int) -> dict[str, np.ndarray]:
    """The probe, computed by numpy in formats of so many fraction bits."""
    import onnx
    from onnx import numpy_helper

    weights, signs = (numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer)
    x = _rounded(significand.INPUT, activation_bits)
    return {"weighted": x @ _rounded(weights, weight_bits), "paired": x @ _rounded(x * signs, activation_bits).T}


@pytest.mark.parametrize(("bits", "kind"), [(23, "float32"), (10, "float16"), (7, "bfloat16"), (4, "int8")])
def test_each_format_keeps_its_bits(tmp_path: Path, bits: int, kind: str) -> None:
    significand.write_probe(tmp_path / "probe.onnx")
    found = significand.bits(**_product(tmp_path / "probe.onnx", bits, bits))
    assert set(found.values()) == {bits}
    assert significand.widest_type(bits) == kind


def test_weights_and_activations_are_told_apart(tmp_path: Path) -> None:
    significand.write_probe(tmp_path / "probe.onnx")
    found = significand.bits(**_product(tmp_path / "probe.onnx", weight_bits=10, activation_bits=23))
    assert found == {"weights": 10, "activations": 23, "left of a product": 23, "right of a product": 23}


def test_the_probe_is_fp32_in_onnx_runtime_and_bf16_in_openvino_left_to_itself(tmp_path: Path) -> None:
    ort, openvino = pytest.importorskip("onnxruntime"), pytest.importorskip("openvino")
    significand.write_probe(tmp_path / "probe.onnx")
    model = str(tmp_path / "probe.onnx")
    outputs = ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": significand.INPUT})
    assert set(significand.bits(*outputs).values()) == {23}

    core = openvino.Core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bf16: OpenVINO would not choose it")
    found = core.compile_model(model, "CPU")(significand.INPUT)
    assert significand.widest_type(min(significand.bits(found["weighted"], found["paired"]).values())) == "bfloat16"
