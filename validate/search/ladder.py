"""What a search tried: `ladder.json` in the results folder, from which it goes on, and the same for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from convert.common import typed
from convert.common.console import plain
from convert.common.disk.files import write_json
from convert.common.errors import InputError, listing
from validate.search.strategy import Recipe

SENTENCES = ("operators in FP32 (dB above int8's noise)", "verdict")  # columns that may be narrow
LADDER = "ladder.json"
_FORMAT = 2


@dataclass(frozen=True)
class Rung:
    """One recipe, a strength of the smoothing and a set of operators in FP32, and what came of it.

    artifact: sha256 of the model. top1: by runtime, 0 to 1. holds: whether each runtime's verdict held.
    """

    smooth: float
    kept_fp32: tuple[str, ...]
    lowered: int
    artifact: str
    top1: dict[str, float]
    holds: bool

    @property
    def recipe(self) -> Recipe:
        return Recipe(self.smooth, self.kept_fp32)

    @property
    def verdict(self) -> str:
        return "holds" if self.holds else "does not hold"

    @property
    def shown_top1(self) -> str:
        return ", ".join(f"{name} {value:.4f}" for name, value in self.top1.items())


@dataclass
class Ladder:
    """key: everything that decides what the rungs are. facts: what a reader wants to know besides."""

    key: str
    facts: Mapping[str, Any]
    rungs: list[Rung] = field(default_factory=list)
    chosen: Recipe | None = None

    def rung(self, recipe: Recipe | None) -> Rung | None:
        return next((rung for rung in self.rungs if rung.recipe == recipe), None)

    def line(self, rung: Rung, operators: int) -> str:
        """One of its rungs as it comes. operators: how many int8 is there for."""
        kept = f"{len(rung.kept_fp32)} of {operators} operators in FP32"
        names = f" ({listing(rung.kept_fp32)})" if rung.kept_fp32 else ""
        made = f"{kept}{names}, {smoothing(rung.smooth)}"
        return f"{self.rungs.index(rung) + 1}. {made}: {rung.shown_top1}: {rung.verdict}"

    def table(self, noise: Mapping[float, Mapping[str, float]]) -> Table:
        """A row for each rung. noise: dB by strength of the smoothing and operator."""
        runtimes = list(dict.fromkeys(name for rung in self.rungs for name in rung.top1))
        shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for name in ("smoothing", "in FP32", "in int8", SENTENCES[0], *runtimes, "verdict"):
            shown.add_column(plain(name), overflow="fold")
        for rung in self.rungs:
            names = listing((f"{name} ({noise[rung.smooth][name]:.1f})" for name in rung.kept_fp32), 3) or "-"
            verdict = "chosen" if rung.recipe == self.chosen else rung.verdict
            counts = (f"{rung.smooth:g}", str(len(rung.kept_fp32)), str(rung.lowered))
            values = (f"{rung.top1[name]:.4f}" for name in runtimes)
            shown.add_row(*map(plain, (*counts, names, *values, verdict)))
        return shown

    def failure(self, operators: int, evaluations: int) -> str:
        """Why there is no model, in one line: what was needed, what was tried, what to do."""
        facts, best = self.facts, max(self.rungs, key=lambda rung: min(rung.top1.values()))
        tried = ", ".join(map(str, sorted({len(rung.kept_fp32) for rung in self.rungs})))
        smoothed = ", ".join(dict.fromkeys(smoothing(rung.smooth) for rung in self.rungs))
        more = f"--resume --evaluations {2 * evaluations} tries more"
        return (
            f"{facts['model']}: int8 does not hold {facts['keep']:.4g} of Paddle's {facts['reference_top1']:.4f} on "
            f"{facts['images_counted']} images; tried with {tried} of {operators} operators in FP32, {smoothed}; the "
            f"best reached {best.shown_top1}: "
            f"{more if len(self.rungs) >= evaluations else 'other images to calibrate on, or bf16'}"
        )

    def document(self) -> dict[str, Any]:
        """As it is stored, the rungs in the order in which they were tried."""
        chosen = self.rung(self.chosen)
        found = {"chosen": chosen and list(chosen.kept_fp32), "chosen_smooth": chosen and chosen.smooth}
        return {"format": _FORMAT, "key": self.key, **self.facts, **found, "rungs": typed.table(self.rungs)}

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / LADDER, self.document())


def smoothing(strength: float) -> str:
    """A strength of the smoothing in a clause."""
    return f"smoothed at {strength:g}" if strength else "not smoothed"


def begin(folder: Path, key: str, facts: Mapping[str, Any], resume: bool) -> Ladder:
    """The ladder of a folder, with its rungs where `resume` goes on with an earlier one.

    InputError: one is there and is not resumed, is of another search, of another format, or damaged.
    """
    file = folder / LADDER
    ladder = Ladder(key, facts)
    if not file.exists():
        return ladder
    if not resume:
        raise InputError(f"{file}: there is a ladder already: --resume goes on with it, another --out starts anew")
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        version, earlier = stored["format"], stored["key"]
        rungs = [typed.read(Rung, one) for one in stored["rungs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: damaged ({error}): move it away, or give another --out") from None
    if version != _FORMAT:
        raise InputError(f"{file}: of format {version}, this vitbench knows {_FORMAT}: give another --out")
    if earlier != key:
        raise InputError(
            f"{file}: of another model, other images or other options: repeat the command that made it, "
            "or give another --out"
        )
    ladder.rungs.extend(rungs)
    return ladder
