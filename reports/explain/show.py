"""An explanation for the terminal and for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from convert.common.console import plain, print_table
from reports.explain.causes import Explanation
from reports.explain.choose import Side
from reports.numbers import milliseconds
from reports.tables.standing import median

_PAGE, _UNRECORDED = "the published page does not say", "not recorded"


def document(found: Explanation) -> dict[str, Any]:
    """As JSON types. `times`: how many times as long the run takes, as measured, as `counted`, and for each cause; what
    one side is not known to have had is null there."""
    return {
        "run": _side(found.run),
        "published": _side(found.published),
        "times": found.times,
        "counted": found.counted,
        "left": found.times / found.counted,
        "causes": [{**asdict(cause), "known": cause.known} for cause in found.causes],
    }


def _side(side: Side) -> dict[str, Any]:
    return {"cell": side.name, "median_ms": median(side.cell), "machine": side.machine, "page": side.page}


def terminal(found: Explanation, console: Console) -> None:
    """The factor, a row for each cause, and what is left of the factor."""
    sides = found.run, found.published
    told = [f"{side.name}: {milliseconds(median(side.cell), side.cell.ci95_ms, ' ms')}" for side in sides]
    console.print(plain(f"{told[0]}; {told[1]}; {found.times:.3g} times as long"), soft_wrap=True)
    table = Table()
    for name in ("Cause", "Known", "Yours", "Published", "Times as long", "Notes"):
        table.add_column(name, justify="right" if name == "Times as long" else "left", overflow="fold")
    unknown = _PAGE if found.published.page else _UNRECORDED
    for cause in found.causes:
        known, times = "yes" if cause.known else "no", "-" if cause.times is None else f"{cause.times:.3g}"
        row = (cause.name, known, cause.run or _UNRECORDED, cause.published or unknown, times, cause.note)
        table.add_row(*map(plain, row))
    print_table(console, table, ("Yours", "Published", "Notes"))
    counted, left = f"{found.counted:.3g}", f"{found.times / found.counted:.3g}"
    line = f"by what can be computed it takes {counted} times as long; by all else {left} times"
    console.print(plain(line), soft_wrap=True)
