"""Our latency against each runtime's own tool, in turn, each in a fresh process.

    python scripts/against_own_tools.py --model ViT_base_patch32_384

openvino: the median of OpenVINO's `benchmark_app -hint latency -api sync` with the same threads and precision.
ort-cpu: a bare loop over `InferenceSession.run`. Each round measures both, one right after the other in random order,
and gives a ratio of medians; the machine's speed is probed before and after each. Pairs whose machine changed its speed
are counted and left out of the ratio. Prints a table; exit status 1 when a ratio is outside 0.98 to 1.02.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table

from convert import cli
from convert.artifact import Artifact
from convert.common import isolate
from convert.common.errors import CheckFailed
from convert.common.progress import bar
from runtimes.base import Options, usable_cores
from runtimes.bench.schedule.executor import Local
from runtimes.bench.worker.job import Effort, Job
from runtimes.system.speed_probe import TOLERABLE_SLOWDOWN, Probe

LOWEST, HIGHEST = 0.98, 1.02


def benchmark_app(artifact: Artifact, seconds: float) -> float:
    """Median latency in ms as OpenVINO's own tool reports it.

    With the hint it takes no number of threads: it has to choose all cores, as we do. CheckFailed when it does not.
    """
    size = artifact.image_size
    with tempfile.TemporaryDirectory() as folder:
        words = [
            *("-m", str(artifact.path / "model.onnx"), "-d", "CPU", "-hint", "latency", "-api", "sync"),
            *("-t", f"{max(1, round(seconds))}", "-infer_precision", "f32"),
            *("-shape", f"[1,3,{size},{size}]"),
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
    job = {"model": str(artifact.path / "model.onnx"), "size": artifact.image_size, "seconds": seconds}
    return float(isolate.call("scripts.against_own_tools:run_bare", job))


def run_bare(job: dict[str, Any]) -> float:
    """The other side of `bare_loop`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    session = onnxruntime.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).standard_normal((1, 3, job["size"], job["size"]), dtype=np.float32)
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


def ours(artifact: Artifact, runtime: str, seconds: float) -> float:
    """Our median in ms, of one visit as the bench makes it."""
    job = Job(str(artifact.path), runtime, 1, Options(), effort=Effort(min_s=seconds, min_count=5))
    (outcome,) = Local(probe=None).run([job])
    if outcome.numbers is None:
        raise CheckFailed(f"{runtime}: {outcome.failure}")
    return statistics.median(outcome.numbers["samples_ms"])


@click.command()
@click.option("--model", default="ViT_base_patch32_384", show_default=True)
@click.option("--weights")
@click.option("--runtime", "chosen", default="openvino,ort-cpu", show_default=True)
@click.option("--rounds", default=8, show_default=True)
@click.option("--seconds", default=4.0, show_default=True, help="Of measuring, per tool and round.")
def main(model: str, weights: str | None, chosen: str, rounds: int, seconds: float) -> None:
    """Our medians against those of the runtimes' own tools, interleaved."""
    (artifact,) = cli.artifacts(model, weights, "fp32").values()
    table = Table("model", "runtime", "own tool, ms", "vitbench, ms", "ratio", "ratios of rounds", "left out")
    probe, outside = Probe(), []
    order = random.Random(0)  # noqa: S311 - only shuffles
    for runtime in chosen.split(","):
        pairs, left_out = [], 0
        with bar(f"{artifact.model} on {runtime}", rounds) as advance:
            for _ in range(rounds):
                times, speeds = {}, [probe.take()]
                for side in order.sample(("own", "ours"), 2):
                    times[side] = (
                        ours(artifact, runtime, seconds) if side == "ours" else TOOLS[runtime](artifact, seconds)
                    )
                    speeds.append(probe.take())
                advance(1)
                if max(speeds) / min(speeds) - 1 > TOLERABLE_SLOWDOWN:
                    left_out += 1
                else:
                    pairs.append((times["own"], times["ours"]))
        if not pairs:
            raise CheckFailed("the machine changed its speed in every round: try again when it is quiet")
        ratios = sorted(mine / own for own, mine in pairs)
        ratio = statistics.median(ratios)
        own, mine = (statistics.median(side) for side in zip(*pairs, strict=True))
        each = " ".join(f"{one:.3f}" for one in ratios)
        table.add_row(artifact.model, runtime, f"{own:.2f}", f"{mine:.2f}", f"{ratio:.3f}", each, str(left_out))
        if not LOWEST <= ratio <= HIGHEST:
            outside.append(f"{runtime} {ratio:.3f}")
    cli.console(stderr=False).print(table)
    if outside:
        raise CheckFailed(f"outside {LOWEST} to {HIGHEST}: {', '.join(outside)}")


if __name__ == "__main__":
    main()
