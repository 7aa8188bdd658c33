"""The toy's images and logits, and a machine with a GPU, onnxruntime-gpu and TensorRT, all of them pretended."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from convert.artifact import Artifact
from convert.families.vit import VisionTransformerSpec
from convert.weights import seeded
from runtimes.gpu import cuda
from runtimes.ort import tensorrt as ort_tensorrt
from runtimes.system import conflicts
from tests.runtimes.fake_cuda import FakeCuda
from tests.runtimes.fake_onnxruntime import Pretence, loader
from tests.vit_numpy import forward


@pytest.fixture
def pretence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretence]:
    """What the machine does and saw. At the end nothing of the device may be left."""
    pretended = FakeCuda()
    made = Pretence(pretended)
    (tmp_path / "onnxruntime").mkdir()
    monkeypatch.setattr(cuda, "_api", lambda: pretended)
    monkeypatch.setattr(ctypes, "CDLL", loader())
    monkeypatch.setattr(conflicts, "problems", list)
    monkeypatch.setattr(ort_tensorrt, "tensorrt_version", lambda: "10.13.3")
    monkeypatch.setitem(sys.modules, "onnxruntime", made.module(tmp_path / "onnxruntime"))
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    yield made
    gc.collect()
    assert not +pretended.left, "something of the device was not released"
    assert not made.open["sessions"], "a session was not closed"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((5, 3, 32, 32), dtype=np.float32)


@pytest.fixture(scope="session")
def expected(toy_artifact: Artifact, images: np.ndarray) -> np.ndarray:
    """The toy's logits by numpy."""
    spec = toy_artifact.spec
    assert isinstance(spec, VisionTransformerSpec)
    state = {name: tensor.read() for name, tensor in seeded.tensors(1, spec).items()}
    return forward(spec, state, images)
