"""What people see of a search: a line for each rung, the ladder, and why nothing held."""

from __future__ import annotations

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from convert.common.errors import listing
from validate.search.ladder import Ladder, Rung


def line(number: int, rung: Rung, operators: int) -> str:
    """A rung as it comes. operators: that int8 is there for."""
    kept = f"{len(rung.kept_fp32)} of {operators} operators in FP32"
    names = f" ({listing(rung.kept_fp32)})" if rung.kept_fp32 else ""
    return f"{number}. {kept}{names}: {_top1(rung)}: {'holds' if rung.holds else 'does not hold'}"


def table(ladder: Ladder, noise: Mapping[str, float]) -> Table:
    """The ladder, a row for each rung. noise: dB by operator."""
    runtimes = list(dict.fromkeys(name for rung in ladder.rungs for name in rung.top1))
    shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("in FP32", "in int8", "operators in FP32 (dB above int8's noise)", *runtimes, "verdict"):
        shown.add_column(name, overflow="fold")
    for rung in ladder.rungs:
        names = listing((f"{name} ({noise[name]:.1f})" for name in rung.kept_fp32), 3) or "-"
        verdict = "chosen" if rung.kept_fp32 == ladder.chosen else "holds" if rung.holds else "does not hold"
        values = (f"{rung.top1[name]:.4f}" for name in runtimes)
        shown.add_row(*map(Text, (str(len(rung.kept_fp32)), str(rung.lowered), names, *values, verdict)))
    return shown


def failure(ladder: Ladder, operators: int, evaluations: int) -> str:
    """Why there is no model, in one line: what was needed, what was tried, what to do."""
    facts, best = ladder.facts, max(ladder.rungs, key=lambda rung: min(rung.top1.values()))
    tried = ", ".join(str(len(rung.kept_fp32)) for rung in sorted(ladder.rungs, key=lambda rung: len(rung.kept_fp32)))
    most = len(ladder.rungs) >= evaluations
    return (
        f"{facts['model']}: int8 does not hold {facts['keep']:.4g} of Paddle's {facts['reference_top1']:.4f} on "
        f"{facts['images_counted']} images; tried with {tried} of {operators} operators in FP32, "
        f"the best reached {_top1(best)}: "
        + (f"--resume --evaluations {2 * evaluations} tries more" if most else "other images to calibrate on, or bf16")
    )


def _top1(rung: Rung) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in rung.top1.items())
