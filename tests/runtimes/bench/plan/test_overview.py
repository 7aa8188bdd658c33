"""A plan as people read it."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

from rich.console import Console

from runtimes.bench.plan import overview
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.plan.plan import CellCost
from tests.runtimes.bench import on_paper


def _cells(count: int) -> list[Cell]:
    return [on_paper.cell(batch=batch) for batch in range(1, count + 1)]


def drawn(plan: Any) -> str:
    text = io.StringIO()
    console = Console(file=text, width=160)
    console.print(overview.table(plan))
    for line in overview.totals(plan):
        console.print(line, soft_wrap=True)
    return text.getvalue()


def test_a_plan_in_a_table_has_a_row_for_cells_that_differ_in_batch_only() -> None:
    refused = on_paper.cell(on=on_paper.runtime("mnn"))
    found = on_paper.cell(mode="throughput", mode_options={"batches": [1, 8]})
    plan = on_paper.plan(*_cells(2), found, refused=((refused, "too large"),), parity_s=5)
    lines = drawn(plan).splitlines()
    (latency,) = (line for line in lines if "latency" in line)
    assert "1, 2" in latency
    assert "40 s" in latency
    assert "1.0 GiB" in latency
    assert any("among 1, 8" in line for line in lines)
    assert lines[-2:] == [
        "3 cells, 2 processes each at least: about 1 min 5 s, 5 s of it for parity; at the peak 1.0 GiB of memory of"
        " 4.0 GiB free",
        "refused: vit fp32 on mnn, 2 threads, batch 1: too large",
    ]


def test_a_plan_says_what_is_known_and_what_is_there_already() -> None:
    plan = on_paper.plan(*_cells(2))

    def told(*costs: CellCost) -> str:
        return drawn(replace(plan, estimate=replace(plan.estimate, costs=costs, disk_bytes=350 << 20)))

    stored, known = CellCost(0, 0, 0, 0, "stored"), CellCost(1, 1, 1, 350 << 20, "record")
    assert "(2 of 2 known from earlier records)" in told(stored, known)
    assert "; 350 MiB more on disk" in told(stored, known)
    assert "stored" in told(stored, stored)
    assert "\n1 cell, 1 process each at least:" in drawn(on_paper.plan(*_cells(1), processes=1))


def test_a_plan_says_what_a_percentile_takes_and_where_there_is_no_time_for_it() -> None:
    plan = on_paper.plan(on_paper.cell(mode="server", mode_options={"percentile": 99}))
    assert "server: p99 needs 662 requests at each rate\n" in drawn(plan)
    short = replace(plan, effort=replace(plan.effort, max_s=20.0))
    assert "662 requests at each rate; in 20 s it is carried from 33.1 requests/s on (--max-seconds)\n" in drawn(short)


def test_a_plan_says_that_the_time_of_a_server_is_guessed_where_nothing_was_measured_there() -> None:
    plan = on_paper.plan(on_paper.cell(mode="server", mode_options={"percentile": 99}))
    guessed = "server: how fast vit fp32 on ort-cpu, 2 threads is, and so how long it takes, is guessed"
    assert guessed in drawn(plan)
    (cost,) = plan.estimate.costs
    known = replace(plan, estimate=replace(plan.estimate, costs=(replace(cost, source="record"),)))
    assert "guessed" not in drawn(known)
