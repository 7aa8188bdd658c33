"""Latency of our ONNX graphs over that of Paddle2ONNX's output as it comes, on the same runtime, as ratios.

    python scripts/compare_graphs.py --model ViT_base_patch32_384,ViT_small_patch16_224 --rounds 8

Both graphs hold the same weights: ours is the artifact's, the other one is `paddle2onnx.export` of the artifact's
Paddle program with `optimize_tool=None`. Each round measures both at batch 1, one right after the other in random
order, each in a fresh process, and gives a ratio of medians. Rounds in which the machine changed its speed are counted
and left out. The ratio is the geometric mean over rounds, its 95 % interval Student's t on the logarithms. Prints a
table; exit status 1 when a ratio is above 1 beyond its interval: then the other graph is the faster one.
"""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from convert import artifact as artifacts
from convert import cli, isolate
from convert.artifact import MANIFEST, ONNX_FILE, Artifact
from convert.errors import CheckFailed, InputError
from convert.files import sha256_file, write_json
from convert.progress import bar
from runtimes.base import Options
from runtimes.bench.executor import Local
from runtimes.bench.job import Effort, Job
from runtimes.bench.probe import TOLERABLE_SLOWDOWN, Probe
from runtimes.bench.statistics import Noise, interval

_LEAST_ROUNDS = 2


@dataclass(frozen=True)
class Cell:
    """seconds: of measuring, per visit."""

    runtime: str
    precision: str
    seconds: float


def plain(artifact: Artifact, folder: Path) -> Artifact:
    """Paddle2ONNX's own output for an artifact's Paddle program, in an existing folder, as an artifact.

    CheckFailed when Paddle2ONNX gives none.
    """
    job = {
        "program": str(artifact.paddle_program),
        "params": str(artifact.paddle_params),
        "onnx": str(folder / ONNX_FILE),
        "opset": artifact.manifest["opset"],
    }
    try:
        isolate.call("scripts.compare_graphs:export", job)
    except isolate.JobError as error:
        raise CheckFailed(f"{artifact.model}: Paddle2ONNX gave no model: {error}") from None
    file = folder / ONNX_FILE
    entries = {file.name: {"bytes": file.stat().st_size, "sha256": sha256_file(file)}}
    write_json(folder / MANIFEST, {**artifact.manifest, "files": entries})
    return artifacts.load(folder)


def export(job: dict[str, Any]) -> None:
    """The other side of `plain`."""
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
        raise RuntimeError("its reason is in the log above")


def median_ms(artifact: Artifact, cell: Cell) -> float:
    """Of one visit in a process of its own, at batch 1, as the bench makes it. CheckFailed when it fails."""
    job = Job(str(artifact.path), cell.runtime, 1, Options(cell.precision), effort=Effort(cell.seconds, min_count=5))
    (outcome,) = Local(probe=None).run([job])
    if outcome.numbers is None:
        raise CheckFailed(f"{artifact.model} on {cell.runtime}: {outcome.failure}")
    return statistics.median(outcome.numbers["samples_ms"])


def ratio(pairs: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Geometric mean of ours / theirs over pairs (theirs, ours), and its 95 % interval. At least two pairs."""
    ratios = [mine / other for other, mine in pairs]
    mean = statistics.geometric_mean(ratios)
    found, _ = interval(mean, ratios, Noise())
    assert found is not None
    low, high = found
    return mean, low, high


@click.command(help=__doc__)
@click.option("--model", default="all", show_default=True, help="Comma-separated.")
@click.option("--weights")
@click.option("--precision", type=click.Choice(["fp32"]), default="fp32", show_default=True)
@click.option("--runtime", "chosen", default="ort-cpu,openvino,mnn", show_default=True)
@click.option("--rounds", type=click.IntRange(min=_LEAST_ROUNDS), default=8, show_default=True)
@click.option(
    "--slowdown", default=TOLERABLE_SLOWDOWN, show_default=True, help="Of the machine, in a round that counts."
)
@click.option("--seconds", default=4.0, show_default=True, help="Of measuring, per graph and round.")
@click.option(
    "--artifacts",
    "root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("artifacts"),
    show_default=True,
)
def main(
    model: str,
    weights: str | None,
    precision: str,
    chosen: str,
    rounds: int,
    slowdown: float,
    seconds: float,
    root: Path,
) -> None:
    """Our graphs against Paddle2ONNX's own output, interleaved."""
    table = Table("model", "runtime", "Paddle2ONNX, ms", "ours, ms", "ratio", "95 % interval", "rounds", "left out")
    slower, undecided = [], []
    for artifact in cli.artifacts(model, weights, precision, root).values():
        with tempfile.TemporaryDirectory(prefix="vitbench-") as folder:
            theirs = plain(artifact, Path(folder))
            for runtime in chosen.split(","):
                pairs, left_out = _measure(artifact, theirs, Cell(runtime, precision, seconds), rounds, slowdown)
                if len(pairs) < _LEAST_ROUNDS:
                    undecided.append(f"{artifact.model} on {runtime}")
                    continue
                value, low, high = ratio(pairs)
                other, mine = (statistics.median(side) for side in zip(*pairs, strict=True))
                numbers = (f"{other:.2f}", f"{mine:.2f}", f"{value:.3f}", f"{low:.3f} to {high:.3f}")
                table.add_row(artifact.model, runtime, *numbers, str(len(pairs)), str(left_out))
                if low > 1:
                    slower.append(f"{artifact.model} on {runtime} {value:.3f}")
    cli.console(stderr=False).print(table)
    if slower:
        raise CheckFailed(f"slower than Paddle2ONNX's own output: {', '.join(slower)}")
    if undecided:
        raise InputError(f"the machine changed its speed in nearly every round of {', '.join(undecided)}: try again")


def _measure(
    artifact: Artifact, theirs: Artifact, cell: Cell, rounds: int, slowdown: float
) -> tuple[list[tuple[float, float]], int]:
    """Medians in ms, (theirs, ours), of the rounds that count, and how many do not."""
    probe, sides, pairs, left_out = Probe(), {"theirs": theirs, "ours": artifact}, [], 0
    order = random.Random(f"{artifact.model} {cell.runtime}")  # noqa: S311 - only shuffles
    with bar(f"{artifact.model} on {cell.runtime}", rounds) as advance:
        for _ in range(rounds):
            times, speeds = {}, [probe.take()]
            for side in order.sample(sorted(sides), 2):
                times[side] = median_ms(sides[side], cell)
                speeds.append(probe.take())
            advance(1)
            if max(speeds) / min(speeds) - 1 > slowdown:
                left_out += 1
            else:
                pairs.append((times["theirs"], times["ours"]))
    return pairs, left_out


if __name__ == "__main__":
    main()
