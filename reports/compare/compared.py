"""A cell of both results and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from reports.compare import match
from reports.compare.change import Change
from reports.compare.figures import FIGURES
from reports.tables.standing import cell_name

FASTER, SLOWER, SAME, UNKNOWN, APART = "faster", "slower", "no change", "cannot tell", "not comparable"
BETTER, WORSE = "better", "worse"


@dataclass(frozen=True)
class Compared:
    """A cell of both, or cells together (kind `group`). base, new: the figure; None where there is none.

    figure: of `FIGURES`, or qps_max, accuracy, parity. regression: why it fails the comparison; None where it does not.
    absent: BASE has no figure, so nothing of it can be lost.
    """

    kind: str
    model: str
    cell: str
    figure: str
    verdict: str = UNKNOWN
    base: float | None = None
    new: float | None = None
    change: Change | None = None
    notes: tuple[str, ...] = ()
    regression: str | None = None
    absent: bool = False

    @property
    def judged(self) -> bool:
        """Whether anything can be said of it."""
        return self.verdict not in (UNKNOWN, APART)

    def noted(self, *notes: str, **changes: Any) -> Compared:
        """It with more notes, and other fields changed."""
        return replace(self, notes=(*self.notes, *notes), **changes)


def of_pair(pair: match.Pair[Any], figure: str, base: float | None = None, new: float | None = None) -> Compared:
    """A pair before it is judged."""
    one = pair.base
    return Compared(one.kind, one.model, cell_name(one), figure, base=base, new=new, notes=pair.notes)


def worst(cell: Compared, found: Change) -> float:
    """The largest change for the worse that the 95 % interval does not exclude; a slow-down is in time, also where the
    figure is a rate."""
    if cell.figure == "accuracy":
        return -found.low
    figure = FIGURES[cell.figure]
    return 1 / (1 + found.low) - 1 if figure.more_is_better else found.high


def amount(cell: Compared) -> str:
    """`+4.8 % [+4.1, +5.5]`; of accuracy in percentage points."""
    if cell.change is None:
        return "-"
    unit = "pp" if cell.figure == "accuracy" else "%"
    places = 2 if cell.figure == "accuracy" else 1
    numbers = [f"{100 * number:+.{places}f}" for number in (cell.change.amount, cell.change.low, cell.change.high)]
    return f"{numbers[0]} {unit} [{numbers[1]}, {numbers[2]}]"


def not_measured(pair: match.Pair[Any]) -> str | None:
    """Why one of two has no figure, or why neither has, in a clause; None where both have."""
    return of_sides(
        (which, f"{record.status}: {record.reason or 'no reason recorded'}" if not record.measured else None)
        for which, record in pair.sides
    )


def of_sides(sides: Iterable[tuple[str, str | None]]) -> str | None:
    """`BASE: this; NEW: that` of what there is to say of each, `BASE and NEW: this` where it is the same; None where
    there is nothing."""
    names: dict[str, list[str]] = {}
    for which, said in sides:
        if said:
            names.setdefault(said, []).append(which)
    return "; ".join(f"{' and '.join(which)}: {said}" for said, which in names.items()) or None
