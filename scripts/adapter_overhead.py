"""What an adapter costs: its `run` against the runtime's own call on the same session, in turn, in one process.

    python scripts/adapter_overhead.py

Each pair of calls, one right after the other, gives a ratio and a difference, and the medians of these are shown: what
else the machine does falls on both. For a toy of some microseconds the difference counts (at most 20 microseconds), for
ViT_base_patch32_384 the ratio (at most 1.01). Prints a table; exit status 1 when one is above.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table

from convert import artifact as artifacts
from convert import cli
from convert.build import Request, obtain
from convert.common import isolate
from convert.common.errors import CheckFailed
from convert.common.progress import bar
from runtimes import registry
from runtimes.base import Options

MODEL = "ViT_base_patch32_384"
TOY = """
name = "toy"
img_size = 32
patch_size = 16
class_num = 10
embed_dim = 16
depth = 1
num_heads = 2
mlp_ratio = 2
qkv_bias = true
epsilon = 1e-6
[preprocessing]
resize_short = 32
crop = 32
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
"""
MAX_RATIO, MAX_MICROSECONDS = 1.01, 20.0

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


def compare(job: dict[str, Any]) -> dict[str, float]:
    """Medians of both calls in ms, and of their ratios and differences in pairs; each is made `count` times.

    The order within a pair is random. Runs in a process of its own.
    """
    artifact = artifacts.load(Path(job["artifact"]))
    size = artifact.image_size
    images = np.random.default_rng(0).standard_normal((1, 3, size, size), dtype=np.float32)
    rng = np.random.default_rng(1)
    with registry.get(job["runtime"]).open(artifact, Options()) as session:
        calls = {"adapter": session.run, "raw": RAW[job["runtime"]](session)}
        times: dict[str, list[float]] = {name: [] for name in calls}
        for call in list(calls.values()) * 10:
            call(images)
        for _ in range(job["count"]):
            for name in rng.permutation(list(calls)):
                start = time.perf_counter()
                calls[name](images)
                times[name].append(1e3 * (time.perf_counter() - start))
    pairs = list(zip(times["adapter"], times["raw"], strict=True))
    return {
        **{name: statistics.median(values) for name, values in times.items()},
        "ratio": statistics.median(adapter / raw for adapter, raw in pairs),
        "difference": statistics.median(adapter - raw for adapter, raw in pairs),
    }


@click.command()
@click.option("--seconds", type=float, default=20.0, show_default=True, help="For each runtime and model, about.")
@click.option("--runtime", "chosen", help="Comma-separated. [default: every one available here that has a raw call]")
def main(seconds: float, chosen: str | None) -> None:
    """The adapter's `run` against the runtime's own call, interleaved, on a toy and on ViT_base_patch32_384."""
    runtimes = [runtime.name for runtime in registry.select(chosen) if runtime.name in RAW]
    table = Table("model", "runtime", "raw, ms", "adapter, ms", "ratio", "difference, microseconds")
    above = []
    with tempfile.TemporaryDirectory() as folder:
        toml = Path(folder, "toy.toml")
        toml.write_text(TOY, encoding="utf-8")
        toy, _ = obtain(Request(str(toml), "seeded", root=Path(folder)), cli.say)
        vit, _ = obtain(Request(MODEL), cli.say)
        for artifact in (toy, vit):
            for name in runtimes:
                with bar(f"{artifact.model} on {name}", None):
                    job = {"artifact": str(artifact.path), "runtime": name, "count": 20}
                    pilot = isolate.call("scripts.adapter_overhead:compare", job)
                    job["count"] = max(20, int(1e3 * seconds / (pilot["raw"] + pilot["adapter"])))
                    found = isolate.call("scripts.adapter_overhead:compare", job)
                ratio, more = found["ratio"], 1e3 * found["difference"]
                table.add_row(
                    artifact.model,
                    name,
                    f"{found['raw']:.4f}",
                    f"{found['adapter']:.4f}",
                    f"{ratio:.4f}",
                    f"{more:.1f}",
                )
                if (more > MAX_MICROSECONDS) if artifact is toy else (ratio > MAX_RATIO):
                    above.append(f"{artifact.model} on {name}")
    cli.console(stderr=False).print(table)
    if above:
        raise CheckFailed(f"the adapter costs too much: {', '.join(above)}")


if __name__ == "__main__":
    main()
