"""What may be said of one measured cell: its name, its status, what stands under it, and how it ranks among others."""

from __future__ import annotations

from collections.abc import Sequence

from reports.language import mark, say
from reports.load.results import MEASURED, Results
from reports.numbers import NONE, measured, overlap, own_interval, rivals
from reports.tables.frames import Cell, Footnotes, ran_as, runtime_name, status_note
from runtimes.records.store import Record

BATCH_NOTE = mark("The latency of a batch is the time of the whole batch: it is never divided by the number of images.")
_SPREAD_NOTE = mark(
    "Intervals are 95 % confidence intervals of the median; a number has the digits that its interval carries."
)
_ACROSS_RUNS_NOTE = mark(
    "Intervals (95 %) say where another run on the same machine would find the median; a number has the digits that "
    "its interval carries. Which cell of a run is faster is decided by the run's own, narrower intervals: its cells "
    "met the same machine."
)


def spread_note(results: Results) -> str:
    """What the intervals of latencies are, to be translated; records made before runs were told apart have those of a
    run alone."""
    across = any(cell.get("run_ci95_ms") for cell in results.of("latency"))
    return _ACROSS_RUNS_NOTE if across else _SPREAD_NOTE


def ranking(results: Results, cells: list[Record]) -> tuple[str, list[Record]]:
    """A verdict over cells of one machine, model and batch, and the cells that it is about.

    "fastest": one, whose interval overlaps no other; "tie": all that overlap the lowest median's, which stands first;
    "the only one": nothing to compare it with; "none". A cell whose accuracy did not hold takes no part.
    """
    able = [cell for cell in _sound(results, cells) if results.accurate(cell) is not False]
    if len(able) < 2:
        return ("the only one" if able else "none"), able
    close = [cell for cell in able if overlap(*rivals(able[0], cell))]
    return ("tie", close) if len(close) > 1 else ("fastest", able[:1])


def inaccurate(results: Results, cells: list[Record]) -> list[Record]:
    """The cells that would take part in a ranking, had their accuracy held; the fastest first."""
    return [cell for cell in _sound(results, cells) if results.accurate(cell) is False]


def _sound(results: Results, cells: list[Record]) -> list[Record]:
    """The cells whose speed can be relied on; the fastest first."""
    able = [cell for cell in cells if (cell["status"] == "ok" or only_wide(cell)) and not results.doubt(cell)]
    return sorted(able, key=lambda cell: float(cell["median_ms"]))


def accuracy(results: Results, cell: Record, detail: str = "") -> Cell:
    """Whether accuracy held for a cell: passed, with some detail behind it, or failed, or not measured.

    "-" where it was measured and says nothing: of seeded weights, or without a reference.
    """
    accurate = results.accurate(cell)
    if accurate is None:
        return Cell(None, NONE if results.accuracies(cell) else say("not measured"))
    return Cell(True, f"{say('passed')}{detail}") if accurate else Cell(False, say("failed"))


def accuracy_note(results: Results, cell: Record) -> str:
    """Why the accuracy of a cell did not hold, in a sentence."""
    failed = next(record for record in results.accuracies(cell) if record.get("passed") is False)
    top1, reference, published = (failed.get(name) for name in ("top1", "reference_top1", "published_top1"))
    if failed["reason"] or top1 is None or (reference is None and published is None):
        return say("accuracy failed: {reason}", reason=failed["reason"] or say("no reason recorded"))
    # Held against the published figure too, it may fail that one alone.
    if reference is None or (published is not None and top1 >= failed.get("keep", 1) * reference):
        return say("accuracy failed: top-1 is {top1:.4f}, published is {published:.4f}", top1=top1, published=published)
    return say("accuracy failed: top-1 is {top1:.4f}, on the reference {reference:.4f}", top1=top1, reference=reference)


def subjects(results: Results) -> list[tuple[str, str]]:
    """(machine, model) of every model that a machine has a record of. Machines are never ranked against each other."""
    pairs = [(record["machine"], record["model"]) for record in results.records]
    return sorted(dict.fromkeys(pairs), key=lambda pair: (results.models.index(pair[1]), pair[0]))


def only_wide(cell: Record) -> bool:
    """Whether an unstable latency is so only because its interval is wider than was asked for.

    Nothing disturbed it and each of its processes got steady: its wide interval is honest, so it may be ranked by it.
    Records of format 1 have no target and never are.
    """
    interval, target, median = own_interval(cell), cell.get("target"), cell.get("median_ms")
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
        if results.accurate(cell) is False:
            texts.append(accuracy_note(results, cell))
    crashes = cell.get("crashes") or []
    texts += [say("a process crashed and was replaced: {reason}", reason=reason) for reason in crashes]
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
    value, (its, own) = base["median_ms"] / cell["median_ms"], rivals(base, cell)
    interval = (its[0] / own[1], its[1] / own[0]) if own and its and own[0] > 0 else None
    return Cell(value, f"{measured(value, interval)}×", notes)
