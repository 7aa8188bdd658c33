"""The answer at a glance: per model the fastest cell at batch 1, and how the others stand beside it."""

from __future__ import annotations

from dataclasses import dataclass, field

from reports.html.rows import Facets, Tags, machine
from reports.language import say
from reports.load.results import MEASURED, Results
from reports.numbers import measured
from reports.tables.answer import BASELINE, BATCH
from reports.tables.cells import accuracy, label, only_wide, ranking
from reports.tables.report import Report
from runtimes.records.store import Record

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


def cards(report: Report, results: Results, known: Facets) -> list[Card]:
    """One for each model on each machine."""
    found = []
    for model in results.models:
        cells = results.of("latency", model=model, batch=BATCH)
        for name in dict.fromkeys(machine(results, cell) for cell in cells):
            found.append(_card(report, results, known, model, name, [c for c in cells if machine(results, c) == name]))
        if not cells:
            found.append(Card(model, "", results.seeded(model), known.tag(model=model)))
    return found


def _card(report: Report, results: Results, known: Facets, model: str, where: str, cells: list[Record]) -> Card:
    tags = known.tag(model=model, machine=where)
    verdict, winners = ranking(results, cells)
    if not winners:
        return Card(model, where, results.seeded(model), tags)
    able = sorted((c for c in cells if c["status"] in MEASURED and not results.doubt(c)), key=lambda c: c["median_ms"])
    shown = able[:MOST_BARS]
    shown += [cell for cell in able[MOST_BARS:] if _is_baseline(cell)]
    longest = max(cell["median_ms"] for cell in shown)
    bars = [
        Bar(
            label(results, cell) + (f" ({mark})" if (mark := _mark(results, cell)) else ""),
            measured(cell["median_ms"], cell.get("ci95_ms")),
            f"{100 * cell['median_ms'] / longest:.4g}",
            verdict in ("fastest", "tie") and cell in winners,
        )
        for cell in shown
    ]
    first = winners[0]
    winner = ", ".join(label(results, cell) for cell in winners) if verdict == "tie" else label(results, first)
    text = measured(first["median_ms"], first.get("ci95_ms"))
    gain = "" if any(_is_baseline(cell) for cell in winners) else _gain(report, model, label(results, first), where)
    lower = verdict != "tie" and first["precision"] != BASELINE["precision"]
    about = accuracy(results, first).text if lower else ""
    hidden = len(able) - len(shown)
    return Card(model, where, results.seeded(model), tags, verdict, winner, text, gain, about, bars, hidden)


def _is_baseline(cell: Record) -> bool:
    return {name: cell[name] for name in BASELINE} == BASELINE


def _mark(results: Results, cell: Record) -> str:
    """What has to be known of a cell's speed, in a word or two."""
    if results.accurate(cell) is False:
        return say("accuracy failed")
    return "" if cell["status"] == "ok" else say("wide") if only_wide(cell) else say(cell["status"])


def _gain(report: Report, model: str, winner: str, machine: str) -> str:
    """The gain over Paddle as the answer's table has it (`1.4×`); empty where it has none."""
    for table in report.tables:
        for row in table.flat().itertuples(index=False, name=None) if table.name == "answer" else ():
            values = [cell.value for cell in row]
            if model in values and winner in values and (not machine or machine in values):
                return next((cell.text for cell in row if cell.text.endswith("×")), "")
    return ""
