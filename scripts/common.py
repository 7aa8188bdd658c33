"""What the scripts share: findings, their table, the exit status that follows, and the options of rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
from rich.table import Table

from convert import cli
from convert.build import ARTIFACTS
from convert.common.errors import CheckFailed, InputError
from convert.models import find, find_all
from reports.load.machines import label
from runtimes.system import environment
from runtimes.system.speed_probe import TOLERABLE_SLOWDOWN
from scripts.interleaved import LEAST_ROUNDS, Ratio, Rounds

Verdict = Literal["holds", "DOES NOT HOLD", "cannot tell", ""]
Command = TypeVar("Command", bound=Callable[..., Any])

_ARITHMETIC = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "bf16", "i8mm")
_PACKAGES = ("paddlepaddle", "paddle2onnx", "onnxruntime", "openvino", "MNN")


@dataclass(frozen=True)
class Finding:
    """One row of the table: what is claimed, and what was found.

    claim: which one, by its name in `check_claims.py`.
    subject: of what, as a model and a cell.
    stated: what README and docs say, or what is asked for; empty where nothing is.
    found: a figure with its unit, or the reason why there is none.
    interval: the 95 % interval of that figure.
    details: what the figure was made of.
    verdict: empty where nothing is stated.
    """

    claim: str
    subject: str
    stated: str
    found: str
    interval: str = ""
    details: str = ""
    verdict: Verdict = ""


def verdict(holds: bool) -> Verdict:
    return "holds" if holds else "DOES NOT HOLD"


def within(ratio: Ratio, lowest: float, highest: float) -> Verdict:
    """Whether a ratio lies in a range. Where it does not, but its interval reaches into it, one cannot tell."""
    if lowest <= ratio.value <= highest:
        return "holds"
    return "DOES NOT HOLD" if ratio.high < lowest or ratio.low > highest else "cannot tell"


def spread(ratio: Ratio, digits: int) -> str:
    """The interval of a ratio as the tables have it."""
    return f"{ratio.low:.{digits}f} to {ratio.high:.{digits}f}"


def compared(
    claim: str,
    subject: str,
    stated: str,
    rounds: Rounds,
    sides: tuple[str, str],
    judge: Callable[[Ratio], Verdict] | None = None,
    digits: int = 3,
) -> Finding:
    """The finding of some rounds: the time of the first side over that of the second.

    judge: None where nothing is stated. Too few rounds that count give the verdict that one cannot tell.
    """
    if not rounds.enough:
        counts = f"{rounds.left_out} of {len(rounds.times_ms) + rounds.left_out} rounds left out"
        reason = "the machine changed its speed in nearly every round"
        return Finding(claim, subject, stated, reason, details=counts, verdict="cannot tell")
    ratio = rounds.ratio(*sides)
    above, below = (rounds.median_ms(side) for side in sides)
    details = f"{above:.2f} / {below:.2f} ms, {len(rounds.times_ms)} rounds, {rounds.left_out} left out"
    judged = judge(ratio) if judge else ""
    return Finding(claim, subject, stated, f"{ratio.value:.{digits}f}", spread(ratio, digits), details, judged)


def show(findings: Sequence[Finding]) -> None:
    """Print the table, and in a line what it was measured on."""
    shown = Table("claim", "of", "stated", "found", "95 % interval", "made of", "verdict")
    for one in findings:
        shown.add_row(one.claim, one.subject, one.stated, one.found, one.interval, one.details, one.verdict)
    console = cli.console(stderr=False)
    console.print(shown)
    console.print(machine(), highlight=False, markup=False, soft_wrap=True)


def conclude(findings: Sequence[Finding]) -> None:
    """CheckFailed for findings that do not hold; else InputError for those that could not be made."""
    wrong = [f"{one.claim}, {one.subject}: {one.found}" for one in findings if one.verdict == "DOES NOT HOLD"]
    if wrong:
        raise CheckFailed(f"does not hold: {'; '.join(wrong)}")
    undecided = [f"{one.claim}, {one.subject}: {one.found}" for one in findings if one.verdict == "cannot tell"]
    if undecided:
        raise InputError(f"cannot tell: {'; '.join(undecided)}")


def named(models: str) -> list[str]:
    """The models of a `--model` list. InputError for one that there is not, before anything is measured."""
    found = find_all(models)
    for model in found:
        find(model)
    return found


def vit_toml(name: str, size: int, width: int, blocks: int, heads: int) -> str:
    """The spec of a ViT with patches of 16 pixels. size: of the image, in pixels."""
    return f"""
name = "{name}"
img_size = {size}
patch_size = 16
class_num = 1000
embed_dim = {width}
depth = {blocks}
num_heads = {heads}
mlp_ratio = 4
qkv_bias = true
epsilon = 1e-6
[preprocessing]
resize_short = {size}
crop = {size}
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
"""


def machine() -> str:
    """In a line: processor, cores, what decides how fast a lower precision is, and the packages' versions."""
    described = environment.describe()
    sets = [name for name in described["machine"]["instruction_sets"] or () if name in _ARITHMETIC]
    versions = [f"{name} {described['packages'][name]}" for name in _PACKAGES if described["packages"].get(name)]
    return "; ".join([label(described), " ".join(sets), ", ".join(versions)])


def rounds_options(rounds: int, seconds: float) -> Callable[[Command], Command]:
    """`--weights`, `--artifacts` and the options of a `Repetition`. rounds, seconds: the defaults."""
    options = [
        click.option("--weights", help=cli.WEIGHTS_HELP),
        click.option("--rounds", type=click.IntRange(min=LEAST_ROUNDS), default=rounds, show_default=True),
        click.option("--seconds", default=seconds, show_default=True, help="Of measuring, of each in each round."),
        click.option(
            "--slowdown",
            default=TOLERABLE_SLOWDOWN,
            show_default=True,
            help="Of the machine, in a round that counts.",
        ),
        click.option(
            "--artifacts",
            "root",
            type=click.Path(file_okay=False, path_type=Path),
            default=ARTIFACTS,
            show_default=True,
        ),
    ]

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add
