"""What may be said of one measured cell: its name, its status, what stands under it, and how it ranks among others."""

from __future__ import annotations

from collections.abc import Sequence

from reports.frames import Cell, Footnotes, ran_as, runtime_name, status_note
from reports.language import mark, say
from reports.numbers import measured, overlap
from reports.results import MEASURED, Results
from runtimes.bench.store import Record

BATCH_NOTE = mark("The latency of a batch is the time of the whole batch: it is never divided by the number of images.")
SPREAD_NOTE = mark(
    "Intervals are 95 % confidence intervals of the median; a number has the digits that its interval carries."
)


def ranking(results: Results, cells: list[Record]) -> tuple[str, list[Record]]:
    """A verdict over cells of one machine, model and batch, and the cells that it is about.

    "fastest": one, whose interval overlaps no other; "tie": all that overlap the lowest median's, which stands first;
    "the only one": nothing to compare it with; "none".
    """
    able = [cell for cell in cells if (cell["status"] == "ok" or only_wide(cell)) and not results.doubt(cell)]
    able.sort(key=lambda cell: float(cell["median_ms"]))
    if len(able) < 2:
        return ("the only one" if able else "none"), able
    close = [cell for cell in able if overlap(able[0].get("ci95_ms"), cell.get("ci95_ms"))]
    return ("tie", close) if len(close) > 1 else ("fastest", able[:1])


def subjects(results: Results) -> list[tuple[str, str]]:
    """(machine, model) of every model that a machine has a record of. Machines are never ranked against each other."""
    pairs = [(record["machine"], record["model"]) for record in results.records]
    return sorted(dict.fromkeys(pairs), key=lambda pair: (results.models.index(pair[1]), pair[0]))


def only_wide(cell: Record) -> bool:
    """Whether an unstable latency is so only because its interval is wider than was asked for.

    Nothing disturbed it and each of its processes got steady: its wide interval is honest, so it may be ranked by it.
    Records of format 1 have no target and never are.
    """
    interval, target, median = cell.get("ci95_ms"), cell.get("target"), cell.get("median_ms")
    if cell["status"] != "unstable" or cell.get("disturbed") or not (interval and target and median):
        return False
    steady = all(one.get("steady") is not False for one in cell.get("processes") or [])
    return steady and bool((interval[1] - interval[0]) / 2 > target * median)


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
            texts.append(say("{status}: {reason}", status=say("unproven"), reason=doubt))
        if effective.get("precision") not in (None, cell["precision"]):
            texts.append(say("asked for {asked}, ran as {ran}", asked=cell["precision"], ran=ran_as(cell).text))
        if effective.get("device") == "CPU" and device != "CPU":
            texts.append(say("asked for {device}, ran on the CPU", device=device))
    return tuple(notes.number(text) for text in texts)


def label(results: Results, cell: Record) -> str:
    """Runtime and precision; the threads too where the results hold several numbers of them."""
    name = runtime_name(cell)
    threads = cell.get("threads") or say("default")
    return say("{name}, {threads} threads", name=name, threads=threads) if results.several_threads else name


def number(value: float | None, interval: Sequence[float] | None = None) -> Cell:
    """A measured number with the digits that its 95 % interval carries."""
    return Cell(value, measured(value, interval))


def gain(base: Record, cell: Record, notes: tuple[int, ...] = ()) -> Cell:
    """How many times faster a latency is than another. Its digits are those that both intervals together carry."""
    value, own, its = base["median_ms"] / cell["median_ms"], cell.get("ci95_ms"), base.get("ci95_ms")
    interval = (its[0] / own[1], its[1] / own[0]) if own and its and own[0] > 0 else None
    return Cell(value, f"{measured(value, interval)}×", notes)
