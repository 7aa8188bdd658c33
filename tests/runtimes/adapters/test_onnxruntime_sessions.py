"""ONNX Runtime's sessions on a pretended GPU, so that each line has run before there is one."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from convert.artifact import Artifact
from convert.common import typed
from runtimes.adapters.onnxruntime import ORT_CUDA, ORT_TENSORRT
from runtimes.base import Options, Runtime, UnavailableError, discrepancy
from runtimes.gpu import cuda
from runtimes.ort.session import CPU, CUDA
from tests.runtimes.fake_onnxruntime import Pretence

GPU = Options(device="GPU", threads=1)
BOTH = pytest.mark.parametrize("runtime", [ORT_CUDA, ORT_TENSORRT], ids=lambda runtime: runtime.name)


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return replace(GPU, cache=str(tmp_path / "cache"))


def _images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 3, 32, 32), np.float32)


@pytest.fixture(scope="session")
def model(toy_artifact: Artifact) -> Any:
    return onnxruntime.InferenceSession(str(toy_artifact.onnx), providers=["CPUExecutionProvider"])


def _expected(model: Any, images: np.ndarray) -> np.ndarray:
    logits: np.ndarray = model.run(None, {"x": images})[0]
    return logits


def _close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


@BOTH
@pytest.mark.parametrize("graph", ["off", "on"])
def test_logits_of_each_batch(
    pretence: Pretence, model: Any, toy_artifact: Artifact, options: Options, runtime: Runtime, graph: str
) -> None:
    options = replace(options, batches=(1, 4), extra={"cuda_graph": graph})
    with runtime.open(toy_artifact, options) as session:
        assert (session.inputs[0].name, session.inputs[0].shape[1:]) == ("x", (3, 32, 32))
        kept = []
        for seed, count in enumerate((1, 4, 4, 1)):
            images = _images(count, seed)
            logits = session.run(images)
            assert logits.dtype == np.float32
            _close(logits, _expected(model, images))
            kept.append((logits, logits.copy()))
        assert all(np.array_equal(logits, then) for logits, then in kept), "a run changed what an earlier one returned"
        effective = session.effective()
        assert discrepancy(runtime.name, effective, options) is None
        assert effective.details["cuda_graph"] == (graph == "on")
        assert effective.details["threads"] == 1
        assert json.dumps(typed.table(effective))
    # A graph replays what stood at these addresses: they stay those of the batch's first run.
    assert len(pretence.addresses) == 4
    assert len(set(pretence.addresses)) == 2
    assert len(pretence.opened) == (2 if graph == "on" else 1)


@BOTH
def test_device_times_are_apart(pretence: Pretence, toy_artifact: Artifact, options: Options, runtime: Runtime) -> None:
    with runtime.open(toy_artifact, options) as session:
        assert session.device_times() is None
        session.run(_images(2))
        times = session.device_times()
        assert times is not None
        assert (times.h2d_ms, times.compute_ms, times.d2h_ms) == (1, 1, 1)  # the fake's clock ticks once per event


def test_each_run_is_waited_for(pretence: Pretence, toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime#32673: without it the TensorRT provider gave wrong results. The fake's stream shows it, too."""
    with ORT_CUDA.open(toy_artifact, GPU) as session:
        first = session.run(_images(1, 0))
        with monkeypatch.context() as without:
            without.setattr(cuda.Stream, "synchronize", lambda self: None)
            assert np.array_equal(session.run(_images(1, 1)), first), "old logits: the fake sees what is not waited for"
        assert not np.array_equal(session.run(_images(1, 1)), first)


@pytest.mark.parametrize(("precision", "use_tf32", "override"), [("fp32", "0", "0"), ("tf32", "1", None)])
def test_tf32_is_asked_for_and_read_back(
    pretence: Pretence,
    toy_artifact: Artifact,
    options: Options,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
    use_tf32: str,
    override: str | None,
) -> None:
    options = replace(options, precision=precision)
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    with ORT_CUDA.open(toy_artifact, options) as session:
        session.run(_images(1))
        assert session.effective().precision == precision
    assert pretence.opened[0]["use_tf32"] == use_tf32
    if override:
        with pytest.raises(UnavailableError, match="needs NVIDIA_TF32_OVERRIDE=0 in the environment"):
            ORT_TENSORRT.open(toy_artifact, options)
        monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", override)
    assert ORT_TENSORRT.environment(options) == ({"NVIDIA_TF32_OVERRIDE": "0"} if override else {})
    with ORT_TENSORRT.open(toy_artifact, options) as session:
        session.run(_images(1))
        assert session.effective().precision == precision


def test_tf32_that_is_on_although_fp32_was_asked_for_is_seen(
    pretence: Pretence, toy_artifact: Artifact, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretence.ignores = {"use_tf32"}
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    with ORT_CUDA.open(toy_artifact, options) as session:
        session.run(_images(1))
        found = session.effective()
    assert discrepancy("ort-cuda", found, options) == "ort-cuda computed in tf32 instead of fp32"
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    with ORT_TENSORRT.open(toy_artifact, options) as session:
        session.run(_images(1))
        monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
        assert session.effective().precision == "tf32"


@BOTH
def test_tf32_that_cannot_be_is_refused(
    pretence: Pretence, toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch, runtime: Runtime
) -> None:
    options = replace(GPU, precision="tf32")
    with pytest.raises(UnavailableError, match="NVIDIA_TF32_OVERRIDE=0 is set, so nothing computes in TF32"):
        runtime.open(toy_artifact, options)
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    pretence.cuda.capability = (7, 5)
    reason = "Pretended GPU has no tf32: it needs compute capability 8.0 and has 7.5"
    with pytest.raises(UnavailableError, match=reason):
        runtime.open(toy_artifact, options)


@BOTH
def test_a_provider_that_falls_back_silently_is_refused(
    pretence: Pretence, toy_artifact: Artifact, options: Options, runtime: Runtime
) -> None:
    pretence.falls_back = True
    with pytest.raises(UnavailableError, match=r"could not start \w+ExecutionProvider and fell back to CPUExec"):
        runtime.open(toy_artifact, options)


# As they were with the real provider libraries and stand-ins for the driver's, shortened inside the brackets.
@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "/src/cuda_call.cc:154 Status CudaCall(ERRTYPE) [with ERRTYPE = cudaError; bool THRW = true] CUDA failure"
            " 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; expr=cudaSetDevice(0); \n",
            "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version",
        ),
        (
            "/src/cuda_execution_provider_info.cc:63 FromProviderOptions(const ProviderOptions&) [ONNXRuntimeError] :"
            ' 1 : FAIL : provider_options_utils.h:182 Parse Unknown provider option: "nonsense".\n',
            'provider_options_utils.h:182 Parse Unknown provider option: "nonsense".',
        ),
        (
            "/src/onnxruntime_pybind_state.cc:1086 Create(const ProviderOptionsMap&) [ERROR] [TensorRT] The value for"
            " the key 'trt_timing_cache_enable' should be 'True' or 'False'. Default value is 'False'.\n\n",
            "[TensorRT] The value for the key 'trt_timing_cache_enable' should be 'True' or 'False'. Default value is"
            " 'False'.",
        ),
        ("Please install TensorRT libraries", "Please install TensorRT libraries"),
    ],
)
def test_why_a_provider_does_not_start_is_one_sentence(
    pretence: Pretence, toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch, message: str, reason: str
) -> None:
    def refuse(*given: Any, **named: Any) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr(sys.modules["onnxruntime"], "InferenceSession", refuse)
    with pytest.raises(UnavailableError) as caught:
        ORT_CUDA.open(toy_artifact, GPU)
    assert str(caught.value) == f"ONNX Runtime could not start CUDAExecutionProvider: {reason}"


@BOTH
def test_one_node_on_the_processor_makes_it_no_gpu_number(
    pretence: Pretence, toy_artifact: Artifact, options: Options, runtime: Runtime
) -> None:
    pretence.strays = {"Softmax"}
    with runtime.open(toy_artifact, options) as session:
        session.run(_images(1))
        found = session.effective()
    assert discrepancy(runtime.name, found, options) == f"{runtime.name} ran on CPU+GPU instead of GPU"
    assert {text.split()[0] for text in found.details["nodes_elsewhere"]} == {"Softmax"}
    assert found.details["nodes_assigned"]["CPUExecutionProvider"] == 2


def test_shape_nodes_may_be_on_the_processor_and_are_listed(
    pretence: Pretence, toy_artifact: Artifact, options: Options
) -> None:
    with ORT_CUDA.open(toy_artifact, options) as session:
        with pytest.raises(UnavailableError, match="nothing has run yet"):
            session.effective()
        session.run(_images(1))
        effective = session.effective()
    assert effective.device == "GPU"
    assert any(text.startswith("Shape ") for text in effective.details["shape_nodes_elsewhere"])
    assert effective.details["nodes_by_provider"].keys() == {CUDA, CPU}


def test_another_gpu_is_where_the_memory_is(pretence: Pretence, toy_artifact: Artifact, options: Options) -> None:
    pretence.cuda.count = 2
    options = replace(options, device="GPU.1")
    with ORT_CUDA.open(toy_artifact, options) as session:
        session.run(_images(1))
        assert session.effective().device == "GPU.1"
        assert pretence.opened[0]["device_id"] == "1"
        pretence.cuda.device = 0
        found = session.effective()
    assert discrepancy("ort-cuda", found, options) == "ort-cuda ran on GPU instead of GPU.1"


@BOTH
def test_a_session_that_ignores_our_stream_is_refused(
    pretence: Pretence, toy_artifact: Artifact, options: Options, runtime: Runtime
) -> None:
    pretence.ignores = {"user_compute_stream"}
    with pytest.raises(UnavailableError, match="did not take our stream"):
        runtime.open(toy_artifact, options)


@BOTH
def test_every_output(
    pretence: Pretence, model: Any, toy_artifact: Artifact, options: Options, runtime: Runtime
) -> None:
    with runtime.open(toy_artifact, options) as session:
        found = session.run_all(_images(2))
        assert list(found) == ["logits"]
        _close(found["logits"], _expected(model, _images(2)))
        assert session.effective().device == "GPU"
    with (
        runtime.open(toy_artifact, replace(options, extra={"cuda_graph": "on"})) as session,
        pytest.raises(UnavailableError, match="cuda_graph=off gives all of them"),
    ):
        session.run_all(_images(1))


@BOTH
@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_types_stand_in_the_file(pretence: Pretence, toy_artifact: Artifact, runtime: Runtime, precision: str) -> None:
    with pytest.raises(
        UnavailableError, match=f"{precision} needs an artifact in {precision}, and this one is in fp32"
    ):
        runtime.open(toy_artifact, replace(GPU, precision=precision))


def test_an_artifact_that_is_not_what_it_says_is_seen(
    pretence: Pretence, toy_artifact: Artifact, options: Options
) -> None:
    says = Artifact(toy_artifact.path, replace(toy_artifact.manifest, precision="fp16"))
    options = replace(options, precision="fp16")
    for runtime in (ORT_CUDA, ORT_TENSORRT):
        with runtime.open(says, options) as session:
            session.run(_images(1))
            assert session.effective().precision == "fp32"
    pretence.writes = {"MatMul": "float16"}
    with ORT_CUDA.open(says, options) as session:
        session.run(_images(1))
        assert session.effective().precision == "fp16"


def test_inputs_that_cannot_be_bound_are_refused(
    pretence: Pretence, toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtimes.ort.gpu._NUMPY", {"tensor(float16)": np.float16})
    with pytest.raises(UnavailableError, match=r"x is tensor\(float\): only tensor\(float16\) can be bound"):
        ORT_CUDA.open(toy_artifact, GPU)
