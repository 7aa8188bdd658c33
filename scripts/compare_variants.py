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
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from convert import cli
from convert.build import ARTIFACTS
from convert.common.errors import CheckFailed, InputError
from convert.common.progress import bar
from convert.zoo import DEFAULT_MODEL
from reports.load.machines import label
from runtimes import registry
from runtimes.base import Options, Runtime, UnavailableError
from runtimes.bench.interleaved import LEAST_ROUNDS, Ratio, Rounds, measure, refusals, visit_ms
from runtimes.bench.plan.matrix import Cell, models
from runtimes.option_lists import precisions, words
from runtimes.system import environment
from runtimes.system.speed_probe import TOLERABLE_SLOWDOWN, Probe

BASELINE = "paddle:fp32"
CELLS = "openvino:int8,openvino:bf16,openvino:fp32,ort-cpu:int8,ort-cpu:fp32,mnn:fp32,paddle:bf16"
_FIRST_S = 0.2  # of measuring in the first visit, which shows whether a cell runs at all
_ARITHMETIC = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "bf16", "i8mm")


Wanted = Mapping[str, tuple[Runtime, str]]


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


def cells(model: str, weights: str | None, root: Path, batch: int, wanted: Wanted) -> dict[str, Cell]:
    """What is to be measured of a model, by the cells' names; it is converted where it is not yet."""
    stored = dict.fromkeys(precision for _, precision in wanted.values())
    artifacts = {precision: cli.artifacts(model, weights, precision, root)[model] for precision in stored}
    found = {}
    for name, (runtime, precision) in wanted.items():
        options = Options(precision, runtime.default_device, batches=(batch,))
        found[name] = Cell(model, artifacts[precision], runtime, precision, options, batch, weights=weights)
    return found


def refused(found: Mapping[str, Cell]) -> dict[str, str]:
    """Why this machine does not run some cells, by their names, from a visit to each. CheckFailed when one fails.

    What a runtime compiles and keeps is there from now on: rounds are spared that.
    """
    reasons = {}
    with bar("first visits", len(found)) as advance:
        for name, cell in found.items():
            try:
                visit_ms(cell, _FIRST_S)
            except UnavailableError as error:
                reasons[name] = str(error)
            advance(1)
    return reasons


def without(named: Mapping[str, Any], reasons: Mapping[str, str], baseline: str) -> dict[str, Any]:
    """The cells that are left. InputError when the baseline is not, or nothing beside it."""
    left = {name: one for name, one in named.items() if name not in reasons}
    told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    if baseline not in left:
        raise InputError(f"--against {baseline} cannot be measured here: {reasons[baseline]}")
    if len(left) < 2:
        raise InputError(f"no cell beside {baseline} can be measured here{': ' * bool(told)}{told}")
    return left


def ascending(rounds: Rounds, baseline: str) -> dict[str, Ratio]:
    """How many times as fast as the baseline all that was measured is, by name, the slowest first."""
    ratios = {name: rounds.ratio(baseline, name) for name in rounds.times_ms[0]}
    return dict(sorted(ratios.items(), key=lambda one: one[1].value))


def table(title: str, rounds: Rounds, baseline: str) -> Table:
    """A row for each cell, the slowest first."""
    made = Table("cell", "median, ms", "times as fast", "95 % interval", "rounds", "left out", title=title)
    for name, ratio in ascending(rounds, baseline).items():
        figures = (
            ("1", "baseline") if name == baseline else (f"{ratio.value:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}")
        )
        made.add_row(name, f"{rounds.median_ms(name):.2f}", *figures, str(len(rounds.times_ms)), str(rounds.left_out))
    return made


def fastest(model: str, rounds: Rounds, baseline: str) -> tuple[str, float]:
    """Which cell is the fastest, in a sentence, and how many times as fast. The baseline itself is none."""
    name, ratio = [one for one in ascending(rounds, baseline).items() if one[0] != baseline][-1]
    interval = f"{ratio.low:.2f} to {ratio.high:.2f}"
    return f"{model}: fastest {name}, {ratio.value:.2f} times as fast as {baseline} ({interval})", ratio.value


def machine(runtimes: Iterable[Runtime]) -> str:
    """In a line: processor, cores, what decides how fast a lower precision is, and the runtimes' versions."""
    described = environment.describe()
    sets = [name for name in described["machine"]["instruction_sets"] or () if name in _ARITHMETIC]
    versions = {runtime.name: f"{runtime.name} {runtime.version()}" for runtime in runtimes}
    return "; ".join([label(described), " ".join(sets), ", ".join(versions.values())])


@click.command(help=__doc__)
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Comma-separated, or all.")
@click.option("--weights")
@click.option("--cells", "chosen", default=CELLS, show_default=True, help="RUNTIME:PRECISION, comma-separated.")
@click.option("--against", "baseline", default=BASELINE, show_default=True, help="The baseline, a cell too.")
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--rounds", type=click.IntRange(min=LEAST_ROUNDS), default=10, show_default=True)
@click.option(
    "--slowdown", default=TOLERABLE_SLOWDOWN, show_default=True, help="Of the machine, in a round that counts."
)
@click.option("--seconds", default=2.0, show_default=True, help="Of measuring, per cell and round.")
@click.option("--at-least", type=click.FloatRange(min=0), help="How many times as fast the fastest cell has to be.")
@click.option(
    "--artifacts",
    "root",
    type=click.Path(file_okay=False, path_type=Path),
    default=ARTIFACTS,
    show_default=True,
)
def main(
    model: str,
    weights: str | None,
    chosen: str,
    baseline: str,
    batch: int,
    rounds: int,
    slowdown: float,
    seconds: float,
    at_least: float | None,
    root: Path,
) -> None:
    """Variants of models against Paddle Inference, interleaved."""
    against = parse("--against", baseline)
    if len(against) > 1:
        raise InputError(f"--against {baseline}: one cell is needed")
    (baseline,) = against
    wanted = {**against, **parse("--cells", chosen)}
    unknown = refusals(wanted)
    able = without(wanted, unknown, baseline)
    console, below, undecided = cli.console(stderr=False), list[str](), list[str]()
    for one in models(model):
        found = cells(one, weights, root, batch, able)
        reasons = {**unknown, **refused(found)}
        found = without(found, reasons, baseline)
        called = found[baseline].artifact.model
        sides = {name: functools.partial(visit_ms, cell, seconds) for name, cell in found.items()}
        with bar(called, rounds * len(sides)) as advance:
            made = measure(sides, rounds, slowdown, Probe(), f"{called} {batch}", advance)
        lines = [machine(cell.runtime for cell in found.values())]
        lines += [f"not measured: {name}: {reason}" for name, reason in reasons.items()]
        if made.enough:
            console.print(table(f"{called}, batch {batch}", made, baseline))
            told, value = fastest(called, made, baseline)
            lines.append(told)
            below += [told] if at_least and value < at_least else []
        else:
            undecided.append(called)
        for line in lines:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    if below:
        raise CheckFailed(f"less than {at_least:g} times as fast: {'; '.join(below)}")
    if undecided:
        raise InputError(f"the machine changed its speed in nearly every round of {', '.join(undecided)}: try again")


if __name__ == "__main__":
    main()
