"""What is shown while cells are measured: little in a log, time left on a terminal, nothing in between."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from runtimes.bench import describe
from runtimes.bench.plan import overview
from runtimes.bench.plan.matrix import Cell, key
from runtimes.bench.plan.plan import Plan
from runtimes.bench.plan.settings import Policy
from runtimes.bench.schedule import aggregate, display
from runtimes.bench.schedule.display import Display
from runtimes.bench.schedule.outcome import VisitOutcome
from runtimes.bench.worker.numbers import VisitNumbers
from runtimes.records.kinds import Latency, TimedRecord
from runtimes.records.parts import ServerPoint
from tests.runtimes.bench import made_up, on_paper

MACHINE = "m"


@dataclass
class Time:
    s: float = 1000.0

    def __call__(self) -> float:
        return self.s


def record(cell: Cell, **fields: Any) -> TimedRecord:
    made = aggregate.blank(cell, key(cell, MACHINE), Policy())
    if isinstance(made, Latency):
        fields = {"median_ms": 12.34, "ci95_ms": (12.0, 12.7), "count": 80, **fields}
    return replace(made, **{"status": "ok", "reason": None, **fields})


def cells(count: int) -> list[Cell]:
    return [on_paper.cell(batch=batch) for batch in range(1, count + 1)]


def took(seconds: float, numbers: VisitNumbers | None = None, **fields: Any) -> VisitOutcome:
    return VisitOutcome(numbers, seconds=seconds, **fields)


def quiet(plan: Plan, now: Time) -> Display:
    return Display(plan, MACHINE, Console(file=io.StringIO()), now=now)


def test_time_left_is_what_the_plan_says_until_more_is_known() -> None:
    one, two = cells(2)
    now = Time()
    clock = quiet(on_paper.plan(one, two, visit_s=10, parity_s=30), now)
    assert (clock.elapsed_s, clock.left_s) == (0, 70)
    now.s += 20
    assert clock.left_s == 50, "parity goes on as expected"
    clock.visit([one], 0)
    assert clock.left_s == 40, "and is over now"
    clock.visited(one, took(10), None)
    assert clock.left_s == 30
    clock.visited(two, took(10), None)
    assert clock.left_s == 20


def test_time_left_follows_what_visits_took() -> None:
    clock = quiet(on_paper.plan(*cells(4), visit_s=10), Time())
    for cell in cells(4):
        clock.visited(cell, took(20), None)
    assert clock.left_s == pytest.approx(4 * 10 * (4 * 20 + 5) / (4 * 10 + 5))


def test_a_cell_may_come_again_until_its_record_is_there() -> None:
    (cell,) = cells(1)
    clock = quiet(on_paper.plan(cell, visit_s=10), Time())
    for _ in range(5):
        clock.visited(cell, took(10), None)
    assert clock.left_s == 10
    clock.record(record(cell))
    assert clock.left_s == 0


def test_a_cell_that_was_refused_takes_no_time() -> None:
    one, two = cells(2)
    clock = quiet(on_paper.plan(one), Time())
    clock.record(record(two, status="refused", reason="too large", median_ms=None))
    clock.record(record(one, key=None))
    assert clock.left_s == 20


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 1e6)), max_size=30))
def test_time_left_is_never_below_zero_and_always_a_number(visits: list[tuple[int, float]]) -> None:
    planned = cells(3)
    clock = quiet(on_paper.plan(*planned, visit_s=1e-9), Time())
    for index, seconds in visits:
        clock.visited(planned[index], took(seconds), None)
        assert 0 <= clock.left_s < float("inf")


def follow(console: Console) -> Display:
    """A run of two cells: two rounds, one visit of which was disturbed, and a wait."""
    one, two = cells(2)
    refused = on_paper.cell(batch=9)
    plan = on_paper.plan(one, two, refused=((refused, "too large"),), parity_s=30)
    threads = threading.active_count()
    with display.shown(plan, MACHINE, console) as watch:
        watch.record(record(refused, status="refused", reason="too large", median_ms=None))
        watch.parity("parity of vit on ort-cpu")
        for number in range(2):
            for cell in (two, one):
                watch.visit([cell], number)
                assert threading.active_count() == threads, "nothing moves while a visit is measured"
                watch.waited(1.5)
                disturbed = cell is two and number > 0
                found = took(10, programs={"firefox": 0.38, "cc1plus": 0.12} if disturbed else {})
                watch.visited(cell, found, "others took 30% of the processor" if disturbed else None)
        watch.record(record(two, status="unstable", reason="loud", ci95_ms=None))
        watch.record(record(one))
    return watch


def test_a_log_gets_a_line_for_each_record_and_phase_and_for_who_disturbs() -> None:
    text = io.StringIO()
    watch = follow(Console(file=text, width=30))
    assert text.getvalue().splitlines() == [
        "vit fp32 on ort-cpu, batch 9, 2 threads: refused: too large",
        "parity of vit on ort-cpu",
        "round 1 of 2, about 40 s left",
        "round 2 of 2, about 20 s left",
        "other programs take the processor (firefox 38 %, cc1plus 12 % of a core): the run goes on, and marks what it"
        " cannot tell",
        "vit fp32 on ort-cpu, batch 2, 2 threads: median 12.3 ms (too few for an interval), 80 samples, unstable: loud",
        "vit fp32 on ort-cpu, batch 1, 2 threads: median 12.3 ms [12.0, 12.7], 80 samples",
    ]
    assert watch.summary()[-1] == (
        "1 of 4 visits failed or were disturbed; at most these took of a core meanwhile: firefox 38 %, cc1plus 12 %."
        " RESUME=1 (--resume) measures again what was disturbed, --patience waits for a quiet machine."
    )


def test_the_summary_says_where_the_time_went_and_who_it_was() -> None:
    """Of each visit's 10 s 2 are warm-up, 5 samples and 1 of no sample in its turns; 4 s went by somewhere else."""
    one, two = cells(2)
    now = Time()
    watch = quiet(on_paper.plan(one, two, parity_s=30), now)
    watch.parity("parity of vit on ort-cpu")
    now.s += 30
    for number in range(2):
        watch.visit([one, two], number)
        now.s += 22
        for cell, program in ((one, "firefox"), (two, "cc1plus")):
            watch.waited(1.0)
            measured = made_up.numbers([1000.0] * 5, warmup_ms=[2000.0])
            programs = {program: 0.2 + 0.1 * number, "idle-looking": 0.04, "third": 0.1, "fourth": 0.05}
            outcome = took(10, numbers=measured, programs=programs, uncounted_s=1.0)
            watch.visited(cell, outcome, "busy" if number else None)
    now.s += 4
    spent, who = watch.summary()
    assert spent == (
        "1 min 18 s: parity 30 s, loading 8 s, warm-up 8 s, samples 20 s, first inferences of turns 4 s,"
        " waiting for the machine 4 s, the rest 4 s"
    )
    assert who.startswith(
        "2 of 4 visits failed or were disturbed; at most these took of a core meanwhile:"
        " firefox 30 %, cc1plus 30 %, third 10 %. "
    )


@pytest.mark.parametrize(
    "table",
    [
        {"streams": 2, "points": [], "rates_s": 40.0},  # two streams at once: 8 s of samples in 4 s
        {"images_per_s": 3.0, "duration_s": 44.0},
    ],
)
def test_what_a_server_and_several_streams_measure_is_no_loading(table: dict[str, Any]) -> None:
    (cell,) = cells(1)
    now = Time()
    watch = quiet(on_paper.plan(cell), now)
    watch.visit([cell], 0)
    now.s += 50
    watch.visited(cell, took(50, made_up.numbers([1000.0] * 8, warmup_ms=[2000.0], **table)), None)
    assert watch.summary() == ["50 s: loading 4 s, warm-up 2 s, samples 44 s"]


def test_time_left_counts_one_visit_to_a_server() -> None:
    one, two = on_paper.cell(mode="server", mode_options={"percentile": 99}), on_paper.cell(batch=2)
    plan = on_paper.plan(one, two)
    costs = tuple(replace(cost, visits=count) for cost, count in zip(plan.estimate.costs, (1, 2), strict=True))
    plan = replace(plan, estimate=replace(plan.estimate, costs=costs))
    assert quiet(plan, Time()).left_s == sum(cost.seconds for cost in costs)
    assert overview.totals(plan)[0].startswith("2 cells, 1 process each at least")


def test_a_disturbed_run_of_unknown_programs_names_none() -> None:
    (cell,) = cells(1)
    watch = quiet(on_paper.plan(cell), Time())
    watch.visited(cell, took(10), "it failed")
    assert watch.summary()[0].startswith("1 of 1 visits failed or were disturbed. RESUME=1")


def test_who_it_was_is_said_while_it_happens() -> None:
    (cell,) = cells(1)
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=200, color_system=None)
    with display.shown(on_paper.plan(cell), MACHINE, console) as watch:
        watch.visited(cell, took(10, programs={"firefox": 0.38}), "others took 30%")
    assert "others took 30% (firefox 38 %)" in text.getvalue()


def test_a_log_names_who_disturbs_now_and_then_only() -> None:
    (cell,) = cells(1)
    text, now = io.StringIO(), Time()
    watch = Display(on_paper.plan(cell), MACHINE, Console(file=text, width=200), now=now)
    for _ in range(9):
        now.s += 20
        watch.visited(cell, took(10, programs={"firefox": 0.38}), "others took 30%")
        watch.visited(cell, took(10, programs={"firefox": 0.38}), None)
    assert text.getvalue().count("(firefox 38 % of a core)") == 3


def test_cells_that_have_their_turns_together_are_one_line() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=200, color_system=None)
    with display.shown(on_paper.plan(*cells(3)), MACHINE, console) as watch:
        watch.visit(cells(3), 0)
    assert "round 1 of 2: vit fp32 on ort-cpu, 2 threads, batch 1 and 2 more in turns" in text.getvalue()


def test_a_log_mentions_rounds_beyond_the_planned_ones_now_and_then_only() -> None:
    (cell,) = cells(1)
    text, now = io.StringIO(), Time()
    watch = Display(on_paper.plan(cell), MACHINE, Console(file=text), now=now)
    for number in range(12):
        watch.visit([cell], number)
        watch.visited(cell, took(10), None)
        now.s += 15
    shown = [line.split(",")[0] for line in text.getvalue().splitlines()]
    assert shown == ["round 1 of 2", "round 2 of 2", "round 6", "round 10"]


def test_nothing_to_tell_is_no_line() -> None:
    with display.shown(on_paper.plan(*cells(1)), MACHINE, Console(file=io.StringIO())) as watch:
        assert watch.summary() == []


def test_a_terminal_shows_what_is_done_and_what_is_left() -> None:
    text = io.StringIO()
    follow(Console(file=text, force_terminal=True, width=150, color_system=None))
    shown = text.getvalue()
    assert "1/3" in shown
    assert "about 40 s left" in shown
    assert "round 2 of 2: vit fp32 on ort-cpu, 2 threads, batch 2" in shown
    assert "others took 30% of the processor" in shown
    assert "batch 1, 2 threads: median 12.3 ms [12.0, 12.7], 80 samples" in shown
    assert "round 1 of 2, about" not in shown, "that is a log's line"


def test_a_long_reason_leaves_room_for_the_time_left() -> None:
    (cell,) = cells(1)
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100, color_system=None)
    with display.shown(on_paper.plan(cell), MACHINE, console) as watch:
        watch.visited(cell, took(10), "disturbed " * 30)
    assert "about 10 s left" in text.getvalue()


def test_brackets_in_a_reason_are_no_markup() -> None:
    (cell,) = cells(1)
    for terminal in (False, True):
        text = io.StringIO()
        console = Console(file=text, force_terminal=terminal, width=150, color_system=None)
        with display.shown(on_paper.plan(cell), MACHINE, console) as watch:
            watch.visit([cell], 0)
            watch.visited(cell, took(1, programs={"[/red]": 0.5}), "[/red] broke")
            watch.record(record(cell, status="failed", reason="[/red] broke", median_ms=None))
        assert "failed: [/red] broke" in text.getvalue()


@pytest.mark.parametrize(
    ("mode", "fields", "expected"),
    [
        ("throughput", {"images_per_s": None, "status": "failed", "reason": "crashed"}, "failed: crashed"),
        (
            "throughput",
            {"images_per_s": 81.26, "ci95_images_per_s": (80.0, 82.5), "batch": 4, "streams": None},
            "81.3 images/s [80.0, 82.5] at batch 4, streams 1",
        ),
        ("server", {"points": (), "status": "failed", "reason": "crashed"}, "failed: crashed"),
        (
            "server",
            {"points": (ServerPoint(),), "qps_max": 7.25, "percentile": 99, "latency_bound_ms": 300.0},
            "7.2 requests/s with p99 within 300 ms",
        ),
        (
            "server",
            {"points": (ServerPoint(),), "qps_max": None, "percentile": 90, "latency_bound_ms": 5.0},
            "no rate with p90 within 5 ms",
        ),
    ],
)
def test_outcomes_of_the_other_modes(mode: str, fields: dict[str, Any], expected: str) -> None:
    assert describe.outcome(record(on_paper.cell(mode=mode), **fields)) == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (200, "3 min 20 s"), (3600, "1 h"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert describe.duration(seconds) == text
