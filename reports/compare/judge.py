"""What changed between two sets of results, cell by cell, and whether it fails the comparison."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from convert.common.errors import InputError
from reports.compare import machine_speed, match, quality, speeds
from reports.compare.compared import SAME, SLOWER, UNKNOWN, WORSE, Compared, amount, worst
from reports.compare.figures import FIGURES
from reports.load import results
from reports.load.results import Results
from reports.tables.standing import cell_name
from runtimes.records.kinds import Accuracy, Parity, Record, Server

HOLDS, REGRESSION, OPEN = "it holds", "a regression", "nothing can be said"
SMALLEST = "1%"
DEFAULT = ("median:5%", "throughput:5%", "accuracy:1%")
_SHARE = re.compile(r"([0-9]{1,4}(?:\.[0-9]{1,6})?)%", re.ASCII)


@dataclass(frozen=True)
class Threshold:
    """A change for the worse that fails the comparison. share: 0.05 is 5 % (of accuracy: percentage points)."""

    figure: str
    share: float

    def __str__(self) -> str:
        return f"{self.figure}:{100 * self.share:g}%"


def parse(text: str) -> Threshold:
    """A threshold from `FIGURE:NUMBER%`. InputError says what is wrong."""
    figure, colon, share = text.partition(":")
    if not colon:
        raise InputError(f"--fail {text!r}: FIGURE:NUMBER% is needed, as in median:5%")
    names = [*FIGURES, "accuracy"]
    if figure not in names:
        raise InputError(f"--fail {text!r}: there is no figure {figure!r}; there are {', '.join(names)}")
    return Threshold(figure, parse_share("--fail", share))


def parse_all(texts: Sequence[str]) -> list[Threshold]:
    """One threshold for each figure; InputError when a figure has two."""
    found = [parse(text) for text in texts]
    for threshold in found:
        alike = [str(one) for one in found if one.figure == threshold.figure]
        if len(alike) > 1:
            raise InputError(f"--fail {' and '.join(alike)}: give one for each figure")
    return found


def parse_share(option: str, text: str) -> float:
    """0.05 from `5%`. InputError says what is wrong."""
    found = _SHARE.fullmatch(text)
    if not found:
        raise InputError(f"{option} {text!r}: NUMBER% is needed, as in 5% or 0.5%")
    return float(found[1]) / 100


@dataclass(frozen=True)
class Comparison:
    """cells: in the order of the results. notes: sentences about all. only_base, only_new: names of cells.

    rule: when a change is one, and when it fails, in sentences. asked: the figures that may fail it.
    unanswered: thresholds of which no cell tells anything. lost: of only_base, the cells that had a figure which may
    fail it. base, new: what the two are called.
    """

    cells: tuple[Compared, ...]
    notes: tuple[str, ...]
    only_base: tuple[str, ...]
    only_new: tuple[str, ...]
    rule: str
    asked: frozenset[str]
    unanswered: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    base: str = "BASE"
    new: str = "NEW"

    @property
    def regressions(self) -> list[Compared]:
        return [cell for cell in self.cells if cell.regression]

    @property
    def open(self) -> list[Compared]:
        """What might be a regression, as far as anybody can tell: cells that BASE has, that were asked for, and of
        which nothing can be said. A group is no cell.

        The rate of a server is never judged. Where it is all that was measured, parity alone does not answer for it.
        """
        measured = any(cell.figure in self.asked for cell in self.cells)
        cells = [cell for cell in (self._relevant if measured else self.cells) if cell.kind != "group"]
        return [cell for cell in cells if not (cell.judged or cell.absent)]

    @property
    def _relevant(self) -> list[Compared]:
        return [cell for cell in self.cells if cell.figure in (*self.asked, "parity")]

    @property
    def outcome(self) -> str:
        """HOLDS where all that was asked for could be judged, and something was."""
        if self.regressions:
            return REGRESSION
        judged = any(cell.judged for cell in self._relevant)
        return HOLDS if judged and not (self.open or self.unanswered or self.lost) else OPEN


def held(base: Path, new: Path, fails: Sequence[str] = DEFAULT, smallest: str = SMALLEST) -> Comparison:
    """Hold results folders, or files of `vitbench share`, against each other, as the command and `import vitbench` do.

    fails: as of `--fail`; smallest: as of `--smallest`. InputError for either that is wrong, for what are no results,
    and where the two have no cell in common.
    """
    thresholds, least = parse_all(fails), parse_share("--smallest", smallest)
    found = compare(results.load(base), results.load(new), thresholds, least)
    if not found.cells:
        raise InputError(f"{base} and {new} have no cell in common: nothing can be compared")
    return found


def compare(base: Results, new: Results, thresholds: Sequence[Threshold], smallest: float) -> Comparison:
    """Hold two sets of results against each other. smallest: the largest change that is not worth reporting."""
    found = match.pair(base, new)
    shift = machine_speed.of([pair for pair in found.pairs if not pair.apart])
    cells: list[Compared] = []
    asked = {threshold.figure for threshold in thresholds}
    for figure_name, figure in FIGURES.items():
        if figure_name in ("median", "throughput") or figure_name in asked:
            cells += speeds.Speeds(base, new, figure_name, shift).compare(found.of(figure.kind), smallest)
    cells += [speeds.server(pair) for pair in found.of(Server)]
    cells += quality.accuracies(found.of(Accuracy))
    cells += [quality.parity(pair) for pair in found.of(Parity)]
    machine = [f"Speed probe: {shift.note}."] if shift.note else []
    judged = tuple(_judged(cell, thresholds) for cell in cells)
    return Comparison(
        judged,
        (*machine, *match.environments(base, new), *_power_notes(judged, thresholds)),
        tuple(map(cell_name, found.only_base)),
        tuple(map(cell_name, found.only_new)),
        _rule(thresholds, smallest),
        frozenset(asked),
        _unanswered(judged, thresholds),
        tuple(cell_name(one) for one in found.only_base if _may_be_lost(one, asked)),
        base.name,
        new.name,
    )


def _may_be_lost(record: Record, asked: Collection[str]) -> bool:
    """Whether BASE has something of a cell that NEW would have to be held against."""
    if isinstance(record, Parity):
        return record.passed is True
    kinds = [FIGURES[one].kind for one in asked if one in FIGURES] + [Accuracy] * ("accuracy" in asked)
    return record.measured and any(isinstance(record, kind) for kind in kinds)


def _unanswered(cells: Sequence[Compared], thresholds: Sequence[Threshold]) -> tuple[str, ...]:
    """The thresholds of which no cell tells anything; what nobody asked for by name need not be there at all."""
    usual = tuple(map(str, thresholds)) == DEFAULT
    found = []
    for threshold in thresholds:
        own = [cell for cell in cells if cell.figure == threshold.figure]
        if not any(cell.judged for cell in own) and (own or not usual):
            found.append(str(threshold))
    return tuple(found)


def _rule(thresholds: Sequence[Threshold], smallest: float) -> str:
    return (
        f"Slower or faster: certain to be by more than {100 * smallest:g} %. Regression: a change for the worse whose "
        f"95 % interval reaches {', '.join(map(str, thresholds))}; and always what does not run any more, or fails "
        "parity now."
    )


def _judged(cell: Compared, thresholds: Sequence[Threshold]) -> Compared:
    """Whether a cell is a regression: it broke, or it got worse and by the threshold of its figure cannot be excluded.

    The amount itself will not do: a change by the threshold is measured below it every other time.
    """
    if cell.verdict not in (WORSE, SLOWER):
        return cell
    if cell.change is None:
        return replace(cell, regression=cell.notes[-1])
    for threshold in thresholds:
        if threshold.figure == cell.figure and worst(cell, cell.change) >= threshold.share:
            return replace(cell, regression=f"{amount(cell)} reaches {threshold}")
    return cell


def _power_notes(cells: Sequence[Compared], thresholds: Sequence[Threshold]) -> list[str]:
    """What could not have been seen: silence about it would read as its absence."""
    notes = []
    for threshold in thresholds:
        blind = [
            cell
            for cell in cells
            if cell.figure == threshold.figure and cell.change and cell.verdict in (SAME, UNKNOWN)
            if cell.kind != "group" and worst(cell, cell.change) >= threshold.share
        ]
        if blind:
            cells_text = "1 cell" if len(blind) == 1 else f"{len(blind)} cells"
            notes.append(f"{threshold} cannot be excluded in {cells_text}: measure more processes to see it.")
    return notes
