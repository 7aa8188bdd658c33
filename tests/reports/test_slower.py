"""A lowered precision that is slower than FP32 for sure is not offered: a status of its own, and no rank."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reports.html.answer_cards import cards
from reports.html.chart_data import drawn, identity
from reports.html.facets import SHOWN_STATUSES, Facets
from reports.load import results
from reports.tables import latency, standing
from reports.tables.answer import answer
from reports.tables.standing import SLOWER
from runtimes.records.kinds import Latency
from tests.reports.shown import texts
from tests.reports.tables.test_busy import turns

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "by turns": ({"turns": turns(200.0)}, {"turns": turns(300.0)}, True),
    "by turns, whatever the medians": ({"turns": turns(200.0)}, {"turns": turns(150.0)}, False),
    "of other threads": ({"turns": turns(200.0), "threads": 1}, {"turns": turns(300.0), "threads": 2}, False),
    "of another device": ({"turns": turns(200.0), "device": "GPU"}, {"turns": turns(300.0)}, False),
}


def found(make: Any, folder: Any, base: dict[str, Any], lowered: dict[str, Any]) -> results.Results:
    """FP32 and int8 on one runtime, whose intervals overlap, and a third one that is slower than both."""
    proofs = [make.parity(precision=one) for one in ("fp32", "int8")] + [make.parity(runtime="paddle")]
    cells = [make.latency(250.0, 60.0, **base), make.latency(260.0, 60.0, precision="int8", **lowered)]
    return results.load(folder(*proofs, *cells, make.latency(900.0, 5.0, runtime="paddle")))


@pytest.mark.parametrize(("base", "lowered", "is_slower"), CASES.values(), ids=CASES)
def test_it_is_slower_than_its_own_fp32_for_sure(
    make: Any, folder: Any, base: dict[str, Any], lowered: dict[str, Any], is_slower: bool
) -> None:
    loaded = found(make, folder, base, lowered)
    (int8,) = loaded.of(Latency, precision="int8")
    assert bool(standing.slower(loaded, int8)) is is_slower
    assert standing.shown_status(loaded, int8) == (SLOWER if is_slower else "ok")
    assert all(standing.slower(loaded, cell) is None for cell in loaded.of(Latency, precision="fp32"))


def test_the_row_says_so_with_its_figure_and_keeps_its_speed(make: Any, folder: Any) -> None:
    loaded = found(make, folder, *CASES["by turns"][:2])
    (row,) = [one for one in texts(latency.detail(loaded)) if one["Runtime"] == "ort-cpu int8"]
    assert (row["Status"], row["Median (ms)"]) == (SLOWER, "260")
    assert "260 (slower than fp32)" in json.dumps(texts(latency.latency(loaded)))
    notes = latency.detail(loaded).footnotes
    assert any(note.startswith("slower than fp32 on the same runtime, for sure: it takes 1.5") for note in notes)


def test_it_wins_and_ties_nothing_even_where_its_fp32_is_not_ranked_first(make: Any, folder: Any) -> None:
    """Its interval overlaps that of the winner, which had no turns with it."""
    proofs = [make.parity(precision=one) for one in ("fp32", "int8")] + [make.parity(runtime="openvino")]
    loaded = results.load(
        folder(
            *proofs,
            make.latency(250.0, 60.0, turns=turns(200.0)),
            make.latency(260.0, 60.0, precision="int8", turns=turns(300.0)),
            make.latency(240.0, 60.0, runtime="openvino"),
        )
    )
    verdict, winners = standing.ranking(loaded, loaded.of(Latency))
    assert (verdict, {(cell.runtime, cell.precision) for cell in winners}) == (
        "tie",
        {("ort-cpu", "fp32"), ("openvino", "fp32")},
    )
    assert "int8" not in json.dumps(texts(answer(loaded)))


def test_who_beats_it_alone_is_the_fastest_and_not_the_only_one(make: Any, folder: Any) -> None:
    base, lowered, _ = CASES["by turns"]
    proofs = [make.parity(precision=one) for one in ("fp32", "int8")]
    cells = [make.latency(250.0, 60.0, **base), make.latency(260.0, 60.0, precision="int8", **lowered)]
    loaded = results.load(folder(*proofs, *cells))
    verdict, winners = standing.ranking(loaded, loaded.of(Latency))
    assert (verdict, [cell.precision for cell in winners]) == ("fastest", ["fp32"])


def test_charts_and_cards_of_the_page_say_so_too(make: Any, folder: Any) -> None:
    loaded = found(make, folder, *CASES["by turns"][:2])
    status = {cell.record.precision: identity(cell)["status"] for cell in drawn(loaded, Latency)}
    assert status == {"fp32": "ok", "int8": SLOWER}
    assert SLOWER in SHOWN_STATUSES
    (card,) = cards(loaded, Facets.of(loaded))
    assert any("int8 (slower than fp32)" in bar.label for bar in card.bars)


def test_an_fp32_whose_accuracy_failed_condemns_nothing(make: Any, folder: Any) -> None:
    base, lowered, _ = CASES["by turns"]
    proofs = [make.parity(precision=one) for one in ("fp32", "int8")]
    cells = [make.latency(250.0, 60.0, **base), make.latency(260.0, 60.0, precision="int8", **lowered)]
    missed = make.accuracy(precision="fp32", passed=False)
    loaded = results.load(folder(*proofs, *cells, missed))
    (int8,) = loaded.of(Latency, precision="int8")
    assert standing.slower(loaded, int8) is None
