"""The toy's graph as Paddle2ONNX gives it and `tidy` leaves it, and its logits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from convert.common import worker
from convert.export import graph
from convert.families.base import load_spec
from convert.families.vit import VisionTransformerSpec
from convert.weights import seeded

Run = Callable[[onnx.ModelProto, np.ndarray], np.ndarray]


@pytest.fixture(scope="session")
def spec(toy_toml: Path) -> VisionTransformerSpec:
    loaded = load_spec(toy_toml)
    assert isinstance(loaded, VisionTransformerSpec)
    return loaded


def _plain(spec: VisionTransformerSpec, folder: Path, opset: int) -> onnx.ModelProto:
    job = {"spec": spec.table(), "folder": str(folder), "onnx": str(folder / "g.onnx"), "opset": opset}
    worker.call("convert.export.program:export_spec", job)
    return graph.tidy(onnx.load(folder / "g.onnx"), spec.state_shapes())


@pytest.fixture(scope="session")
def at_17(spec: VisionTransformerSpec, tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    return _plain(spec, tmp_path_factory.mktemp("plain"), 17)


@pytest.fixture(scope="session")
def at_20(spec: VisionTransformerSpec, tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    return _plain(spec, tmp_path_factory.mktemp("plain"), 20)


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


@pytest.fixture
def plain(at_17: onnx.ModelProto) -> onnx.ModelProto:
    """A copy that a test may change."""
    return copied(at_17)


@pytest.fixture(scope="session")
def run(spec: VisionTransformerSpec) -> Run:
    """Logits of a graph with seeded weights, by ONNX Runtime without optimisations of its own."""
    state = {name: tensor.read() for name, tensor in seeded.tensors(1, spec).items()}

    def logits(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
        written = graph.without_declared(model)
        written.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in state.items())
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(written.SerializeToString(), options, ["CPUExecutionProvider"])
        return np.asarray(session.run(None, {"x": images})[0])

    return logits
