"""The probe tells formats apart by the digits that a product keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtimes.probe import significand


def _rounded(values: np.ndarray, fraction_bits: int) -> np.ndarray:
    """To nearest, ties to even, as processors do."""
    mantissa, exponent = np.frexp(values.astype(np.float64))
    rounded: np.ndarray = np.ldexp(np.rint(np.ldexp(mantissa, fraction_bits + 1)), exponent - fraction_bits - 1)
    return rounded


def _products(path: Path, weights: int, activations: int, head: int) -> dict[str, np.ndarray]:
    """The probe, computed by numpy in formats of so many fraction bits; head: of the head's weights."""
    import onnx
    from onnx import numpy_helper

    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    x = _rounded(significand.INPUT[0], activations)
    return {
        "weighted": x @ _rounded(held["weights"], weights),
        "paired": x @ _rounded(x * held["signs"], activations).T,
        "convolved": _rounded(held["kernel"], weights).reshape(24, 2) @ x.T,
        "headed": x.reshape(-1) @ _rounded(held["head"], head),
    }


@pytest.mark.parametrize(("bits", "kind"), [(23, "float32"), (10, "float16"), (7, "bfloat16"), (4, "int8")])
def test_each_format_keeps_its_bits(tmp_path: Path, bits: int, kind: str) -> None:
    significand.write_probe(tmp_path / "probe.onnx")
    found = significand.bits(**_products(tmp_path / "probe.onnx", bits, bits, bits))
    assert set(found.values()) == {bits}
    assert significand.widest_type(bits) == kind


def test_weights_activations_and_layers_are_told_apart(tmp_path: Path) -> None:
    significand.write_probe(tmp_path / "probe.onnx")
    found = significand.bits(**_products(tmp_path / "probe.onnx", weights=10, activations=23, head=7))
    lower = {"weights": 10, "weights of a convolution": 10, "weights of a head": 7}
    assert {name: bits for name, bits in found.items() if bits < 23} == lower


def test_the_probe_is_fp32_in_onnx_runtime_and_bf16_in_openvino_left_to_itself(tmp_path: Path) -> None:
    ort, openvino = pytest.importorskip("onnxruntime"), pytest.importorskip("openvino")
    significand.write_probe(tmp_path / "probe.onnx")
    model = str(tmp_path / "probe.onnx")
    names = ["weighted", "paired", "convolved", "headed"]
    outputs = ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(names, {"x": significand.INPUT})
    assert set(significand.bits(*outputs).values()) == {23}

    core = openvino.Core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bf16: OpenVINO would not choose it")
    found = core.compile_model(model, "CPU")(significand.INPUT)
    bits = significand.bits(**{name: found[name] for name in names})
    # On an AMD EPYC with AVX512_BF16 its convolution keeps fewer digits than bf16 has.
    convolution = [bits.pop(f"{what} of a convolution") for what in ("weights", "activations")]
    assert max(convolution) <= min(bits.values())
    assert {significand.widest_type(found) for found in bits.values()} == {"bfloat16"}
