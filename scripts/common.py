"""What the claims share: what the command line asks for, findings, their table, and the exit status that follows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.table import Table

from convert import cli
from convert.artifact import ARTIFACTS, Artifact
from convert.common.console import printer
from convert.common.errors import CheckFailed, InputError
from convert.model_options import ModelOptions
from convert.models import find, find_all
from convert.zoo import DEFAULT_MODEL
from runtimes.system import environment
from runtimes.system.speed_probe import TOLERABLE_SLOWDOWN
from scripts.interleaved import Ratio, Repetition, Rounds

Verdict = Literal["holds", "DOES NOT HOLD", "cannot tell", ""]

_QUICK_ROUNDS, _QUICK_SECONDS = 3, 0.5
_ARITHMETIC = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "bf16", "i8mm")
_PACKAGES = ("paddlepaddle", "paddle2onnx", "onnxruntime", "openvino", "MNN")


@dataclass(frozen=True)
class ClaimOptions:
    """What the command line asks for; None leaves it to each claim.

    models, cells: comma-separated; a cell is RUNTIME:PRECISION.
    root: of the artifacts.
    at_least: how many times as fast as Paddle Inference the fastest cell has to be (variants).
    polygraphy: let the command line of paddle2onnx optimise, as it does by default (conversion).
    rounds, seconds, slowdown: as of a `Repetition`.
    quick: few and short rounds of one model, however busy the machine is.
    """

    models: str | None = None
    weights: str | None = None
    root: Path = ARTIFACTS
    cells: str | None = None
    batch: int = 1
    at_least: float | None = None
    polygraphy: bool = False
    rounds: int | None = None
    seconds: float | None = None
    slowdown: float = TOLERABLE_SLOWDOWN
    quick: bool = False

    def repetition(self, rounds: int, seconds: float) -> Repetition:
        """rounds, seconds: the claim's own."""
        if self.quick:
            rounds, seconds = _QUICK_ROUNDS, _QUICK_SECONDS
        slowdown = math.inf if self.quick else self.slowdown
        return Repetition(self.rounds or rounds, self.seconds or seconds, slowdown)

    def chosen_models(self, default: str = DEFAULT_MODEL) -> list[str]:
        """The models; default: the claim's own. InputError for one that there is not, before anything is measured."""
        found = find_all(self.models or (DEFAULT_MODEL if self.quick else default))
        for model in found:
            find(model, self.root)
        return found

    def artifact(self, model: str, precision: str = "fp32") -> Artifact:
        """A model's artifact, made where it is not there."""
        return cli.artifacts(model, ModelOptions(self.weights), precision, self.root)[model]


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
    console = printer(stderr=False)
    console.print(shown)
    console.print(machine(), highlight=False, markup=False, soft_wrap=True)


def conclude(findings: Sequence[Finding]) -> None:
    """CheckFailed for findings that do not hold; else InputError for those that could not be made."""
    for failing, error in (("DOES NOT HOLD", CheckFailed), ("cannot tell", InputError)):
        named = [f"{one.claim}, {one.subject}: {one.found}" for one in findings if one.verdict == failing]
        if named:
            raise error(f"{failing.lower()}: {'; '.join(named)}")


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
    return "; ".join([environment.label(described), " ".join(sets), ", ".join(versions)])
