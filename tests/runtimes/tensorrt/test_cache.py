"""Engines are built once, found again, and built again when what is found is no good; TensorRT for RTX builds them."""

from __future__ import annotations

import json
import sys
import types
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from convert.artifact import Artifact
from runtimes.base import UnavailableError
from runtimes.tensorrt import engine as tensorrt_engine
from runtimes.tensorrt.cache import Cache, build_job, load
from runtimes.tensorrt.engine import EngineConfig

STATIC = EngineConfig(tf32=False, batches=(1, 4))


@pytest.fixture(scope="session")
def trt() -> Any:
    return pytest.importorskip("tensorrt_rtx", reason="no tensorrt-rtx here, which builds without a GPU")


def _like(module: Any, **replaced: Any) -> Any:
    """The module with some of its names replaced; without a GPU it cannot load what it builds, so something must."""
    copy = types.ModuleType(module.__name__)
    copy.__dict__.update({**vars(module), **replaced})
    return copy


class _Runtime:
    """Loads what begins as an engine does, in place of one that needs a GPU."""

    def __init__(self, logger: Any) -> None:
        self.logger = logger

    def deserialize_cuda_engine(self, data: bytes) -> bytes | None:
        if data.startswith(b"damaged"):
            self.logger.log(self.logger.ERROR, "Magic tag does not match")
            return None
        return data


def test_an_engine_is_built_once_and_found_again(trt: Any, toy_artifact: Artifact, tmp_path: Path) -> None:
    cache, replaced = Cache(tmp_path / "engine", tmp_path / "timing"), _like(trt, Runtime=_Runtime)
    first = load(replaced, toy_artifact.onnx, STATIC, None, cache)
    assert first.facts["cache"] == "built"
    made = {path.name: path.read_bytes() for path in cache.engine.iterdir()}
    assert set(made) == {"engine.plan", "engine.json"}
    second = load(replaced, toy_artifact.onnx, STATIC, None, cache)
    assert second.facts == {**json.loads(made["engine.json"]), "cache": "found"}
    assert made == {path.name: path.read_bytes() for path in cache.engine.iterdir()}
    assert [path.name for path in tmp_path.iterdir()] == ["engine"]


def test_what_is_damaged_is_built_again(trt: Any, toy_artifact: Artifact, tmp_path: Path) -> None:
    cache, replaced = Cache(tmp_path / "engine", tmp_path / "timing"), _like(trt, Runtime=_Runtime)
    load(replaced, toy_artifact.onnx, STATIC, None, cache)
    (cache.engine / "engine.plan").write_bytes(b"damaged")
    loaded = load(replaced, toy_artifact.onnx, STATIC, None, cache)
    assert loaded.facts["cache"] == "built again: the one found could not be loaded (Magic tag does not match)"
    assert not loaded.engine.startswith(b"damaged")
    (cache.engine / "engine.json").write_text("{")
    assert load(replaced, toy_artifact.onnx, STATIC, None, cache).facts["cache"].startswith("built again")


def test_a_refused_model_leaves_no_engine(trt: Any, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "engine", tmp_path / "timing")
    with pytest.raises(UnavailableError, match="TensorRT cannot take"):
        load(trt, tmp_path / "none.onnx", STATIC, None, cache)
    assert not cache.engine.exists()


def test_without_a_gpu_the_engine_cannot_be_loaded_and_the_reason_is_told(
    trt: Any, toy_artifact: Artifact, tmp_path: Path
) -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("there is a GPU here, which can load it")
    cache = Cache(tmp_path / "engine", tmp_path / "timing")
    with pytest.raises(UnavailableError, match=r"cannot load the engine that it has just built: .*driver"):
        load(trt, toy_artifact.onnx, STATIC, None, cache)
    assert (cache.engine / "engine.plan").is_file()  # a build is not lost


@pytest.mark.filterwarnings("ignore:Use Deprecated")
def test_timings_are_kept_beside_the_engine(
    trt: Any, toy_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of TensorRT itself, which TensorRT for RTX plays here: it has the functions, though they time nothing."""
    played = _like(trt)
    played.__name__ = "tensorrt"
    seen = []

    def spied(config: Any, timing: bytes) -> Any:
        seen.append(timing)
        return attach(config, timing)

    attach = tensorrt_engine._attach_timings
    monkeypatch.setattr(tensorrt_engine, "_attach_timings", spied)
    monkeypatch.setitem(sys.modules, "tensorrt", played)
    for name in ("first", "second"):
        job = {"module": "tensorrt", "onnx": str(toy_artifact.onnx), "wanted": asdict(STATIC), "device": None}
        job |= {"engine": str(tmp_path / name), "timing": str(tmp_path / "timing")}
        assert build_job(job) == {"refusal": None}
    assert seen == [b"", (tmp_path / "timing" / "timing.cache").read_bytes()]
    assert seen[1]
