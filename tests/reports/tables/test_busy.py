"""The answer of a machine on which other programs ran: ranked by turns side by side, with who it was, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reports import faster
from reports.export.anonymous import Cleaner
from reports.load import results
from reports.tables import latency, standing
from reports.tables.answer import answer
from runtimes.records import reading
from runtimes.records.kinds import Latency
from tests.reports.shown import bold, texts

RUNTIMES = {"paddle": 300.0, "openvino": 200.0, "ort-cpu": 215.0}
BUSY = "other processes took 40% of the processor meanwhile"


def turns(ms: float, met: float = 0.0, table: str = "t", drift: float = 1.0) -> list[dict[str, Any]]:
    """Six turns in which the machine becomes slower by half, for all that are measured."""
    return [
        {"name": f"{table}{process}.{number}", "ms": ms * drift * (1 + number / 4), "met": met}
        for process in (1, 2)
        for number in range(3)
    ]


def found(make: Any, folder: Any, met: float = 0.0, **fields: Any) -> results.Results:
    """Three runtimes whose medians say nothing: their intervals overlap."""
    cells = [
        make.latency(250.0 + at, 60.0, runtime=name, turns=turns(ms, met), undisturbed=12, **fields)
        for at, (name, ms) in enumerate(RUNTIMES.items())
    ]
    return results.load(folder(*(make.parity(runtime=name) for name in RUNTIMES), *cells))


def test_turns_decide_and_not_the_medians(make: Any, folder: Any) -> None:
    loaded = found(make, folder)
    (row,) = texts(answer(loaded))
    assert (row["Verdict"], row["Runtime"], row["Gain over paddle fp32"]) == ("fastest", "openvino fp32", "1.50×")
    assert bold(latency.latency(loaded)) == ["250"]


def test_what_both_met_falls_out(make: Any, folder: Any) -> None:
    base, cell = found(make, folder).of(Latency)[:2]
    gain = faster.faster(base, cell)
    assert gain
    assert gain.value == pytest.approx(1.5)
    assert gain.paired
    assert gain.sure


def test_a_busy_machine_has_an_answer_and_says_who_it_was(make: Any, folder: Any) -> None:
    heavy = {"foreign_load": 0.4, "programs": {"firefox": 0.38, "cc1plus": 0.12}}
    fields = {"undisturbed": 0, "status": "unstable", "disturbed": BUSY, "reason": BUSY, "disturbance": heavy}
    cells = [make.latency(250.0, 60.0, runtime=name, turns=turns(ms, 0.2), **fields) for name, ms in RUNTIMES.items()]
    loaded = results.load(folder(*(make.parity(runtime=name) for name in RUNTIMES), *cells))
    table = answer(loaded)
    rows = texts(table)
    assert [(row["Verdict"], row["Runtime"]) for row in rows] == [("fastest, on a busy machine", "openvino fp32")]
    (note,) = [note for note in table.notes if "busy while it was measured" in note]
    assert "firefox 38 %, cc1plus 12 % of a core" in note
    assert "--resume" in note
    assert "250 (unstable)" in json.dumps(texts(latency.latency(loaded)))


def test_where_nothing_can_be_told_nothing_is_ranked(make: Any, folder: Any) -> None:
    """Four busy loops on two cores: all waited longer than they computed."""
    loaded = found(make, folder, met=1.5, status="unstable", disturbed=BUSY, reason=BUSY)
    (row,) = texts(answer(loaded))
    assert (row["Verdict"], row["Runtime"]) == ("cannot tell", "-")
    assert any("too busy to tell which is the fastest" in note for note in answer(loaded).footnotes)
    assert bold(latency.latency(loaded)) == []


def test_turns_of_two_runs_are_no_pairs(make: Any, folder: Any) -> None:
    cells = [
        make.latency(median, 1.0, runtime=name, turns=turns(ms))
        for (name, ms), median in zip(RUNTIMES.items(), (300.0, 301.0, 302.0), strict=True)
    ]
    proofs = [make.parity(runtime=name) for name in RUNTIMES]
    days = zip(("monday", "tuesday", "wednesday"), cells, strict=True)
    loaded = results.load([folder(*proofs, cell, name=day) for day, cell in days])
    gains = [faster.faster(loaded.of(Latency)[0], cell) for cell in loaded.of(Latency)[1:]]
    assert not any(gain and gain.paired for gain in gains)


def test_one_with_a_number_is_never_alone_beside_others_that_have_one(make: Any, folder: Any) -> None:
    cells = [
        make.latency(300.0, runtime="paddle"),
        make.latency(200.0, runtime="openvino", status="unstable", disturbed=BUSY, reason=BUSY),
    ]
    loaded = results.load(folder(*(make.parity(runtime=name) for name in ("paddle", "openvino")), *cells))
    verdict, winners = standing.ranking(loaded, loaded.of(Latency))
    assert verdict == "tie, on a busy machine"
    assert {cell.runtime for cell in winners} == {"paddle", "openvino"}


def test_an_export_names_no_program(make: Any) -> None:
    record = make.latency(disturbance={"foreign_load": 0.4, "programs": {"secret-tool": 0.5}})
    assert "secret-tool" not in json.dumps(Cleaner(frozenset()).record(reading.from_table(record), {}))


def test_what_was_measured_at_different_times_is_as_far_apart_as_runs_are(make: Any, folder: Any) -> None:
    """A cell that --resume measured again has no turns with the others: the run's own narrow intervals do not hold."""
    cells = [
        make.latency(
            median, 6.0, run_ci95_ms=[median - 1.5, median + 1.5], runtime=name, turns=turns(median, table=name)
        )
        for name, median in (("ort-cpu", 100.0), ("openvino", 104.0))
    ]
    loaded = results.load(folder(*(make.parity(runtime=name) for name in ("ort-cpu", "openvino")), *cells))
    assert standing.ranking(loaded, loaded.of(Latency))[0] == "tie"


def test_where_nobody_knows_what_a_turn_met_a_disturbed_cell_is_busy(make: Any, folder: Any) -> None:
    """As without Linux's counters: turns say nothing of who was disturbed, and prove nothing then."""
    fields = {"status": "unstable", "disturbed": BUSY, "reason": BUSY}
    cells = [
        make.latency(median, 1.0, runtime=name, turns=turns(median), **fields)
        for name, median in (("ort-cpu", 100.0), ("openvino", 110.0))
    ]
    loaded = results.load(folder(*(make.parity(runtime=name) for name in ("ort-cpu", "openvino")), *cells))
    assert standing.ranking(loaded, loaded.of(Latency))[0] == "tie, on a busy machine"
