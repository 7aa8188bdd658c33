"""Engines of TensorRT are kept in a cache, and built in a process of their own where it has none."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.common import typed, worker
from convert.common.disk.files import new_folder, write_json
from runtimes.base import UnavailableError
from runtimes.gpu import cuda
from runtimes.tensorrt.engine import EngineConfig, Log, build, log_of

_ENGINE, _FACTS, _TIMING = "engine.plan", "engine.json", "timing.cache"


@dataclass(frozen=True)
class Cache:
    """Where the engines of an artifact and the timings of its layers are kept (base.cache_folder)."""

    engine: Path
    timing: Path


@dataclass(frozen=True)
class Loaded:
    """An engine on the device. What it was made with must live as long: hold all of this, not the engine alone."""

    engine: Any
    facts: dict[str, Any]
    log: Log
    _runtime: Any


def load(trt: Any, onnx: Path, wanted: EngineConfig, device: int | None, cache: Cache) -> Loaded:
    """The engine from the cache, or built (in a process of its own) and put there; `facts["cache"]` says which.

    device: CUDA's number of the GPU, which must be the current one; None where there is none. UnavailableError as for
    `build`, or when even a fresh engine cannot be loaded.
    """
    log = log_of(trt)
    runtime = trt.Runtime(log.logger)
    there, told = cache.engine.exists(), "found"
    engine, facts = _stored(runtime, cache)
    if engine is None:
        told = f"built again: the one found could not be loaded ({log.reason()})" if there else "built"
        build_apart(trt.__name__, onnx, wanted, device, cache)
        engine, facts = _stored(runtime, cache)
    if engine is None:
        raise UnavailableError(f"TensorRT cannot load the engine that it has just built: {log.reason()}")
    return Loaded(engine, {**facts, "cache": told}, log, runtime)


def _stored(runtime: Any, cache: Cache) -> tuple[Any, dict[str, Any]]:
    try:
        facts = json.loads((cache.engine / _FACTS).read_text(encoding="utf-8"))
        return runtime.deserialize_cuda_engine((cache.engine / _ENGINE).read_bytes()), facts
    except (OSError, ValueError):  # nothing there, or damaged
        return None, {}


def build_apart(module: str, onnx: Path, wanted: EngineConfig, device: int | None, cache: Cache) -> None:
    """Build an engine into the cache, in a process of its own: the builder takes gigabytes, and may crash.

    module: `tensorrt` or `tensorrt_rtx`. UnavailableError as for `build`, or when the process dies.
    """
    job = {"module": module, "onnx": str(onnx), "wanted": typed.table(wanted), "device": device}
    job |= {"engine": str(cache.engine), "timing": str(cache.timing)}
    try:
        refusal = worker.call("runtimes.tensorrt.cache:build_job", job)["refusal"]
    except worker.JobError as error:
        raise UnavailableError(f"the TensorRT builder failed: {error}") from None
    if refusal:
        raise UnavailableError(refusal)


def build_job(job: Mapping[str, Any]) -> dict[str, str | None]:
    """The other side of `load`: builds, and stores engine and timings whole. Returns the `refusal`, None for none."""
    trt = importlib.import_module(job["module"])
    wanted = typed.read(EngineConfig, job["wanted"])
    timing = b""
    with suppress(OSError):
        timing = Path(job["timing"], _TIMING).read_bytes()
    try:
        if job["device"] is not None:
            cuda.use(f"GPU.{job['device']}")
        built = build(trt, Path(job["onnx"]), wanted, timing)
    except UnavailableError as error:
        return {"refusal": str(error)}
    with new_folder(Path(job["engine"])) as folder:
        (folder / _ENGINE).write_bytes(built.engine)
        write_json(folder / _FACTS, built.facts)
    if built.timing:
        with new_folder(Path(job["timing"])) as folder:
            (folder / _TIMING).write_bytes(built.timing)
    return {"refusal": None}
