"""The claim that our latency is that of each runtime's own tool. Both are measured in turn, in fresh processes.

openvino: the median of OpenVINO's `benchmark_app -hint latency -api sync` with the same threads and precision.
ort-cpu: a bare loop over `InferenceSession.run`.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from convert.artifact import Artifact
from convert.common import worker
from convert.common.errors import CheckFailed
from runtimes import registry
from runtimes.base import usable_cores
from scripts.common import ClaimOptions, Finding, compared, within
from scripts.interleaved import measure, visit_ms

LOWEST, HIGHEST = 0.98, 1.02


def benchmark_app(artifact: Artifact, seconds: float) -> float:
    """Median latency in ms as OpenVINO's own tool reports it.

    With the hint it takes no number of threads: it has to choose all cores, as we do. CheckFailed when it does not.
    """
    height, width = artifact.image_shape
    with tempfile.TemporaryDirectory() as folder:
        words = [
            *("-m", str(artifact.onnx), "-d", "CPU", "-hint", "latency", "-api", "sync"),
            *("-t", f"{max(1, round(seconds))}", "-infer_precision", "f32"),
            *("-shape", f"[1,3,{height},{width}]"),
            *("-report_type", "no_counters", "-json_stats", "-report_folder", folder),
        ]
        tool = Path(sys.executable).with_name("benchmark_app")
        told = subprocess.run([str(tool), *words], check=True, stdout=subprocess.PIPE, text=True).stdout
        for setting in (f"INFERENCE_NUM_THREADS: {usable_cores()}", "INFERENCE_PRECISION_HINT: <Type: 'float32'>"):
            if setting not in told:
                raise CheckFailed(f"benchmark_app did not run with {setting}")
        (report,) = Path(folder).glob("*.json")
        # The median, whose percentage stands in the name where it is another (-latency_percentile).
        return float(json.loads(report.read_text(encoding="utf-8"))["execution_results"]["latency (ms)"])


def bare_loop(artifact: Artifact, seconds: float) -> float:
    """Median latency in ms of ONNX Runtime's session in a loop, with no part of ours but the process."""
    job = {"model": str(artifact.onnx), "shape": artifact.image_shape, "seconds": seconds}
    return float(worker.call("scripts.own_tools:run_bare", job))


def run_bare(job: dict[str, Any]) -> float:
    """The other side of `bare_loop`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    session = onnxruntime.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).standard_normal((1, 3, *job["shape"]), dtype=np.float32)
    name = session.get_inputs()[0].name
    for _ in range(4):
        session.run(None, {name: image})
    samples, end = [], time.perf_counter() + job["seconds"]
    while time.perf_counter() < end:
        start = time.perf_counter()
        session.run(None, {name: image})
        samples.append(1e3 * (time.perf_counter() - start))
    return statistics.median(samples)


TOOLS: dict[str, Callable[[Artifact, float], float]] = {"openvino": benchmark_app, "ort-cpu": bare_loop}


def find(options: ClaimOptions) -> Iterator[Finding]:
    """Our median over that of each runtime's own tool."""
    for model, (name, tool) in itertools.product(options.chosen_models(), TOOLS.items()):
        artifact = options.artifact(model)
        sides = {
            "ours": functools.partial(visit_ms, artifact, registry.get(name), "fp32", 1),
            "own tool": functools.partial(tool, artifact),
        }
        subject = f"{artifact.model} on {name}"
        rounds = measure(sides, options.repetition(8, 4.0), f"{subject}, its own tool")
        stated = f"{LOWEST} to {HIGHEST}"
        yield compared(
            "own-tools", subject, stated, rounds, ("ours", "own tool"), lambda ratio: within(ratio, LOWEST, HIGHEST)
        )
