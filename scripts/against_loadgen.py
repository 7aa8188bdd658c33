"""Our latency and throughput against MLPerf's LoadGen, in turn, in one process and on one session.

    python scripts/against_loadgen.py --model ViT_base_patch32_384

Modes latency and throughput measure as the bench does; LoadGen's SingleStream and Offline scenarios drive the same
session. Each round has all four in random order. Shown are medians and 90th percentiles of all rounds' samples
together, images per second of all rounds together, and the ratio of ours to LoadGen's, the median of the rounds' with
their quartiles: a machine that changes its speed every half minute does so for both sides of a round.
Prints a table; exit status 1 when p90 or the throughput is further than 2 % from LoadGen's.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from convert import artifact as artifacts
from convert import cli, isolate
from convert.errors import CheckFailed
from convert.progress import bar
from runtimes import registry
from runtimes.base import Options
from runtimes.bench import latency, loadgen, throughput, visit
from runtimes.bench.job import Effort, Job
from runtimes.bench.visit import Opened

LOWEST, HIGHEST = 0.98, 1.02
SIDES = ("ours", "loadgen")
_WARMUP_S = 2.0


def compare(job: dict[str, Any]) -> list[dict[str, dict[str, Any]]]:
    """For each round and side `samples_ms` of batch 1 one at a time, and `images` done in `seconds` back to back.

    Runs in a process of its own.
    """
    loadgen.require()
    artifact, runtime = artifacts.load(Path(job["artifact"])), registry.get(job["runtime"])
    one, many = visit.example(artifact, 1), visit.example(artifact, job["batch"])
    order = random.Random(0)  # noqa: S311 - only shuffles
    effort = Effort(job["seconds"], 3, 10 * job["seconds"], _WARMUP_S)
    rounds: list[dict[str, dict[str, Any]]] = []
    with runtime.open(artifact, Options(threads=job["threads"])) as session:
        session.run(one)
        single = Opened(session, artifact, runtime, one, 0.0, 0.0)
        batched = Opened(session, artifact, runtime, many, 0.0, 0.0)
        work = Job(job["artifact"], job["runtime"], job["batch"], effort=effort)
        expected_ms = statistics.median(latency.measure(single, work)["samples_ms"])
        rate = throughput.measure(batched, work)["images_per_s"]
        count = job["batch"] * max(1, math.ceil(rate * job["seconds"] / job["batch"]))
        for _ in range(job["rounds"]):
            found: dict[str, dict[str, Any]] = {side: {} for side in SIDES}
            for side, kind in order.sample([(side, kind) for side in SIDES for kind in ("single", "batched")], 4):
                for _ in range(2):  # a new batch size is not LoadGen's to pay for
                    session.run(one if kind == "single" else many)
                if kind == "single" and side == "ours":
                    found[side]["samples_ms"] = latency.measure(single, work)["samples_ms"]
                elif kind == "single":
                    trial = loadgen.single_stream(lambda n: session.run(one), job["seconds"], 3, expected_ms)
                    found[side]["samples_ms"] = list(trial.latencies_ms)
                elif side == "ours":
                    numbers = throughput.measure(batched, work)
                    seconds = numbers["duration_s"]
                    found[side] |= {"seconds": seconds, "images": numbers["images_per_s"] * seconds}
                else:
                    trial = loadgen.offline(lambda n: session.run(many[:n]), job["batch"], count)
                    found[side] |= {"seconds": max(trial.latencies_ms) / 1e3, "images": count}
            rounds.append(found)
    return rounds


def p90(samples: Sequence[float]) -> float:
    """As LoadGen takes it: the sample at nine tenths of the way up."""
    return sorted(samples)[int(0.9 * len(samples))]


def pooled(rounds: Sequence[dict[str, dict[str, Any]]], side: str) -> dict[str, float]:
    """One side's figures over some rounds together."""
    samples = [sample for found in rounds for sample in found[side]["samples_ms"]]
    images, seconds = (sum(found[side][name] for found in rounds) for name in ("images", "seconds"))
    return {
        "median, ms": statistics.median(samples),
        "p90, ms": p90(samples),
        "images per second": images / seconds,
        "samples": len(samples),
    }


@click.command()
@click.option("--model", default="ViT_base_patch32_384", show_default=True)
@click.option("--weights")
@click.option("--runtime", "chosen", help="Comma-separated. [default: every one available here]")
@click.option("--rounds", type=click.IntRange(min=3), default=24, show_default=True)
@click.option("--seconds", default=1.0, show_default=True, help="Of each of the four in a round.")
@click.option("--batch", default=4, show_default=True, help="Of the throughput.")
@click.option("--threads", type=int, help="[default: every core]")
def main(
    model: str, weights: str | None, chosen: str | None, rounds: int, seconds: float, batch: int, threads: int | None
) -> None:
    """Our latency and throughput against LoadGen's SingleStream and Offline, interleaved."""
    loadgen.require()
    (artifact,) = cli.artifacts(model, weights, "fp32").values()
    table = Table("model", "runtime", "figure", "LoadGen", "vitbench", "ratio", "quartiles", "samples")
    outside = []
    for runtime in registry.select(chosen):
        options = {"rounds": rounds, "seconds": seconds, "batch": batch, "threads": threads}
        with bar(f"{artifact.model} on {runtime.name}", None):
            found = isolate.call(
                "scripts.against_loadgen:compare",
                {"artifact": str(artifact.path), "runtime": runtime.name, **options},
                environment=runtime.environment(Options()),
            )
        own, theirs = (pooled(found, side) for side in SIDES)
        single = [[pooled([one], side) for side in SIDES] for one in found]
        for figure in ("median, ms", "p90, ms", "images per second"):
            low, ratio, high = statistics.quantiles((mine[figure] / other[figure] for mine, other in single), n=4)
            samples = "" if figure == "images per second" else f"{theirs['samples']:.0f} / {own['samples']:.0f}"
            table.add_row(
                *(artifact.model, runtime.name, figure, f"{theirs[figure]:.3f}", f"{own[figure]:.3f}"),
                *(f"{ratio:.4f}", f"{low:.3f} to {high:.3f}", samples),
            )
            if figure != "median, ms" and not LOWEST <= ratio <= HIGHEST:
                outside.append(f"{figure.split(',')[0]} on {runtime.name}: {ratio:.3f}")
    cli.console(stderr=False).print(table)
    if outside:
        raise CheckFailed(f"outside {LOWEST} to {HIGHEST}: {'; '.join(outside)}")


if __name__ == "__main__":
    main()
