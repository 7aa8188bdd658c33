"""A machine with a GPU, onnxruntime-gpu and TensorRT, all of them pretended."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtimes.gpu import cuda
from runtimes.ort import tensorrt as ort_tensorrt
from runtimes.system import conflicts
from tests.runtimes.fake_cuda import FakeCuda
from tests.runtimes.fake_onnxruntime import Pretence, loader


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
