"""Engines of ONNX Runtime's TensorRT provider: built once, kept whole, and not changed unseen."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convert.artifact import Artifact
from runtimes.adapters.onnxruntime import ORT_TENSORRT
from runtimes.base import Options, UnavailableError
from runtimes.ort import tensorrt as ort_tensorrt
from tests.runtimes.fake_onnxruntime import Pretence

GPU = Options(device="GPU", threads=1)


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return replace(GPU, cache=str(tmp_path / "cache"))


def _images(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 3, 32, 32), np.float32)


def test_an_engine_is_built_once_and_kept_whole(
    pretence: Pretence, toy_artifact: Artifact, options: Options, tmp_path: Path
) -> None:
    one = replace(options, batches=(1, 4))
    for _ in range(2):
        with ORT_TENSORRT.open(toy_artifact, one) as session:
            session.run(_images(4))
            with pytest.raises(UnavailableError, match="built for batch 1 to 4; batch 8 came"):
                session.run(_images(8))
            with pytest.raises(UnavailableError, match="built for batch 1 to 4; batch 8 came"):
                session.run_all(_images(8))
    assert pretence.built == 1
    asked = pretence.opened[0]
    shapes = {key: asked[key] for key in asked if key.startswith("trt_profile")}
    assert shapes == {
        "trt_profile_min_shapes": "x:1x3x32x32",
        "trt_profile_opt_shapes": "x:4x3x32x32",
        "trt_profile_max_shapes": "x:4x3x32x32",
    }
    for other in (
        replace(one, batches=(8,)),
        replace(one, extra={"optimization_level": "5"}),
        replace(one, extra={"workspace": "64"}),
        replace(one, extra={"cuda_graph": "on"}),
    ):
        with ORT_TENSORRT.open(toy_artifact, other):
            pass
    assert pretence.built == 5
    assert pretence.timings_found == 4, "each build after the first begins with the timings of those before"
    assert pretence.opened[-2]["trt_max_workspace_size"] == str(64 << 20)
    kept = [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert sum(file.suffix == ".engine" for file in kept) == 5
    assert not [file for file in kept if any(part.startswith(".") for part in file.relative_to(tmp_path).parts)]


def test_an_engine_for_any_batch(pretence: Pretence, toy_artifact: Artifact, options: Options) -> None:
    with ORT_TENSORRT.open(toy_artifact, replace(options, extra={"max_batch": "6"})) as session:
        session.run(_images(6))
    assert pretence.opened[0]["trt_profile_max_shapes"] == "x:6x3x32x32"


def test_what_would_change_an_engine_unseen_is_refused(
    pretence: Pretence, toy_artifact: Artifact, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORT_TENSORRT_FP16_ENABLE", "1")
    with pytest.raises(UnavailableError, match="ORT_TENSORRT_FP16_ENABLE would change"):
        ORT_TENSORRT.open(toy_artifact, options)
    monkeypatch.delenv("ORT_TENSORRT_FP16_ENABLE")
    with ORT_TENSORRT.open(toy_artifact, options) as session:
        session.run(_images(1))
        pretence.opened[0]["trt_bf16_enable"] = "1"
        with pytest.raises(UnavailableError, match="trt_bf16_enable lets TensorRT choose types"):
            session.effective()


def test_the_version_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        def __init__(self, name: str) -> None:
            assert name == "libnvinfer.so.10"

        def getInferLibVersion(self) -> int:
            return 101303

    with pytest.raises(UnavailableError, match=r"does not tell its version: libnvinfer\.so\.10"):
        ort_tensorrt.tensorrt_version()
    monkeypatch.setattr(ctypes, "CDLL", Library)
    assert ort_tensorrt.tensorrt_version() == "10.13.3"
