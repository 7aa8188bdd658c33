"""What may be said of one measured cell: its name, its status, what stands under it, and how it ranks among others."""

from __future__ import annotations

from collections.abc import Sequence

from reports.frames import Cell, Footnotes, ran_as, runtime_name, status_note
from reports.numbers import measured, overlap
from reports.results import MEASURED, Results
from runtimes.bench.store import Record

BATCH_NOTE = "The latency of a batch is the time of the whole batch: it is never divided by the number of images."
SPREAD_NOTE = (
    "Intervals are 95 % confidence intervals of the median; a number has the digits that its interval carries."
)


def ranking(results: Results, cells: list[Record]) -> tuple[str, list[Record]]:
    """A verdict over cells of one model and batch, and the cells that it is about.

    "fastest": one, whose interval overlaps no other; "tie": all that overlap the lowest median's, which stands first;
    "the only one": nothing to compare it with; "none".
    """
    able = [cell for cell in cells if cell["status"] == "ok" and not results.doubt(cell)]
    able.sort(key=lambda cell: float(cell["median_ms"]))
    if len(able) < 2:
        return ("the only one" if able else "none"), able
    close = [cell for cell in able if overlap(able[0].get("ci95_ms"), cell.get("ci95_ms"))]
    return ("tie", close) if len(close) > 1 else ("fastest", able[:1])


def shown_status(results: Results, cell: Record) -> str:
    """A cell's status, or "unproven" where it was measured and its parity did not pass."""
    return "unproven" if cell["status"] in MEASURED and results.doubt(cell) else str(cell["status"])


def why(results: Results, cell: Record, notes: Footnotes) -> tuple[int, ...]:
    """Footnotes of what a reader must know about a cell: why it has no number, or that it ran as something else."""
    texts = []
    if cell["status"] != "ok":
        texts.append(status_note(cell))
    if cell["status"] in MEASURED:
        doubt, effective, device = results.doubt(cell), cell["effective"] or {}, cell["device"] or "CPU"
        if doubt:
            texts.append(f"unproven: {doubt}")
        if effective.get("precision") not in (None, cell["precision"]):
            texts.append(f"asked for {cell['precision']}, ran as {ran_as(cell).text}")
        if effective.get("device") == "CPU" and device != "CPU":
            texts.append(f"asked for {device}, ran on the CPU")
    return tuple(notes.number(text) for text in texts)


def label(results: Results, cell: Record) -> str:
    """Runtime and precision; the threads too where the results hold several numbers of them."""
    name = runtime_name(cell)
    return f"{name}, {cell.get('threads') or 'default'} threads" if results.several_threads else name


def number(value: float | None, interval: Sequence[float] | None = None) -> Cell:
    """A measured number with the digits that its 95 % interval carries."""
    return Cell(value, measured(value, interval))
