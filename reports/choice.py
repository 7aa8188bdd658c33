"""What to ship: the choices within a budget that the results hold, and how each came about."""

from __future__ import annotations

from dataclasses import dataclass, replace

from reports.language import mark, say, stored
from reports.load import reach
from reports.load.results import Results
from reports.tables import columns
from reports.tables.columns import Column, Row, number_column, rows_of, text_column
from reports.tables.table import Entry, Subject, Table, Tone
from runtimes.bench.ceiling.believed import images_per_s
from runtimes.records.contender import Contender, euros_per_million
from runtimes.records.kinds import CHOSEN, Choice

_NOTE = mark(
    "The choice of `vitbench ship`: of those that keep the budget, so that a new measurement keeps it in nine of ten, "
    "the one that is faster by turns side by side; where it is open which is, the simpler one: fp32 before a lowered "
    "precision, fewer threads, the order of runtimes."
)
_LADDER_NOTE = mark(
    "Who misses the budget or is slower than one that keeps it falls early, so that its figures are those of a short "
    "look; accuracy was measured only of those that were still in the race."
)
_EUROS = mark("Euros per million images")
_COST_NOTE = mark(
    "Euros per million images: the euros per hour that `--price` gave, over the images of an hour at the rate that was "
    "measured."
)


def choice(results: Results) -> Table:
    """A row for each choice: what was chosen, why, and what was shown of the budget."""
    rows = rows_of(results, results.of(Choice))
    of_price: list[Column[Row[Choice]]] = [
        number_column("Euros per hour", lambda row: row.record.price_per_hour, "g"),
        number_column(_EUROS, _euros, ".4g"),
    ]
    priced = any(row.record.price_per_hour for row in rows)
    shown = [
        columns.MODEL,
        text_column("Ship", _ship),
        text_column("Threads", lambda row: row.record.threads),
        *(of_price if priced else []),
        text_column("Why", lambda row: stored(_impossible(row) or row.record.verdict or "")),
        text_column("Budget", _kept),
        text_column("Not set in the folder", lambda row: ", ".join(row.record.unset) or None),
        text_column("Limited by time", lambda row: "; ".join(map(stored, row.record.limited)) or None),
    ]
    notes = [_NOTE, *([_COST_NOTE] if priced else [])]
    return columns.build("choice", mark("What to ship"), results, shown, rows, *notes)


def _impossible(row: Row[Choice]) -> str | None:
    return reach.impossible(row.results.environments, row.record)


def _kept(row: Row[Choice]) -> str | None:
    """What was shown of the budget; None of a speed that cannot be true."""
    return None if _impossible(row) else "; ".join(map(stored, row.record.proof))


def _euros(row: Row[Choice]) -> float | None:
    """What a million images cost with the one that was chosen; None of a speed that cannot be true."""
    rate, price = images_per_s(row.record), row.record.price_per_hour
    return euros_per_million(rate, price) if rate and price and not _impossible(row) else None


def _ship(row: Row[Choice]) -> Entry:
    record = row.record
    if _impossible(row):
        return Entry(None, say("unproven"), tone=Tone.BAD)
    if record.status != "ok":
        return Entry(None, say("nothing meets the budget"), tone=Tone.BAD)
    return Entry(record.runtime, _name(record), best=True, tone=Tone.GOOD)


@dataclass(frozen=True)
class LadderRow(Row[Contender]):
    """price: euros per hour that the choice was told; None where it was told none."""

    price: float | None


def ladder(results: Results) -> Table:
    """Everyone who took part in the choices: how far each came, and why it fell."""
    rows = [_row(results, one, each) for one in results.of(Choice) for each in one.contenders]
    priced = any(row.price for row in rows)
    of_price: list[Column[LadderRow]] = [number_column(_EUROS, _euros_of, ".4g")] if priced else []
    shown: list[Column[LadderRow]] = [
        columns.MODEL,
        text_column("Runtime", lambda row: _name(row.record)),
        text_column("Threads", lambda row: row.record.threads),
        number_column("Median (ms)", lambda row: row.record.median_ms, ".3g"),
        number_column("Images/s", lambda row: row.record.images_per_s, ".4g"),
        *of_price,
        number_column("Memory (MB)", _megabytes, ".0f"),
        text_column("Top-1", lambda row: stored(row.record.top1) or None),
        text_column("Came to", lambda row: say(row.record.step)),
        text_column("Outcome", lambda row: _outcome(row.record)),
    ]
    left_out = [
        say("Took no part: {reason}.", reason=stored(each)) for one in results.of(Choice) for each in one.left_out
    ]
    return columns.build("ladder", mark("How it was chosen"), results, shown, rows, _LADDER_NOTE, *left_out)


def _name(record: Choice | Contender) -> str:
    """`ort-cpu int8, not smoothed`."""
    smooth, name = record.smooth, f"{record.runtime} {record.precision}"
    if smooth is None:
        return name
    return f"{name}, {say('smoothed at {strength}', strength=f'{smooth:g}') if smooth else say('not smoothed')}"


def _row(results: Results, made: Choice, one: Contender) -> LadderRow:
    subject = Subject((made.model,), one.runtime, one.precision, machine=made.machine or "")
    return LadderRow(results, subject, list[str](), _shown(results, made, one), made.price_per_hour)


def _euros_of(row: LadderRow) -> float | None:
    rate = row.record.images_per_s
    return euros_per_million(rate, row.price) if rate and row.price else None


def _shown(results: Results, made: Choice, one: Contender) -> Contender:
    """One that took part, without a speed that its machine cannot have. What it ran in is known of the chosen alone."""
    effective = made.effective if one.outcome == CHOSEN else None
    alone = (replace(one, outcome=CHOSEN),)
    subject = replace(made, runtime=one.runtime, precision=one.precision, effective=effective, contenders=alone)
    why = reach.impossible(results.environments, subject)
    return replace(one, median_ms=None, images_per_s=None, outcome=f"unproven: {why}") if why else one


def _megabytes(row: Row[Contender]) -> float | None:
    return None if row.record.peak_memory_bytes is None else row.record.peak_memory_bytes / 1e6


def _outcome(record: Contender) -> Entry:
    chosen = record.outcome == CHOSEN
    return Entry(record.outcome, stored(record.outcome), tone=Tone.GOOD if chosen else Tone.PLAIN)
