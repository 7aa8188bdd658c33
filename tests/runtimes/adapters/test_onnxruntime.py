"""ONNX Runtime's adapters: the processor for real, and in a sentence what the GPU providers miss."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import io
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.images.inputs import seeded
from runtimes import registry
from runtimes.adapters.onnxruntime import ORT_CPU, ORT_CUDA, ORT_TENSORRT
from runtimes.base import Options, Runtime, UnavailableError
from runtimes.gpu import precision as gpu_precision
from runtimes.ort import libraries as ort_libraries
from runtimes.ort.session import CPU, CUDA, TENSORRT, Node, OrtSession, placement, types_computed
from runtimes.probe.neighbours import EXACT, SATURATED
from runtimes.profiled.layers import ProfiledSession
from runtimes.system import conflicts
from runtimes.system.processor import cpuinfo
from tests.runtimes.fake_onnxruntime import Pretence, loader

BOTH = pytest.mark.parametrize("runtime", [ORT_CUDA, ORT_TENSORRT], ids=lambda runtime: runtime.name)


# What is missing, in a sentence


def test_an_onnxruntime_without_the_provider(pretence: Pretence) -> None:
    pretence.providers = [CPU]
    for runtime, label in ((ORT_CUDA, "CUDA"), (ORT_TENSORRT, "TensorRT")):
        assert runtime.unavailable() == (
            f"this onnxruntime has no {label} provider: install onnxruntime-gpu (make EXTRA=cuda)"
        )
    assert ORT_CPU.unavailable() is None


@BOTH
def test_no_driver(pretence: Pretence, monkeypatch: pytest.MonkeyPatch, runtime: Runtime) -> None:
    monkeypatch.setattr(ctypes, "CDLL", loader(["libcuda.so.1"]))
    assert runtime.unavailable() == "no CUDA driver: libcuda.so.1 not found"


@pytest.mark.parametrize(
    ("runtime", "missing", "reason"),
    [
        (
            ORT_CUDA,
            ["libcublas.so.13", "libcudnn.so.9"],
            "the CUDA provider of onnxruntime needs libcublas.so.13, libcudnn.so.9, not found here:"
            " install onnxruntime-gpu[cuda,cudnn] (make EXTRA=cuda)",
        ),
        (
            ORT_TENSORRT,
            ["libnvinfer.so.10"],
            "the TensorRT provider of onnxruntime needs libnvinfer.so.10, not found here:"
            " install TensorRT 10 (pip install 'tensorrt-cu13<11')",
        ),
        (
            ORT_TENSORRT,
            ["libcublas.so.13", "libnvonnxparser.so.10"],
            "the TensorRT provider of onnxruntime needs libcublas.so.13, libnvonnxparser.so.10, not found here: install"
            " onnxruntime-gpu[cuda,cudnn] (make EXTRA=cuda) and install TensorRT 10 (pip install 'tensorrt-cu13<11')",
        ),
    ],
)
def test_a_library_that_is_missing(
    pretence: Pretence, monkeypatch: pytest.MonkeyPatch, runtime: Runtime, missing: list[str], reason: str
) -> None:
    monkeypatch.setattr(ort_libraries, "needed", lambda path: missing)
    monkeypatch.setattr(ctypes, "CDLL", loader(missing))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert runtime.unavailable() == reason
    assert not printed.getvalue(), "standard output is for JSON"


def test_a_provider_whose_file_is_damaged(pretence: Pretence, tmp_path: Path) -> None:
    file = tmp_path / "onnxruntime" / "capi" / "libonnxruntime_providers_cuda.so"
    file.write_bytes(b"\x7fELF\x02\x01" + b"\xff" * 58)
    assert "the CUDA provider is damaged, install it again" in str(ORT_CUDA.unavailable())
    file.unlink()
    assert "the CUDA provider is damaged, install it again" in str(ORT_CUDA.unavailable())


@BOTH
def test_two_onnxruntimes_are_a_conflict(monkeypatch: pytest.MonkeyPatch, runtime: Runtime) -> None:
    both = {"onnxruntime": "1.31.1", "onnxruntime-gpu": "1.31.1"}
    found = conflicts.problems(both)
    monkeypatch.setattr(conflicts, "problems", lambda: found)
    assert "each overwrites the other" in str(runtime.unavailable())


def test_gpu_devices_are_all_named(pretence: Pretence) -> None:
    assert ORT_CUDA.devices() == ["GPU"]
    pretence.cuda.count = 2
    assert ORT_TENSORRT.devices() == ["GPU.0", "GPU.1"]


# On the processor, for real


def test_a_gpu_provider_that_is_not_there_is_no_cpu_number(toy_artifact: Artifact) -> None:
    """With the real package: it warns, and takes the processor."""
    if CUDA in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has the CUDA provider: test_onnxruntime_gpu.py has it")
    with (
        pytest.warns(UserWarning, match="not in available provider names"),
        pytest.raises(UnavailableError, match="could not start CUDAExecutionProvider and fell back to CPUExecution"),
    ):
        OrtSession(toy_artifact.onnx, CUDA, 1)


def test_the_processor_says_what_it_did(toy_artifact: Artifact) -> None:
    with ORT_CPU.open(toy_artifact, Options(threads=1)) as session:
        session.run(np.zeros((1, 3, 32, 32), np.float32))
        effective = session.effective()
    assert (effective.precision, effective.device) == ("fp32", "CPU")
    assert effective.details["types"].keys() == {"float"}
    assert effective.details["nodes_elsewhere"] == []


def test_int8_is_the_same_on_every_processor(toy_toml: Path, toy_root: Path, toy_artifact: Artifact) -> None:
    """Sums of two products that saturate in 16 bits, without VNNI, would be off by twice as much."""
    variant = obtain(Request(str(toy_toml), "seeded:1", "int8", root=toy_root), print)[0]
    images, logits = seeded(toy_artifact.preprocessing, 64, seed=7).images, {}
    for artifact in (variant, toy_artifact):
        with ORT_CPU.open(artifact, Options(artifact.precision, threads=1)) as session:
            logits[artifact.precision] = session.run(images)
    error = np.square(logits["int8"] - logits["fp32"]).mean() / np.square(logits["fp32"]).mean()
    assert 0 < np.sqrt(error) < 0.04


def test_int8_reaches_the_head(toy_toml: Path, toy_root: Path) -> None:
    """Left to itself ONNX Runtime makes the head's weight FP32 with each image, for a Gemm in FP32."""
    variant = obtain(Request(str(toy_toml), "seeded:1", "int8", root=toy_root), print)[0]
    assert not isinstance(ORT_CPU.profiled, str)
    profiled = dataclasses.replace(ORT_CPU, open_session=ORT_CPU.profiled)
    with profiled.open(variant, Options("int8", threads=1)) as session:
        session.run(seeded(variant.preprocessing, 1).images)
        assert isinstance(session, ProfiledSession)
        operators = {layer.operator for layer in session.runs()[0]}
    assert "MatMulIntegerToFloat" in operators
    assert "Gemm" not in operators


def test_int8_that_cannot_saturate_is_computed_the_fast_way(toy_toml: Path, tmp_path: Path) -> None:
    """And gives the same as with exact sums; where the weights may, the sums are exact."""
    made, logits = {}, {}
    for fit in ("full", "portable"):
        variant = obtain(Request(str(toy_toml), "seeded:1", "int8", root=tmp_path, int8_range=fit), print)[0]
        images = seeded(variant.preprocessing, 8, seed=7).images
        with ORT_CPU.open(variant, Options("int8", threads=1)) as session:
            logits[fit] = session.run(images)
            made[fit] = session.effective().details["int8_sums"]
    assert made["full"] == EXACT
    flags = cpuinfo().get("flags", "")
    if "avx2" in flags and "vnni" not in flags:
        assert made["portable"] == SATURATED  # of the probe, whose weights are as large as can be
    settings = onnxruntime.SessionOptions()
    settings.add_session_config_entry("session.x64quantprecision", "1")
    exact = onnxruntime.InferenceSession(str(variant.onnx), settings, providers=[CPU]).run(None, {"x": images})[0]
    np.testing.assert_allclose(logits["portable"], exact, atol=1e-5)


def _node(operator: str, provider: str, reads: str, writes: str) -> Node:
    return Node(operator, operator, provider, (reads,), (writes,))


def test_int8_that_only_stands_around_fp32_products_is_fp32() -> None:
    """The CUDA provider has no int8 products: it runs quantized models between DequantizeLinear and QuantizeLinear."""
    around = [
        _node("QuantizeLinear", CUDA, "float", "int8"),
        _node("Transpose", CUDA, "int8", "int8"),
        _node("DequantizeLinear", CUDA, "int8", "float"),
        _node("MatMul", CUDA, "float", "float"),
    ]
    assert types_computed(around) == {"float": 1}
    assert types_computed([*around, _node("MatMulIntegerToFloat", CPU, "uint8", "float")]) == {"float": 2, "uint8": 1}


def test_placement() -> None:
    shape, product = _node("Shape", CPU, "float", "int64"), _node("MatMul", TENSORRT, "float", "float")
    assert placement([shape, product], TENSORRT)[0] == "GPU"
    assert placement([shape, product], CUDA)[0] == "GPU"
    assert placement([shape, _node("Cast", CPU, "int64", "float"), product], TENSORRT)[0] == "CPU+GPU"
    assert placement([_node("MatMul", CPU, "float", "float")], CUDA)[0] == "CPU"
    assert placement([_node("MatMul", "QNNExecutionProvider", "float", "float")], CUDA)[0] == "QNNExecutionProvider"
    with pytest.raises(UnavailableError, match="names no node that ran"):
        placement([shape], CUDA)


def test_the_three_are_found() -> None:
    assert [name for name in registry.names() if name.startswith("ort-")] == ["ort-cpu", "ort-cuda", "ort-tensorrt"]
    assert gpu_precision.TF32_OVERRIDE == "NVIDIA_TF32_OVERRIDE"
    assert ort_libraries._label(TENSORRT) == "TensorRT"
