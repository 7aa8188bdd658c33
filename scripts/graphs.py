"""Latency of our ONNX graphs over that of Paddle2ONNX's output as it comes, on the same runtime, as ratios.

Both graphs hold the same weights: ours is the artifact's, the other one is `paddle2onnx.export` of the artifact's
Paddle program with `optimize_tool=None`. Both are FP32 files; in bf16 the runtime's own switch lowers them.

Each round measures both at batch 1, one right after the other in random order, each in a fresh process, and gives a
ratio of medians. Rounds in which the machine changed its speed are counted and left out. The ratio is the geometric
mean over rounds, its 95 % interval Student's t on the logarithms. A ratio above 1 beyond its interval does not hold:
then the other graph is the faster one.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from convert import artifact as artifacts
from convert.artifact import ONNX_FILE, Artifact
from convert.common import worker
from convert.common.disk.files import sha256_file
from convert.common.errors import InputError
from convert.manifest import FileEntry
from scripts.common import ClaimOptions, Finding, compared, verdict
from scripts.interleaved import measure, possible, runnable, visit_ms

CELLS = "ort-cpu:fp32,openvino:fp32,mnn:fp32"
PRECISIONS = ("fp32", "bf16")


def find(options: ClaimOptions) -> Iterator[Finding]:
    """Our time over that of Paddle2ONNX's graph, of each model on each cell."""
    models, cells = options.chosen_models("all"), possible(options.cells or CELLS)
    for name, (_, precision) in cells.items():
        if precision not in PRECISIONS:
            raise InputError(f"--cells {name}: both graphs are FP32 files, which run in {' or '.join(PRECISIONS)}")
    for model in models:
        ours = options.artifact(model)
        with tempfile.TemporaryDirectory(prefix="vitbench-") as folder:
            graphs = {"ours": ours, "theirs": by_paddle2onnx(ours, Path(folder))}
            for name, (runtime, precision) in cells.items():
                subject = f"{ours.model} on {name}"
                visits = {
                    side: functools.partial(visit_ms, graph, runtime, precision, options.batch)
                    for side, graph in graphs.items()
                }
                sides = runnable(visits, subject)
                if len(sides) == 2:
                    rounds = measure(sides, options.repetition(8, 4.0), subject)
                    holds = lambda ratio: verdict(ratio.low <= 1)  # noqa: E731
                    yield compared("graphs", subject, "not above 1", rounds, ("ours", "theirs"), holds)
                elif sides:
                    found = f"{name.partition(':')[0]} runs {', '.join(sides)} alone"
                    yield Finding("graphs", subject, "not above 1", found, verdict=verdict("ours" in sides))


def by_paddle2onnx(artifact: Artifact, folder: Path) -> Artifact:
    """Paddle2ONNX's own output for an artifact's Paddle program, in an existing folder, as an artifact.

    worker.JobError when Paddle2ONNX gives none.
    """
    file = folder / ONNX_FILE
    job = {
        "program": str(artifact.paddle_program),
        "params": str(artifact.paddle_params),
        "onnx": str(file),
        "opset": artifact.manifest.opset,
    }
    worker.call("scripts.graphs:export", job)
    entries = {file.name: FileEntry(file.stat().st_size, sha256_file(file))}
    return artifacts.save(folder, replace(artifact.manifest, files=entries))


def export(job: dict[str, Any]) -> None:
    """The other side of `by_paddle2onnx`."""
    import paddle2onnx

    paddle2onnx.export(
        job["program"],
        job["params"],
        job["onnx"],
        opset_version=job["opset"],
        auto_upgrade_opset=False,
        enable_onnx_checker=False,
        optimize_tool=None,
    )
    if not Path(job["onnx"]).is_file():  # it logs its own exceptions and returns
        raise RuntimeError("Paddle2ONNX gave no model; its reason is in the log above")
