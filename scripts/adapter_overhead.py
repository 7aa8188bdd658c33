"""The claim that an adapter costs next to nothing: its `run` against the runtime's own call on the same session.

Each pair of calls, one right after the other in one process, gives a ratio: what else the machine does falls on both.
A figure is the geometric mean over blocks of pairs, each block with the median of its ratios. For a toy of some
microseconds the difference counts (at most 20 microseconds), for ViT_base_patch32_384 the ratio (at most 1.01).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from convert.artifact import load
from convert.build import Request, obtain
from convert.common import worker
from convert.common.console import say
from convert.common.progress import bar
from runtimes import registry
from runtimes.base import Options
from runtimes.options import select
from scripts.common import ClaimOptions, Finding, spread, vit_toml, within
from scripts.interleaved import Ratio

MAX_RATIO, MAX_MICROSECONDS = 1.01, 20.0
BLOCKS = 10
_WARMUP = 10  # calls of each

Call = Callable[[np.ndarray], Any]


def _paddle(session: Any) -> Call:
    def call(images: np.ndarray) -> Any:
        session._input.copy_from_cpu(images)
        session._predictor.run()
        return session._output.copy_to_cpu()

    return call


def _mnn(session: Any) -> Call:
    def call(images: np.ndarray) -> Any:
        np.copyto(session._images, images)
        session._net.runSession(session._session)
        return session._logits.copy()

    return call


# The runtime's own call as its documentation has it, on what the adapter's session holds.
RAW: dict[str, Callable[[Any], Call]] = {
    "paddle": _paddle,
    "ort-cpu": lambda session: lambda images: session._ort.session.run(["logits"], {"x": images})[0],
    "openvino": lambda session: lambda images: session._last.infer(images, share_inputs=True)[0],
    "mnn": _mnn,
}


def compare(job: dict[str, Any]) -> list[dict[str, float]]:
    """Of each block: the medians of both calls in ms, and that of the ratios of pairs. Runs in a process of its own.

    The order within a pair is random.
    """
    artifact = load(Path(job["artifact"]))
    images = np.random.default_rng(0).standard_normal((1, 3, *artifact.image_shape), dtype=np.float32)
    rng = np.random.default_rng(1)
    blocks = []
    with registry.get(job["runtime"]).open(artifact, Options()) as session:
        calls = {"adapter": session.run, "raw": RAW[job["runtime"]](session)}
        for call in list(calls.values()) * _WARMUP:
            call(images)
        for _ in range(BLOCKS):
            times: dict[str, list[float]] = {name: [] for name in calls}
            end = time.perf_counter() + job["seconds"] / BLOCKS
            while not times["raw"] or time.perf_counter() < end:
                for name in rng.permutation(list(calls)):
                    start = time.perf_counter()
                    calls[name](images)
                    times[name].append(1e3 * (time.perf_counter() - start))
            ratios = [adapter / raw for adapter, raw in zip(times["adapter"], times["raw"], strict=True)]
            medians = {name: statistics.median(values) for name, values in times.items()}
            blocks.append({**medians, "ratio": statistics.median(ratios)})
    return blocks


def find(options: ClaimOptions) -> Iterator[Finding]:
    """What the adapters cost on a toy and on the models; seconds: of each runtime and model."""
    seconds = options.repetition(BLOCKS, 20.0).seconds
    artifacts = [options.artifact(model) for model in options.chosen_models()]
    runtimes = [runtime.name for runtime in select(None).runtimes if runtime.name in RAW]
    with tempfile.TemporaryDirectory(prefix="vitbench-") as folder:
        toml = Path(folder, "toy.toml")
        toml.write_text(vit_toml("toy", size=32, width=16, blocks=1, heads=2), encoding="utf-8")
        toy, _ = obtain(Request(str(toml), "seeded", root=Path(folder)), say)
        for model in (toy, *artifacts):
            for name in runtimes:
                with bar(f"the adapter of {name}, {model.model}", None):
                    job = {"artifact": str(model.path), "runtime": name, "seconds": seconds}
                    blocks = worker.call("scripts.adapter_overhead:compare", job)
                yield judge(f"{model.model} on {name}", blocks, in_microseconds=model is toy)


def judge(subject: str, blocks: list[dict[str, float]], in_microseconds: bool) -> Finding:
    """The finding of what `compare` gave."""
    ratio = Ratio.over([block["ratio"] for block in blocks])
    raw, adapter = (statistics.median(block[side] for block in blocks) for side in ("raw", "adapter"))
    details = f"{adapter:.4f} / {raw:.4f} ms, {len(blocks)} blocks"
    if not in_microseconds:
        holds = within(ratio, 0.0, MAX_RATIO)
        found = f"{ratio.value:.4f}"
        return Finding("overhead", subject, f"at most {MAX_RATIO}", found, spread(ratio, 4), details, holds)
    more, low, high = (1e3 * raw * (one - 1) for one in (ratio.value, ratio.low, ratio.high))
    holds = within(ratio, 0.0, 1 + 1e-3 * MAX_MICROSECONDS / raw)
    stated = f"at most {MAX_MICROSECONDS:g} µs"
    return Finding("overhead", subject, stated, f"{more:.1f} µs", f"{low:.1f} to {high:.1f} µs", details, holds)
