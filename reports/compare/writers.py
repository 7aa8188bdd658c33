"""A comparison for the terminal, for a pull request's comment and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from convert.common.console import plain, print_table
from reports.compare.compared import APART, BETTER, FASTER, SAME, SLOWER, UNKNOWN, WORSE, Compared, amount
from reports.compare.judge import HOLDS, OPEN, REGRESSION, Comparison
from reports.numbers import NONE, measured, milliseconds, tiny
from reports.render.markdown import escape

_STYLES = {FASTER: "green", BETTER: "green", SLOWER: "red", WORSE: "red", UNKNOWN: "yellow", APART: "dim", SAME: ""}
SIGNS = {HOLDS: "✅", REGRESSION: "❌", OPEN: "❔"}
_COLUMNS = ("Cell", "Figure", "Base", "New", "Change [95 %]", "Verdict", "Notes")
_CHANGED = (SLOWER, WORSE, FASTER, BETTER)
_LISTED = 20
_ROWS = 150


def summary(comparison: Comparison, say: Callable[[str], str] = str) -> str:
    """One line: how many regressions, and how many comparisons had which verdict. say: puts the verdicts in words."""
    counts = Counter(cell.verdict for cell in comparison.cells)
    parts = [f"{counts[verdict]} {say(verdict)}" for verdict in (*_CHANGED, SAME, UNKNOWN, APART) if counts[verdict]]
    number = len(comparison.regressions)
    found = "no regression" if not number else "1 regression" if number == 1 else f"{number} regressions"
    if comparison.outcome == OPEN:
        left = len(comparison.open) + len(comparison.lost)
        cells = "1 cell" if left == 1 else f"{left} cells"
        of = cells if left else ", ".join(comparison.unanswered) or "any cell"
        lost = f", {len(comparison.lost)} of them not in NEW" if comparison.lost else ""
        found = f"nothing can be said of {of}{lost}"
    count = len(comparison.cells)
    return f"{found}; of {count} comparison{'s' * (count != 1)} {', '.join(parts)}"


def verdict(comparison: Comparison) -> str:
    """Why it does not hold: the first regression, or the first of which nothing can be said; empty where it holds."""
    if found := comparison.regressions:
        what = "a regression" if len(found) == 1 else f"{len(found)} regressions, the first"
        return f"{what}: {found[0].cell}: {found[0].regression}"
    if comparison.outcome == HOLDS:
        return ""
    named = [f"{cell.cell}: {'; '.join(cell.notes)}" for cell in comparison.open]
    named += [f"{cell}: it is not in NEW" for cell in comparison.lost]
    return named[0] if named else summary(comparison)


def ordered(comparison: Comparison) -> tuple[list[Compared], list[Compared]]:
    """What changed, regressions first, and the rest; each in the order of the results."""
    changed = [cell for cell in comparison.cells if cell.verdict in _CHANGED]
    rest = [cell for cell in comparison.cells if cell.verdict not in _CHANGED]
    return sorted(changed, key=lambda cell: (cell.regression is None, _CHANGED.index(cell.verdict))), rest


def terminal(comparison: Comparison, console: Console) -> None:
    """A table with a line for each comparison, what changed first, and the notes."""
    table = Table()
    for place, column in enumerate(_COLUMNS):
        table.add_column(column, justify="right" if place in (2, 3, 4) else "left", overflow="fold")
    for cells in ordered(comparison):
        for cell in cells:
            style = "bold red" if cell.regression else _STYLES[cell.verdict]
            table.add_row(*(plain(text, style if place == 5 else "") for place, text in enumerate(_row(cell))))
        table.add_section()
    print_table(console, table, ("Cell", "Notes"))
    for note in [*comparison.notes, *alone(comparison)]:
        console.print(plain(note))


def markdown(comparison: Comparison, base: str, new: str) -> str:
    """Short enough for a comment: a line, what changed, and the rest folded."""
    lines = [f"### {SIGNS[comparison.outcome]} {escape(new)} against {escape(base)}: {summary(comparison)}", ""]
    lines += [*(f"- {escape(note)}" for note in comparison.notes), *([""] if comparison.notes else [])]
    changed, rest = ordered(comparison)
    if changed:
        lines += [*_table(changed), ""]
    if rest:
        lines += [f"<details><summary>The other {len(rest)}</summary>", "", *_table(rest), "", "</details>", ""]
    for note in [*alone(comparison), comparison.rule]:
        lines += [escape(note), ""]
    return "\n".join(lines)


def document(comparison: Comparison) -> dict[str, Any]:
    """As JSON types. `change` is relative, and for accuracy a difference of fractions; `ratio` is new over base."""
    return {
        "summary": summary(comparison),
        "outcome": comparison.outcome,
        "open": len(comparison.open),
        "regressions": len(comparison.regressions),
        "cells": [_cell(cell) for cell in comparison.cells],
        "notes": list(comparison.notes),
        "rule": comparison.rule,
        "only_base": list(comparison.only_base),
        "only_new": list(comparison.only_new),
    }


def _cell(cell: Compared) -> dict[str, Any]:
    fields = asdict(cell)
    del fields["change"]
    found = cell.change
    relative = found if found and cell.figure != "accuracy" else None
    return fields | {
        "notes": list(cell.notes),
        "change": found.amount if found else None,
        "change_ci95": [found.low, found.high] if found else None,
        "p": found.p if found else None,
        "ratio": 1 + relative.amount if relative else None,
        "ratio_ci95": [1 + relative.low, 1 + relative.high] if relative else None,
    }


def alone(comparison: Comparison) -> list[str]:
    """What only one of the two has, in sentences; of a long list the beginning."""
    sides = (("BASE", comparison.only_base), ("NEW", comparison.only_new))
    return [f"Only in {side}: {'; '.join(_beginning(names))}." for side, names in sides if names]


def _beginning(names: Sequence[str]) -> list[str]:
    more = len(names) - _LISTED
    return [*names[:_LISTED], *([f"and {more} more"] if more > 0 else [])]


def _table(cells: Sequence[Compared]) -> list[str]:
    """A table of so many rows that two of them stay below the 65,536 characters of a comment on GitHub."""
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---|---|--:|--:|--:|---|---|"]
    for cell in cells[:_ROWS]:
        *texts, word, notes = map(escape, _row(cell))
        shown = f"**{word}: regression**" if cell.regression else word
        lines.append(f"| {' | '.join([*texts, shown, notes])} |")
    more = len(cells) - _ROWS
    return [*lines, "", f"And {more} more."] if more > 0 else lines


def _row(cell: Compared) -> Sequence[str]:
    values = _value(cell, cell.base), _value(cell, cell.new)
    return cell.cell, cell.figure, *values, amount(cell), cell.verdict, "; ".join(cell.notes)


def _value(cell: Compared, value: float | None) -> str:
    if value is None:
        return NONE
    if cell.figure == "parity":
        return tiny(value)
    if cell.figure == "accuracy":
        return f"{100 * value:.2f} %"
    half = cell.change.half_width if cell.change else None  # as many digits as the change's interval carries
    interval = None if half is None else (value * (1 - half), value * (1 + half))
    unit = {"throughput": "images/s", "qps_max": "queries/s"}.get(cell.figure)
    return f"{measured(value, interval)} {unit}" if unit else milliseconds(value, interval, " ms")
