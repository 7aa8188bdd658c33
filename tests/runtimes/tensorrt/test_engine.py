"""The build half of TensorRT, for real: TensorRT for RTX parses and builds without a GPU and without a driver."""

from __future__ import annotations

import importlib.util
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from convert.artifact import Artifact
from runtimes.base import UnavailableError
from runtimes.tensorrt import engine as tensorrt_engine
from runtimes.tensorrt.engine import EngineConfig, build

STATIC = EngineConfig(tf32=False, batches=(1, 4))


@pytest.fixture(scope="session")
def trt() -> Any:
    return pytest.importorskip("tensorrt_rtx", reason="no tensorrt-rtx here, which builds without a GPU")


def _int8(source: Path, target: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            draw = np.random.default_rng(0)
            name = onnx.load(source).graph.input[0].name
            self.batches = [{name: draw.standard_normal((1, 3, 32, 32), np.float32)} for _ in range(3)]

        def get_next(self) -> dict[str, np.ndarray] | None:
            return self.batches.pop() if self.batches else None

    quantize_static(
        source,
        target,
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "MatMul"],  # of other operators it quantizes constants too, which is refused
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
    )


def _fp16(source: Path, target: Path) -> None:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)


def _bf16(source: Path, target: Path) -> None:
    model = onnx.load(source)
    graph = model.graph
    (given,), (answer,) = graph.input, graph.output
    for tensor in graph.initializer:
        _to_bf16(tensor)
    for node in graph.node:
        node.input[:] = [f"{name}_bf16" if name == given.name else name for name in node.input]
        node.output[:] = [f"{name}_bf16" if name == answer.name else name for name in node.output]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                _to_bf16(attribute.t)
    graph.node.insert(0, helper.make_node("Cast", [given.name], [f"{given.name}_bf16"], to=TensorProto.BFLOAT16))
    graph.node.append(helper.make_node("Cast", [f"{answer.name}_bf16"], [answer.name], to=TensorProto.FLOAT))
    del graph.value_info[:]
    model.opset_import[0].version = 22  # the first with a Conv in BF16
    onnx.checker.check_model(model)
    onnx.save(model, target)


def _to_bf16(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        upper = (numpy_helper.to_array(tensor).view(np.uint32) >> 16).astype(np.uint16)  # BF16 is the upper half
        tensor.CopyFrom(helper.make_tensor(tensor.name, TensorProto.BFLOAT16, tensor.dims, upper.tobytes(), raw=True))


def _external(source: Path, target: Path) -> None:
    data = f"{target.name}.data"
    onnx.save(onnx.load(source), target, save_as_external_data=True, location=data, size_threshold=0)


@pytest.mark.parametrize(
    ("make", "type_name", "others"),
    [
        (_external, "FLOAT", {"HALF", "BF16", "INT8"}),
        (_fp16, "HALF", {"BF16", "INT8"}),
        (_bf16, "BF16", {"HALF", "INT8"}),
        (_int8, "INT8", {"HALF", "BF16"}),
    ],
)
def test_a_network_is_built_in_the_types_of_its_file(
    trt: Any,
    toy_artifact: Artifact,
    tmp_path: Path,
    make: Callable[[Path, Path], None],
    type_name: str,
    others: set[str],
) -> None:
    make(toy_artifact.onnx, tmp_path / "model.onnx")
    built = build(trt, tmp_path / "model.onnx", STATIC)
    found = built.facts["network_outputs_by_type"]
    assert len(built.engine) > 100_000
    assert found[type_name] > 5
    assert not others & set(found)


def test_tf32_is_off_unless_it_is_asked_for(trt: Any, toy_artifact: Artifact) -> None:
    for wanted in (False, True):
        assert build(trt, toy_artifact.onnx, EngineConfig(tf32=wanted, batches=(1,))).facts["tf32_flag"] is wanted


@pytest.mark.filterwarnings("ignore:Use del obj")
def test_the_settings_reach_the_builder(trt: Any, toy_artifact: Artifact) -> None:
    seen = {}

    class Builder(trt.Builder):
        def build_serialized_network(self, network: Any, config: Any) -> Any:
            seen["level"] = config.builder_optimization_level
            seen["workspace"] = config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE)
            seen["profiles"] = config.num_optimization_profiles
            seen["verbosity"] = config.profiling_verbosity
            return None

    replaced = types.ModuleType("tensorrt_rtx")
    replaced.__dict__.update({**vars(trt), "Builder": Builder})
    with pytest.raises(UnavailableError, match=r"TensorRT cannot build model.onnx: TensorRT gives no reason"):
        build(replaced, toy_artifact.onnx, EngineConfig(False, (1, 2, 3), optimization_level=1, workspace_mib=64))
    assert seen == {"level": 1, "workspace": 64 << 20, "profiles": 3, "verbosity": trt.ProfilingVerbosity.DETAILED}


def test_a_range_is_one_profile(trt: Any, toy_artifact: Artifact) -> None:
    plan = EngineConfig(tf32=False, batches=(1, 4, 8), dynamic=True)
    assert plan.profiles() == [(1, 8, 8)]
    assert build(trt, toy_artifact.onnx, plan).facts["profiles"] == [(1, 8, 8)]
    assert [plan.profile_of(batch) for batch in (1, 5, 8)] == [0, 0, 0]
    with pytest.raises(UnavailableError, match="batch 1 to 8; batch 9 came"):
        plan.profile_of(9)


def test_each_batch_has_its_profile() -> None:
    plan = EngineConfig(tf32=False, batches=(1, 4, 8))
    assert [plan.profile_of(batch) for batch in (1, 4, 8)] == [0, 1, 2]
    with pytest.raises(UnavailableError, match="batch 1, 4, 8; batch 2 came"):
        plan.profile_of(2)


def test_an_unsupported_operator_is_named(trt: Any, toy_artifact: Artifact, tmp_path: Path) -> None:
    model = onnx.load(toy_artifact.onnx)
    node = next(node for node in model.graph.node if node.op_type == "Softmax")
    node.op_type, node.name = "Det", "attention.odd"
    del node.attribute[:]
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(UnavailableError, match=r"odd.onnx: node attention.odd, operator Det: unsupported node"):
        build(trt, tmp_path / "odd.onnx", STATIC)


def test_an_operator_of_nobody_is_named(trt: Any, toy_artifact: Artifact, tmp_path: Path) -> None:
    model = onnx.load(toy_artifact.onnx)
    node = next(node for node in model.graph.node if node.op_type == "Erf")
    node.op_type, node.domain = "Frobnicate", "example"
    model.opset_import.append(helper.make_opsetid("example", 1))
    onnx.save(model, tmp_path / "odd.onnx")
    with pytest.raises(UnavailableError, match=r"operator Frobnicate: .*Plugin not found"):
        build(trt, tmp_path / "odd.onnx", STATIC)


def test_what_is_no_model_is_refused(trt: Any, tmp_path: Path) -> None:
    (tmp_path / "odd.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(UnavailableError, match=r"TensorRT cannot (take|build) odd.onnx"):
        build(trt, tmp_path / "odd.onnx", STATIC)


def test_a_free_dimension_beside_the_batch_is_refused(trt: Any, tmp_path: Path) -> None:
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "height", 8])
    answer = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [given], [answer])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), tmp_path / "m.onnx")
    with pytest.raises(UnavailableError, match=r"input x: a dimension beside the batch is free"):
        build(trt, tmp_path / "m.onnx", STATIC)


def test_the_runtime_is_tensorrt_before_tensorrt_for_rtx(monkeypatch: pytest.MonkeyPatch) -> None:
    there: set[str] = set()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name in there else None)
    assert tensorrt_engine.flavour() == "tensorrt"
    there.add("tensorrt_rtx")
    assert tensorrt_engine.flavour() == "tensorrt_rtx"
    there.add("tensorrt")
    assert tensorrt_engine.flavour() == "tensorrt"


class _TimingConfig:
    """Timing caches as TensorRT's configuration has them: a damaged one is None, a foreign one does not attach."""

    attached: Any = None

    def create_timing_cache(self, data: bytes) -> str | None:
        return None if data == b"damaged" else data.decode() or "empty"

    def set_timing_cache(self, cache: str, ignore_mismatch: bool) -> bool:
        assert ignore_mismatch is False
        if cache == "foreign":
            return False
        self.attached = cache
        return True


@pytest.mark.parametrize(
    ("stored", "used"), [(b"", "empty"), (b"timings", "timings"), (b"damaged", "empty"), (b"foreign", "empty")]
)
def test_timings_are_taken_where_they_fit(stored: bytes, used: str) -> None:
    config = _TimingConfig()
    assert tensorrt_engine._attach_timings(config, stored) == used
    assert config.attached == used
