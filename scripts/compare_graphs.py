"""Latency of our ONNX graphs over that of Paddle2ONNX's output as it comes, on the same runtime, as ratios.

    python scripts/compare_graphs.py --model ViT_base_patch32_384,ViT_small_patch16_224 --precision fp32,int8 --rounds 8

Both graphs hold the same weights: ours is the artifact's, the other one is `paddle2onnx.export` of the artifact's
Paddle program with `optimize_tool=None`. In bf16 both are FP32 files, and the runtime's own switch lowers them. In int8
the other graph goes through the recipe that made ours, so that the ratio is one of graphs alone.

Each round measures both at batch 1, one right after the other in random order, each in a fresh process, and gives a
ratio of medians. Rounds in which the machine changed its speed are counted and left out. The ratio is the geometric
mean over rounds, its 95 % interval Student's t on the logarithms. What cannot be measured here is named with the
reason. Prints a table; exit status 1 when a ratio is above 1 beyond its interval: then the other graph is the faster
one.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1]))  # the folder of `scripts`, which is not installed

from convert import artifact as artifacts
from convert import cli
from convert.artifact import Artifact
from convert.common.errors import InputError, listing
from convert.precision.recipe import INT8
from runtimes import registry
from runtimes.base import Runtime, UnavailableError
from runtimes.options import precisions, words
from scripts.common import Finding, compared, conclude, named, rounds_options, show, verdict
from scripts.interleaved import Repetition, measure, refusals, visit_ms
from scripts.paddle2onnx_graphs import lowered, plain

PRECISIONS = ("fp32", "bf16", INT8)
RUNTIMES = "ort-cpu,openvino,mnn"
STATED = "not above 1"


@dataclass(frozen=True)
class Graphs:
    """A model's graph by us and by Paddle2ONNX."""

    ours: Artifact
    theirs: Artifact


def both(model: str, weights: str | None, root: Path, precision: str, folder: Path) -> Graphs:
    """The two graphs in a precision. folder: for theirs, with those of other precisions in it."""
    (ours,) = cli.artifacts(model, weights, INT8 if precision == INT8 else "fp32", root).values()
    as_it_comes = folder / "fp32"
    if not as_it_comes.exists():
        as_it_comes.mkdir()
        plain(ours.base, as_it_comes)
    theirs = artifacts.load(as_it_comes)
    return Graphs(ours, lowered(theirs, ours, folder) if precision == INT8 else theirs)


def possible(precision: str, runtime: str) -> dict[str, tuple[Runtime, str]]:
    """What this machine has of the runtimes and precisions, precision by precision, by `runtime:precision`.

    The rest is named. InputError for what is no precision here, and when nothing is left.
    """
    asked = precisions(precision)
    unknown = [one for one in asked if one not in PRECISIONS]
    if unknown:
        raise InputError(f"--precision {listing(unknown)}: choose from {', '.join(PRECISIONS)}")
    runtimes = [registry.get(name) for name in words(runtime)]
    wanted = {f"{one.name}:{precision}": (one, precision) for precision in asked for one in runtimes}
    missing = refusals(wanted)
    for name, reason in missing.items():
        cli.say(f"not measured: {name}: {reason}")
    left = {name: one for name, one in wanted.items() if name not in missing}
    if not left:
        raise InputError("nothing of what was asked for can be measured here")
    return left


def find(
    models: list[str],
    weights: str | None,
    root: Path,
    cells: dict[str, tuple[Runtime, str]],
    repetition: Repetition,
) -> Iterator[Finding]:
    """Our time over that of Paddle2ONNX's graph, of each model on each cell (see `possible`)."""
    for model in models:
        with tempfile.TemporaryDirectory(prefix="vitbench-") as folder:
            graphs = functools.cache(functools.partial(both, model, weights, root, folder=Path(folder)))
            for name, (runtime, precision) in cells.items():
                found = graphs(precision)
                subject = f"{found.ours.model} on {name}"
                sides: dict[str, Callable[[], float]] = {
                    side: functools.partial(visit_ms, graph, runtime, precision, 1, repetition.seconds)
                    for side, graph in (("ours", found.ours), ("theirs", found.theirs))
                }
                try:
                    rounds = measure(sides, repetition, subject)
                except UnavailableError as error:
                    cli.say(f"not measured: {subject}: {error}")
                else:
                    yield compared(
                        "graphs", subject, STATED, rounds, ("ours", "theirs"), lambda ratio: verdict(ratio.low <= 1)
                    )


@click.command(help=__doc__)
@click.option("--model", default="all", show_default=True, help="Comma-separated.")
@click.option("--precision", default="fp32", show_default=True, help=f"Any of {', '.join(PRECISIONS)}.")
@click.option("--runtime", default=RUNTIMES, show_default=True)
@rounds_options(rounds=8, seconds=4.0)
def main(
    model: str,
    precision: str,
    runtime: str,
    weights: str | None,
    rounds: int,
    seconds: float,
    slowdown: float,
    root: Path,
) -> None:
    cells, models = possible(precision, runtime), named(model)
    findings: list[Finding] = []
    try:
        for finding in find(models, weights, root, cells, Repetition(rounds, seconds, slowdown)):
            findings.append(finding)  # one by one: hours of rounds are not lost with a conversion that fails at the end
    finally:
        show(findings)
    conclude(findings)


if __name__ == "__main__":
    main()
