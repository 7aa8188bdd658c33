"""How steady each latency was: inside its processes, between them, and the machine beneath."""

from __future__ import annotations

from reports.language import names, say
from reports.load.results import Results
from reports.numbers import NONE, own_interval
from reports.tables.cells import shown_status, why
from reports.tables.frames import Cell, Footnotes, Table, commands, frame, identity, machine_column
from runtimes.records.store import Record


def steadiness(results: Results) -> Table:
    """Processes, samples and the variation of each latency cell that records of format 2 tell, in percent."""
    notes = Footnotes()
    cells = results.of("latency")
    rows = [_row(results, cell, notes) for cell in cells]
    columns = names(
        *("Model", "Runtime", "Batch", "Status", "Processes", "Samples", "Warm-up runs"),
        *("CV inside (%)", "CV between (%)", "Outliers", "Half interval (%)", "Slow-down (%)"),
    )
    return Table(
        "steadiness",
        say("How steady the latencies were"),
        frame((*machine_column(results), *columns), rows),
        names(
            "CV: coefficient of variation, inside the processes (their median) and between the processes' medians. "
            "Outliers: samples further than 3 scaled median absolute deviations from their process' median. Half "
            "interval: half of the run's own 95 % interval against the median. Slow-down: how much slower than at its "
            "best the machine's speed probe was around the worst visit. -: not recorded.",
        ),
        tuple(notes.texts),
        commands(cells),
    )


def _row(results: Results, cell: Record, notes: Footnotes) -> list[object]:
    status = shown_status(results, cell)
    processes = cell.get("processes")
    warmups = [one["warmup_count"] for one in processes or [] if one.get("warmup_count") is not None]
    interval, median = own_interval(cell), cell.get("median_ms")
    half = 100 * (interval[1] - interval[0]) / 2 / median if interval and median else None
    counts = Cell(warmups or None, _range(warmups))
    return [
        *identity(results, cell),
        cell.get("batch"),
        Cell(status, say(status), why(results, cell, notes)),
        None if processes is None else len(processes),
        cell.get("count"),
        counts,
        _percent(cell.get("cv")),
        _percent((cell.get("interval") or {}).get("between_cv")),
        cell.get("outliers"),
        Cell(half, NONE if half is None else f"{half:.2f}"),
        _percent((cell.get("disturbance") or {}).get("slowdown")),
    ]


def _range(counts: list[int]) -> str:
    """`12`, or `12–30` where they differ."""
    if not counts:
        return NONE
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low}–{high}"


def _percent(share: float | None) -> Cell:
    value = None if share is None else 100 * share
    return Cell(value, NONE if value is None else f"{value:.2f}")
