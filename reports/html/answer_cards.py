"""The answer at a glance: per model the fastest cell at batch 1, and how the others stand beside it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from convert.precision.table import FP32
from reports.html.facets import Facets, Tags
from reports.language import say
from reports.load.results import Results, machine_of
from reports.numbers import milliseconds
from reports.tables.answer import BATCH, baseline, is_baseline
from reports.tables.columns import gain, held_accuracy
from reports.tables.standing import label, median, missed_accuracy, ranking, shown_status
from reports.tables.table import Subject
from runtimes.records.kinds import Latency

MOST_BARS = 6


@dataclass(frozen=True)
class Bar:
    """share: the median in percent of the slowest shown. best: the fastest, or one of those that tie."""

    label: str
    text: str
    share: str
    best: bool


@dataclass(frozen=True)
class Card:
    """One model on one machine.

    verdict, winner and text (median in ms) are empty where nothing can be relied on. gain: empty where there is none
    for sure, as in a tie with Paddle. accuracy: its verdict, of a winner in a lower precision. more: cells without a
    bar; Paddle in fp32, which all are compared with, always has one.
    """

    model: str
    machine: str
    seeded: bool
    tags: Tags
    verdict: str = ""
    winner: str = ""
    text: str = ""
    gain: str = ""
    accuracy: str = ""
    bars: list[Bar] = field(default_factory=list)
    more: int = 0


def cards(results: Results, known: Facets) -> list[Card]:
    """One for each model on each machine."""
    found = []
    for model in results.models:
        cells = results.of(Latency, model=model, batch=BATCH)
        for where in dict.fromkeys(map(machine_of, cells)) or [""]:
            card = Card(model, where, results.seeded(model), known.tags(Subject((model,), machine=where)))
            found.append(_filled(results, card, [cell for cell in cells if machine_of(cell) == where]))
    return found


def _filled(results: Results, card: Card, cells: list[Latency]) -> Card:
    verdict, winners = ranking(results, cells)
    if not winners:
        return replace(card, verdict=verdict if verdict == "cannot tell" else "")
    able = sorted((cell for cell in cells if cell.measured and not results.doubt(cell)), key=median)
    shown = able[:MOST_BARS]
    shown += [cell for cell in able[MOST_BARS:] if is_baseline(cell)]
    longest = max(map(median, shown))
    bars = [
        Bar(
            label(results, cell) + (f" ({remark})" if (remark := _remark(results, cell)) else ""),
            milliseconds(cell.median_ms, cell.ci95_ms),
            f"{100 * median(cell) / longest:.4g}",
            verdict.startswith(("fastest", "tie")) and cell in winners,
        )
        for cell in shown
    ]
    first = winners[0]
    base = [] if any(map(is_baseline, winners)) else baseline(results, first)
    return replace(
        card,
        verdict=verdict,
        winner=", ".join(label(results, cell) for cell in winners),
        text=milliseconds(first.median_ms, first.ci95_ms),
        gain=gain(base[0], first).text if base else "",
        accuracy=held_accuracy(results, first).text
        if not verdict.startswith("tie") and first.precision != FP32
        else "",
        bars=bars,
        more=len(able) - len(shown),
    )


def _remark(results: Results, cell: Latency) -> str:
    """What has to be known of a cell's speed, in a word or two."""
    status = shown_status(results, cell)
    return missed_accuracy(results, cell) or ("" if status == "ok" else say(status))
