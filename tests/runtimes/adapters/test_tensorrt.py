"""The TensorRT adapter: real builds by TensorRT for RTX, and runs on a pretended GPU, so that each line has run."""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from convert.artifact import Artifact
from convert.common import typed
from convert.manifest import FileEntry
from runtimes.adapters.tensorrt import TENSORRT
from runtimes.base import Options, UnavailableError, discrepancy
from runtimes.gpu import cuda
from runtimes.tensorrt import cache as tensorrt_cache
from runtimes.tensorrt import engine as tensorrt_engine
from runtimes.tensorrt.engine import EngineConfig, engine_config
from tests.runtimes.fake_cuda import FakeCuda
from tests.runtimes.fake_tensorrt import Pretence, layer, namesakes

trt = pytest.importorskip("tensorrt_rtx", reason="no tensorrt-rtx here, which builds without a GPU")
if TENSORRT.package != "tensorrt_rtx":
    pytest.skip("TensorRT itself is installed here, whose builder needs a GPU", allow_module_level=True)

GPU = Options(device="GPU", batches=(1, 4))


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A cache that all tests share: each engine is built once."""
    return str(tmp_path_factory.mktemp("engines"))


@pytest.fixture
def pretence(toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretence]:
    pretended = FakeCuda()
    monkeypatch.setattr(cuda, "_api", lambda: pretended)
    monkeypatch.setattr(ctypes, "CDLL", lambda name, *rest: None)
    made = Pretence(trt, pretended, toy_artifact.onnx)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", made.module())
    made.profiles = [(1, 1, 1), (4, 4, 4)]
    # The builder runs in a process of its own, which the pretence does not reach.
    apart: Any = tensorrt_cache.build_apart
    monkeypatch.setattr(tensorrt_cache, "build_apart", lambda *given: apart(*given[:3], None, given[4]))
    yield made
    gc.collect()
    assert not +pretended.left, "something of the device was not released"


def _images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 3, 32, 32), np.float32)


def _expected(pretence: Pretence, images: np.ndarray) -> np.ndarray:
    logits: np.ndarray = pretence.model.run(None, {pretence.model.get_inputs()[0].name: images})[0]
    return logits


def test_logits_of_each_batch(pretence: Pretence, toy_artifact: Artifact, engines: str) -> None:
    with TENSORRT.open(toy_artifact, replace(GPU, cache=engines)) as session:
        assert [(info.name, info.dtype, info.shape) for info in session.inputs] == [("x", "FLOAT", (-1, 3, 32, 32))]
        assert [info.shape for info in session.outputs] == [(-1, 7)]
        kept = []
        for seed, count in enumerate((1, 4, 4, 1)):
            images = _images(count, seed)
            logits = session.run(images)
            assert logits.dtype == np.float32
            assert np.array_equal(logits, _expected(pretence, images))
            kept.append((logits, logits.copy()))
        assert all(np.array_equal(logits, then) for logits, then in kept), "a run changed what an earlier one returned"
    assert pretence.executed == 4
    assert pretence.strategy == trt.DynamicShapesKernelSpecializationStrategy.EAGER


def test_a_batch_without_a_profile_is_refused_and_the_session_goes_on(
    pretence: Pretence, toy_artifact: Artifact, engines: str
) -> None:
    with TENSORRT.open(toy_artifact, replace(GPU, cache=engines)) as session:
        session.run(_images(1))
        with pytest.raises(UnavailableError, match="built for batch 1, 4; batch 2 came"):
            session.run(_images(2))
        with pytest.raises(UnavailableError, match=r"did not take an input of shape \(1, 3, 8, 8\)"):
            session.run(np.zeros((1, 3, 8, 8), np.float32))
        assert np.array_equal(session.run(_images(4)), _expected(pretence, _images(4)))


def test_a_graph_is_captured_after_a_plain_run_and_replayed(
    pretence: Pretence, toy_artifact: Artifact, engines: str
) -> None:
    calls = pretence.cuda.calls
    with TENSORRT.open(toy_artifact, replace(GPU, cache=engines, extra={"cuda_graph": "on"})) as session:
        for seed in range(3):
            images = _images(1, seed)
            assert np.array_equal(session.run(images), _expected(pretence, images))
        assert (calls["cudaStreamBeginCapture"], calls["cudaGraphLaunch"], pretence.executed) == (1, 2, 3)
        assert session.effective().details["cuda_graph_replays"] == 2
        for seed in range(2):  # another batch has other buffers, and so another graph
            images = _images(4, seed)
            assert np.array_equal(session.run(images), _expected(pretence, images))
        assert (calls["cudaStreamBeginCapture"], calls["cudaGraphLaunch"], pretence.executed) == (2, 3, 5)


def test_without_the_setting_there_is_no_graph(pretence: Pretence, toy_artifact: Artifact, engines: str) -> None:
    with TENSORRT.open(toy_artifact, replace(GPU, cache=engines)) as session:
        session.run(_images(1))
        session.run(_images(1))
        assert session.effective().details["cuda_graph_replays"] == 0
    assert pretence.cuda.calls["cudaStreamBeginCapture"] == 0


def test_an_engine_that_cannot_be_captured_is_no_silent_plain_run(
    pretence: Pretence, toy_artifact: Artifact, engines: str
) -> None:
    pretence.cuda.fail["cudaStreamEndCapture"] = pretence.cuda.cudaError_t.cudaErrorStreamCaptureInvalidated
    with TENSORRT.open(toy_artifact, replace(GPU, cache=engines, extra={"cuda_graph": "on"})) as session:
        with pytest.raises(UnavailableError, match=r"cuda_graph=on: .*cudaErrorStreamCaptureInvalidated"):
            session.run(_images(1))
        pretence.cuda._captures.clear()


def test_device_times_are_those_of_the_last_run(pretence: Pretence, toy_artifact: Artifact, engines: str) -> None:
    with TENSORRT.open(toy_artifact, replace(GPU, cache=engines)) as session:
        assert session.device_times() is None
        session.run(_images(1))
        times = session.device_times()
        assert times is not None
        assert (times.h2d_ms, times.compute_ms, times.d2h_ms) == (1.0, 1.0, 1.0)  # one tick of the pretended clock each


@pytest.mark.parametrize("refused", ["set_tensor_address", "execute_async_v3", "set_optimization_profile_async"])
def test_what_tensorrt_refuses_is_told_with_its_reason(
    pretence: Pretence, toy_artifact: Artifact, engines: str, refused: str
) -> None:
    with TENSORRT.open(toy_artifact, replace(GPU, cache=engines)) as session:
        pretence.refuse.add(refused)
        tensorrt_engine._LOGS["tensorrt_rtx"].errors.append("Error Code 1: Myelin")
        with pytest.raises(UnavailableError, match=r"TensorRT did not .*: Error Code 1: Myelin"):
            session.run(_images(4))


@pytest.mark.parametrize(
    ("layers", "options", "precision"),
    [
        ([layer("a", "Float")], GPU, "fp32"),
        ([layer("a", "Row major linear FP32"), layer("b", "Int64")], GPU, "fp32"),
        ([layer("a", "Float"), layer("b", "Half")], GPU, "fp16"),
        ([layer("a", "Float", "sm80_xmma_gemm_f32f32_tf32f32_f32_tn_n")], GPU, "tf32"),  # nobody asked for it
        ([layer("a", "Float")], replace(GPU, precision="tf32"), "tf32"),
        (["a", "b"], GPU, "fp32"),  # names alone: the network says it
        ([layer("a", "N/A due to dynamic shapes")], GPU, "fp32"),
    ],
)
def test_precision_is_that_of_the_layers(
    pretence: Pretence, toy_artifact: Artifact, engines: str, layers: list[Any], options: Options, precision: str
) -> None:
    pretence.layers = layers
    with TENSORRT.open(toy_artifact, replace(options, cache=engines)) as session:
        session.run(_images(1))
        effective = session.effective()
    assert effective.precision == precision
    assert effective.details["layers"] == len(layers)
    assert (discrepancy("tensorrt", effective, options) is None) == (precision == options.precision)


def test_effective_is_read_back_and_can_be_stored(pretence: Pretence, toy_artifact: Artifact, engines: str) -> None:
    pretence.cuda.count = 2
    with TENSORRT.open(toy_artifact, replace(GPU, device="GPU.1", cache=engines)) as session:
        with pytest.raises(UnavailableError, match="nothing has run yet"):
            session.effective()
        session.run(_images(4))
        effective = session.effective()
    assert effective.device == "GPU.1"
    details = json.loads(json.dumps(typed.table(effective)))["details"]
    assert details["read_from"] == "engine inspector"
    assert (details["gpu"], details["compute_capability"]) == ("Pretended GPU", [8, 9])
    assert (details["flavour"], details["version"]) == ("tensorrt_rtx", trt.__version__)
    assert (details["tf32_flag"], details["layers_with_tf32_kernels"]) == (False, 0)
    assert details["profiles"] == [[1, 1, 1], [4, 4, 4]]


def test_all_outputs_by_name(pretence: Pretence, toy_artifact: Artifact, tmp_path: Path, engines: str) -> None:
    model = onnx.load(toy_artifact.onnx)
    inner = next(node for node in model.graph.node if node.op_type == "LayerNormalization").output[0]
    model.graph.output.append(onnx.helper.make_tensor_value_info(inner, onnx.TensorProto.FLOAT, ["n", 17, 16]))
    onnx.save(model, tmp_path / "model.onnx")
    several = Artifact(tmp_path, replace(toy_artifact.manifest, files={"model.onnx": FileEntry(1, "several")}))
    made = Pretence(trt, pretence.cuda, several.onnx)
    made.profiles = pretence.profiles
    there: Any = sys.modules["tensorrt_rtx"]
    there.Runtime = made.module().Runtime
    images = _images(4)
    with TENSORRT.open(several, replace(GPU, cache=engines)) as session:
        found = session.run_all(images)
        assert list(found) == ["logits", inner]
        names = list(found)
        for name, values in zip(names, made.model.run(names, {"x": images}), strict=True):
            assert np.array_equal(found[name], values)
        session.run(_images(4, 1))
        assert np.array_equal(found["logits"], _expected(pretence, images))


def test_half_precision_at_the_ends_is_converted(pretence: Pretence, toy_artifact: Artifact, engines: str) -> None:
    pretence.io_type = trt.DataType.HALF
    images = _images(4)
    with TENSORRT.open(toy_artifact, replace(GPU, cache=engines)) as session:
        logits = session.run(images)
    assert logits.dtype == np.float32
    assert np.allclose(logits, _expected(pretence, images), atol=1e-2)
    assert not np.array_equal(logits, _expected(pretence, images))


def test_an_engine_is_found_again_by_the_same_options_only(
    pretence: Pretence, toy_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pretended_build(
        module: str, onnx: Path, wanted: EngineConfig, device: int | None, cache: tensorrt_cache.Cache
    ) -> None:
        cache.engine.mkdir(parents=True)
        (cache.engine / "engine.plan").write_bytes(b" " * 200_000)
        facts = {"tf32_flag": wanted.tf32, "network_outputs_by_type": {"FLOAT": 1}}
        (cache.engine / "engine.json").write_text(json.dumps(facts))

    monkeypatch.setattr(tensorrt_cache, "build_apart", pretended_build)

    def told(options: Options) -> str:
        with TENSORRT.open(toy_artifact, replace(options, cache=str(tmp_path))) as session:
            session.run(_images(1))
            return str(session.effective().details["cache"])

    assert told(GPU) == "built"
    assert told(replace(GPU, batches=(4, 1, 1))) == "found"
    assert told(replace(GPU, extra={"cuda_graph": "on"})) == "found"  # no matter of the engine
    assert told(replace(GPU, precision="tf32")) == "built"
    assert told(replace(GPU, extra={"optimization_level": "1"})) == "built"
    pretence.profiles = [(1, 1, 1)]
    assert told(replace(GPU, batches=(1,))) == "built"
    pretence.cuda.capability = (9, 0)
    assert told(replace(GPU, batches=(1,))) == "built"


def test_precision_must_stand_in_the_file(pretence: Pretence, toy_artifact: Artifact) -> None:
    with pytest.raises(UnavailableError, match="fp16 needs an artifact in fp16, and this one is in fp32"):
        TENSORRT.open(toy_artifact, replace(GPU, precision="fp16"))


def test_tf32_is_refused_where_there_is_none(
    pretence: Pretence, toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretence.cuda.capability = (7, 5)
    with pytest.raises(UnavailableError, match=r"Pretended GPU has no tf32: it needs compute capability 8\.0"):
        TENSORRT.open(toy_artifact, replace(GPU, precision="tf32"))
    pretence.cuda.capability = (8, 0)
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    with pytest.raises(UnavailableError, match="NVIDIA_TF32_OVERRIDE=0 is set"):
        TENSORRT.open(toy_artifact, replace(GPU, precision="tf32"))


def test_a_device_that_is_not_there_is_refused(pretence: Pretence, toy_artifact: Artifact) -> None:
    with pytest.raises(UnavailableError, match=r"finds no device GPU\.1, only GPU"):
        TENSORRT.open(toy_artifact, replace(GPU, device="GPU.1"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(), EngineConfig(False, (1, 32), dynamic=True)),
        (Options(extra={"max_batch": "8"}), EngineConfig(False, (1, 8), dynamic=True)),
        (Options("tf32", batches=(8, 1, 1)), EngineConfig(True, (1, 8))),
        (Options(batches=(2, 4), extra={"profiles": "range"}), EngineConfig(False, (2, 4), dynamic=True)),
        (
            Options(batches=(1,), extra={"optimization_level": "5", "workspace": "512"}),
            EngineConfig(False, (1,), optimization_level=5, workspace_mib=512),
        ),
    ],
)
def test_what_an_engine_is_built_for(options: Options, expected: EngineConfig) -> None:
    assert engine_config(TENSORRT, options, dynamic="profiles" in options.extra) == expected


def test_a_largest_batch_of_zero_is_refused() -> None:
    with pytest.raises(UnavailableError, match="at least 1 is needed"):
        engine_config(TENSORRT, Options(extra={"max_batch": "0"}), dynamic=False)


def test_without_a_driver_the_reason_says_so() -> None:
    if TENSORRT.unavailable() is None:
        pytest.skip("there is a GPU here")
    assert TENSORRT.unavailable() == "no CUDA driver: libcuda.so.1 not found"


def test_the_pretence_has_nothing_that_tensorrt_has_not() -> None:
    for pretended, real in namesakes(trt):
        names = [name for name in vars(pretended) if not name.startswith("_")]
        assert [name for name in names if not hasattr(real, name)] == []


def test_tensorrt_itself_needs_no_strategy(pretence: Pretence) -> None:
    module = pretence.module()
    module.__name__ = "tensorrt"
    engine = module.Runtime(None).deserialize_cuda_engine(b" " * 200_000)
    assert tensorrt_engine.execution_context(module, engine) is not None
    assert pretence.strategy is None
