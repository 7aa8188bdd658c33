"""How many times as fast as Paddle Inference a model's variants are: runtimes and precisions, measured in turn.

    python scripts/compare_variants.py --model ViT_base_patch32_384 --batch 1 --rounds 10 --at-least 3

A cell is runtime:precision, with the default settings of the runtime. Each round measures the baseline and every cell
once, in random order, each in a fresh process, and gives a ratio of medians for each cell. Rounds in which the machine
changed its speed are counted and left out. The figure is the geometric mean over rounds, its 95 % interval Student's t
on the logarithms: 3.9 means that the baseline takes 3.9 times as long. Before that each cell is visited once: one that
this machine cannot run is named with the reason. A runtime that computed in another precision than it was asked for
fails. Prints a table that ends with the fastest cell; exit status 1 when it is not as fast as `--at-least` says.

This is about speed alone: whether a variant is as good, `validate.parity` and `validate.accuracy` say.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1]))  # the folder of `scripts`, which is not installed

from convert import cli
from convert.artifact import Artifact
from convert.common.errors import InputError
from convert.common.progress import bar
from convert.zoo import DEFAULT_MODEL
from runtimes import registry
from runtimes.base import Runtime, UnavailableError
from runtimes.options import precisions, words
from scripts.common import Finding, Verdict, compared, conclude, named, rounds_options, show, verdict
from scripts.interleaved import Ratio, Repetition, Rounds, measure, refusals, visit_ms

BASELINE = "paddle:fp32"
CELLS = "openvino:int8,openvino:bf16,openvino:fp32,ort-cpu:int8,ort-cpu:fp32,mnn:fp32,paddle:bf16"
# README's, of ViT_base_patch32_384 at batch 1 on two cores of an AMD EPYC.
STATED = {
    "openvino:int8": 4.35,
    "ort-cpu:int8": 3.28,
    "openvino:bf16": 2.50,
    "paddle:bf16": 1.72,
    "openvino:fp32": 1.39,
    "ort-cpu:fp32": 1.28,
    "mnn:fp32": 0.57,
}
AT_LEAST = 3.0  # times as fast: the fastest of these cells, on a processor with VNNI or AMX
_FIRST_S = 0.2  # of measuring in the first visit, which shows whether a cell runs at all

Wanted = Mapping[str, tuple[Runtime, str]]


@dataclass(frozen=True)
class VariantClaim:
    """What is held against Paddle Inference, and what is said of it.

    cells, baseline: RUNTIME:PRECISION.
    at_least: how many times as fast the fastest cell has to be; None asks for nothing.
    stated: how many times as fast cells are said to be. Another machine has other figures: a cell holds unless it is
    faster than the baseline where it is said to be slower, or the other way round, beyond its interval.
    """

    cells: str = CELLS
    baseline: str = BASELINE
    batch: int = 1
    at_least: float | None = None
    stated: Mapping[str, float] = field(default_factory=dict)


def parse(option: str, text: str) -> dict[str, tuple[Runtime, str]]:
    """Runtime and precision of `runtime:precision` cells, by their names. InputError for what is none."""
    found = {}
    for name in words(text):
        runtime, colon, precision = name.partition(":")
        if not colon:
            raise InputError(f"{option} {name}: RUNTIME:PRECISION is needed, as in {BASELINE}")
        precisions(precision)
        found[name] = (registry.get(runtime), precision)
    if not found:
        raise InputError(f"{option}: no cell given")
    return found


def refused(artifacts: Mapping[str, Artifact], wanted: Wanted, batch: int) -> dict[str, str]:
    """Why this machine does not run some cells, by their names, from a visit to each. CheckFailed when one fails.

    What a runtime compiles and keeps is there from now on: rounds are spared that.
    """
    reasons = {}
    with bar("first visits", len(wanted)) as advance:
        for name, (runtime, precision) in wanted.items():
            try:
                visit_ms(artifacts[precision], runtime, precision, batch, _FIRST_S)
            except UnavailableError as error:
                reasons[name] = str(error)
            advance(1)
    return reasons


def without(wanted: Wanted, reasons: Mapping[str, str], baseline: str) -> dict[str, tuple[Runtime, str]]:
    """The cells that are left. InputError when the baseline is not, or nothing beside it."""
    left = {name: one for name, one in wanted.items() if name not in reasons}
    told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    if baseline not in left:
        raise InputError(f"--against {baseline} cannot be measured here: {reasons[baseline]}")
    if len(left) < 2:
        raise InputError(f"no cell beside {baseline} can be measured here{': ' * bool(told)}{told}")
    return left


def find(
    models: Iterable[str], weights: str | None, root: Path, claim: VariantClaim, repetition: Repetition
) -> list[Finding]:
    """How many times as fast as the baseline each cell of each model is, the slowest first, and then the fastest."""
    baselines = parse("--against", claim.baseline)
    if len(baselines) > 1:
        raise InputError(f"--against {claim.baseline}: one cell is needed")
    (baseline,) = baselines
    wanted = {**baselines, **parse("--cells", claim.cells)}
    unknown = refusals(wanted)
    able = without(wanted, unknown, baseline)
    findings = []
    for model in models:
        stored = dict.fromkeys(precision for _, precision in able.values())
        artifacts = {precision: cli.artifacts(model, weights, precision, root)[model] for precision in stored}
        reasons = {**unknown, **refused(artifacts, able, claim.batch)}
        for name, reason in reasons.items():
            cli.say(f"not measured: {name}: {reason}")
        sides = {
            name: functools.partial(visit_ms, artifacts[precision], runtime, precision, claim.batch, repetition.seconds)
            for name, (runtime, precision) in without(wanted, reasons, baseline).items()
        }
        title = f"{next(iter(artifacts.values())).model}, batch {claim.batch}"
        findings += judge(title, measure(sides, repetition, title), sorted({*sides} - {baseline}), baseline, claim)
    return findings


def judge(title: str, rounds: Rounds, names: list[str], baseline: str, claim: VariantClaim) -> list[Finding]:
    """The findings of one model's rounds, of these cells. title: the model and the batch."""

    def finding(name: str) -> Finding:
        stated = claim.stated.get(name)

        def judge(ratio: Ratio) -> Verdict:
            assert stated is not None
            return verdict(ratio.high > 1 if stated > 1 else ratio.low < 1)

        text = f"{stated:.2f}" if stated else ""
        return compared(
            "variants", f"{title}, {name}", text, rounds, (baseline, name), judge if stated else None, digits=2
        )

    if not rounds.enough:
        return [compared("variants", title, "", rounds, (baseline, baseline))]
    ascending = sorted(names, key=lambda name: rounds.ratio(baseline, name).value)
    subject = f"{title}, fastest: {ascending[-1]}"
    at_least = claim.at_least
    text = f"at least {at_least:g}" if at_least else ""
    enough = (lambda ratio: verdict(ratio.value >= at_least)) if at_least else None
    best = compared("variants", subject, text, rounds, (baseline, ascending[-1]), enough, digits=2)
    return [*map(finding, ascending), best]


@click.command(help=__doc__)
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Comma-separated, or all.")
@click.option("--cells", default=CELLS, show_default=True, help="RUNTIME:PRECISION, comma-separated.")
@click.option("--against", "baseline", default=BASELINE, show_default=True, help="The baseline, a cell too.")
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--at-least", type=click.FloatRange(min=0), help="How many times as fast the fastest cell has to be.")
@rounds_options(rounds=10, seconds=2.0)
def main(
    model: str,
    cells: str,
    baseline: str,
    batch: int,
    at_least: float | None,
    weights: str | None,
    rounds: int,
    seconds: float,
    slowdown: float,
    root: Path,
) -> None:
    claim = VariantClaim(cells, baseline, batch, at_least)
    findings = find(named(model), weights, root, claim, Repetition(rounds, seconds, slowdown))
    show(findings)
    conclude(findings)


if __name__ == "__main__":
    main()
