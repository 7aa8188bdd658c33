"""Runs as the bench would leave them, drawn from a seed: times vary inside processes and between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

MODEL = "ViT_base_patch16_224"
ENVIRONMENT: dict[str, Any] = {
    "time_utc": "2026-11-24T08:00:00Z",
    "machine": {"cpu": "AMD EPYC", "cores_usable": 2, "memory_bytes": 2**34, "container": {}},
    "gpus": [],
    "os": {"system": "Linux", "kernel": "6.1.0"},
    "packages": {"onnxruntime": "1.31.0"},
}


def common(kind: str, **fields: Any) -> dict[str, Any]:
    record = {
        "format": 2,
        "kind": kind,
        "model": MODEL,
        "precision": "fp32",
        "runtime": "ort-cpu",
        "runtime_version": "1.31.0",
        "device": "CPU",
        "settings": {},
        "streams": None,
        "artifact": "a" * 64,
        "status": "ok",
        "reason": None,
        "effective": {"precision": "fp32", "device": "CPU", "details": {}},
        "command": f"python -m {kind}",
        "time_utc": "2026-11-24T08:00:00Z",
    }
    return record | fields


def latency(times: list[list[float]], speed_ms: float = 4.25, **fields: Any) -> dict[str, Any]:
    """A latency of these samples in ms, process by process."""
    samples = [sample for one in times for sample in one]
    median = float(np.median(samples))
    processes = [
        {"count": len(one), "median_ms": float(np.median(one)), "speed_ms": [speed_ms] * 2, "slowdown": 0.0}
        for one in times
    ]
    numbers: dict[str, Any] = {
        "samples_ms": samples,
        "count": len(samples),
        "median_ms": median,
        "processes": processes,
    }
    numbers |= {"ci95_ms": [0.99 * median, 1.01 * median], "batch": 1, "threads": 2}
    return common("latency", **{**numbers, **fields})


def drawn(
    chance: np.random.Generator,
    processes: int = 5,
    between: float = 0.02,
    centre: float = 100.0,
    samples: int = 20,
    inside: float = 0.02,
    **fields: Any,
) -> dict[str, Any]:
    """A latency whose processes vary by `between` and whose samples by `inside` (standard deviations of logs)."""
    levels = centre * np.exp(chance.normal(0, between, processes))
    return latency([list(level * np.exp(chance.normal(0, inside, samples))) for level in levels], **fields)


def matrix(seed: int, slower: float = 0.0, **options: Any) -> list[dict[str, Any]]:
    """Twelve latencies (four runtimes at three batch sizes) and their parities; slower: 0.05 is 5 % on all of them."""
    chance = np.random.default_rng(seed)
    records = []
    for runtime in ("paddle", "ort-cpu", "openvino", "mnn"):
        records.append(common("parity", runtime=runtime, passed=True, max_abs=4e-6, batches=[1, 4, 8]))
        for batch in (1, 4, 8):
            centre = 100.0 * batch * math.exp(math.log1p(slower))
            records.append(drawn(chance, centre=centre, runtime=runtime, batch=batch, **options))
    return records
