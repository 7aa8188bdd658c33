"""Our latency and throughput against MLPerf's LoadGen, in turn, in one process and on one session.

    python scripts/against_loadgen.py --model ViT_base_patch32_384

Modes latency and throughput measure as the bench does; LoadGen's SingleStream and Offline scenarios drive the same
session. Each round has all four in random order, the garbage collector at rest in each. The machine's speed is probed
around each of the four: a round in which it changed by more than 8 % is counted and left out.

Shown are medians and 90th percentiles of all samples that are left, images per second of all rounds that are left, and
the ratio of ours to LoadGen's, the median of the rounds' with their quartiles: what changes from round to round does so
for both sides. A p90 needs 64 samples (MLPerf's rule), so its ratios are those of as many rounds in a row as have them
on both sides. Prints a table; exit status 1 when p90 or the throughput is further than 2 % from LoadGen's, or when the
samples carry no p90.
"""

from __future__ import annotations

import contextlib
import gc
import math
import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.table import Table

from convert import artifact as artifacts
from convert import cli
from convert.common import isolate
from convert.common.errors import CheckFailed
from convert.common.progress import bar
from runtimes import registry
from runtimes import statistics as bench_statistics
from runtimes.base import Options, Session
from runtimes.bench.worker import latency, loadgen, throughput, visit
from runtimes.bench.worker.job import Effort, Job
from runtimes.bench.worker.visit import Opened
from runtimes.system.speed_probe import TOLERABLE_SLOWDOWN, Probe

LOWEST, HIGHEST = 0.98, 1.02
SIDES = ("ours", "loadgen")
P90, IMAGES = "p90, ms", "images per second"
_WARMUP_S = 2.0
# OpenMP's threads spin for up to 200 ms after their work (KMP_BLOCKTIME), which the probe would feel; and sessions that
# slept so long, or see another batch size, take a moment that is neither side's to pay for.
_REST_S, _AWAKE_S = 0.25, 0.3

# Of one round: by side `samples_ms` of batch 1 one at a time, and `images` done in `seconds` back to back.
Sides = Mapping[str, Mapping[str, Any]]


def compare(job: dict[str, Any]) -> list[dict[str, Any]]:
    """For each round its `sides`, and `speed_ms`: the machine's speed around each of the four measurements.

    Runs in a process of its own.
    """
    loadgen.require()
    artifact, runtime = artifacts.load(Path(job["artifact"])), registry.get(job["runtime"])
    one, many = visit.example(artifact, 1), visit.example(artifact, job["batch"])
    order = random.Random(0)  # noqa: S311 - only shuffles
    effort = Effort(job["seconds"], 3, 10 * job["seconds"], _WARMUP_S)
    rounds: list[dict[str, Any]] = []
    probe = Probe()
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
            speeds = [_speed(probe)]
            for side, kind in order.sample([(side, kind) for side in SIDES for kind in ("single", "batched")], 4):
                _wake(session, one if kind == "single" else many)
                if kind == "single" and side == "ours":
                    found[side]["samples_ms"] = latency.measure(single, work)["samples_ms"]
                elif kind == "single":
                    with _collector_at_rest():
                        trial = loadgen.single_stream(lambda n: session.run(one), job["seconds"], 3, expected_ms)
                    found[side]["samples_ms"] = list(trial.latencies_ms)
                elif side == "ours":
                    numbers = throughput.measure(batched, work)
                    seconds = numbers["duration_s"]
                    found[side] |= {"seconds": seconds, "images": numbers["images_per_s"] * seconds}
                else:
                    with _collector_at_rest():
                        trial = loadgen.offline(lambda n: session.run(many[:n]), job["batch"], count)
                    found[side] |= {"seconds": max(trial.latencies_ms) / 1e3, "images": count}
                speeds.append(_speed(probe))
            rounds.append({"sides": found, "speed_ms": speeds})
    return rounds


def _speed(probe: Probe) -> float:
    time.sleep(_REST_S)
    return probe.take()


def _wake(session: Session, images: np.ndarray) -> None:
    end = time.perf_counter() + _AWAKE_S
    for _ in range(2):
        session.run(images)
    while time.perf_counter() < end:
        session.run(images)


@contextlib.contextmanager
def _collector_at_rest() -> Iterator[None]:
    """As modes latency and throughput have it."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def steady(rounds: Sequence[Mapping[str, Any]]) -> list[Sides]:
    """The rounds in which the machine did not change its speed: fast or slow, it was the same for both sides."""
    return [one["sides"] for one in rounds if max(one["speed_ms"]) / min(one["speed_ms"]) - 1 <= TOLERABLE_SLOWDOWN]


def carrying(rounds: Sequence[Sides], percentile: int) -> list[list[Sides]]:
    """Rounds in a row put together until both sides have the samples that carry a percentile; a rest is left out."""
    blocks: list[list[Sides]] = []
    block: list[Sides] = []
    for one in rounds:
        block.append(one)
        counts = [sum(len(found[side]["samples_ms"]) for found in block) for side in SIDES]
        if bench_statistics.carries(min(counts), percentile):
            blocks.append(block)
            block = []
    return blocks


def p90(samples: Sequence[float]) -> float:
    """As LoadGen takes it: the sample at nine tenths of the way up."""
    return sorted(samples)[int(0.9 * len(samples))]


def pooled(rounds: Sequence[Sides], side: str) -> dict[str, float]:
    """One side's figures over some rounds together."""
    samples = [sample for found in rounds for sample in found[side]["samples_ms"]]
    images, seconds = (sum(found[side][name] for found in rounds) for name in ("images", "seconds"))
    return {
        "median, ms": statistics.median(samples),
        P90: p90(samples),
        IMAGES: images / seconds,
        "samples": len(samples),
    }


def ratios(rounds: Sequence[Sides], figure: str) -> list[float]:
    """Ours over LoadGen's: of each round, and of p90 of each few that carry one."""
    blocks = carrying(rounds, 90) if figure == P90 else [[one] for one in rounds]
    return [pooled(block, "ours")[figure] / pooled(block, "loadgen")[figure] for block in blocks]


def spread(found: Sequence[float]) -> str:
    """The quartiles, where there are enough for them."""
    if len(found) < 3:
        return f"of {len(found)} only"
    low, _, high = statistics.quantiles(found, n=4)
    return f"{low:.3f} to {high:.3f}"


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
    table = Table(*("model", "runtime", "figure", "LoadGen", "vitbench", "ratio", "quartiles", "samples", "left out"))
    wrong = []
    for runtime in registry.select(chosen):
        options = {"rounds": rounds, "seconds": seconds, "batch": batch, "threads": threads}
        job = {"artifact": str(artifact.path), "runtime": runtime.name, **options}
        try:
            with bar(f"{artifact.model} on {runtime.name}", None):
                found = isolate.call("scripts.against_loadgen:compare", job, environment=runtime.environment(Options()))
        except isolate.JobError as error:
            wrong.append(f"{runtime.name}: {error}")
            continue
        kept = steady(found)
        left_out = f"{len(found) - len(kept)} of {len(found)}"
        if not kept:
            wrong.append(f"{runtime.name}: the machine changed its speed in every round")
            continue
        own, theirs = (pooled(kept, side) for side in SIDES)
        for figure in ("median, ms", P90, IMAGES):
            samples = "" if figure == IMAGES else f"{theirs['samples']:.0f} / {own['samples']:.0f}"
            each = ratios(kept, figure)
            if not each:
                wrong.append(f"{runtime.name}: {samples} samples carry no p90: take more --rounds or --seconds")
                continue
            ratio = statistics.median(each)
            table.add_row(
                *(artifact.model, runtime.name, figure, f"{theirs[figure]:.3f}", f"{own[figure]:.3f}"),
                *(f"{ratio:.4f}", spread(each), samples, left_out),
            )
            if figure in (P90, IMAGES) and not LOWEST <= ratio <= HIGHEST:
                wrong.append(f"{figure.split(',')[0]} on {runtime.name}: {ratio:.3f}, outside {LOWEST} to {HIGHEST}")
    cli.console(stderr=False).print(table)
    if wrong:
        raise CheckFailed("; ".join(wrong))


if __name__ == "__main__":
    main()
