"""Who is looked at, judged and measured, who falls and who wins: with made-up figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runtimes.pairs import PairRatio
from tests.validate.choice.made_up import Made, latency, runner, throughput
from validate.choice import race
from validate.choice.budget import COST, THROUGHPUT, parse
from validate.choice.race import Decision
from validate.choice.runner import ACCURACY, FINAL, LOOK, Runner


def run(runners: list[Runner], budget: str, steps: Made) -> Decision:
    return race.run(runners, parse(budget), steps)


def test_who_is_beaten_is_neither_judged_nor_measured() -> None:
    slow, fast = runner("paddle int8", 50), runner("ort-cpu fp32", 10)
    steps = Made()
    found = run([slow, fast], "p99<40ms", steps)
    assert found.chosen is fast
    assert (steps.judged, steps.measured) == ([], [["ort-cpu fp32, 4 threads"]])
    assert slow.step == LOOK
    assert slow.fell, "it missed the budget, which is more than being slower"
    assert "misses p99<40ms" in slow.fell


def test_a_slower_one_within_the_budget_is_beaten_and_said_to_be() -> None:
    slow, fast = runner("paddle int8", 30), runner("ort-cpu fp32", 10)
    found = run([slow, fast], "p99<40ms", steps := Made())
    assert found.chosen is fast
    assert steps.judged == []
    assert slow.fell is None
    assert slow.beaten
    assert slow.beaten.startswith("ort-cpu fp32, 4 threads is 200 % faster (")
    assert "paddle int8" in found.verdict


def test_only_who_may_be_faster_is_judged_the_fastest_first() -> None:
    field = [runner("paddle fp32", 10), runner("ort-cpu int8", 6), runner("openvino int8", 5), runner("mnn int8", 20)]
    steps = Made(top1={"openvino int8, 4 threads": False})
    found = run(field, "", steps)
    assert steps.judged == ["openvino int8, 4 threads", "ort-cpu int8, 4 threads"]
    assert found.chosen is field[1]
    assert field[2].step == ACCURACY


def test_a_lowered_precision_that_loses_leaves_it_to_fp32() -> None:
    field = [runner("paddle fp32", 10), runner("ort-cpu int8", 6)]
    found = run(field, "", Made(top1={"ort-cpu int8, 4 threads": False}))
    assert found.chosen is field[0]


def test_who_was_beaten_comes_back_when_the_faster_one_misses_the_budget_in_the_end() -> None:
    fast, slow = runner("ort-cpu fp32", 10), runner("paddle fp32", 20)
    steps = Made(final={fast.name: latency(10.0, tail=9.0)})
    found = run([fast, slow], "p99<50ms", steps)
    assert found.chosen is slow
    assert steps.measured == [[fast.name], [slow.name]]
    assert fast.step == FINAL
    assert fast.fell
    assert "p99<50ms: 90 ms" in fast.fell


def test_a_clear_win_says_by_how_much() -> None:
    fast, slow = runner("ort-cpu fp32", 10), runner("paddle fp32", 10.4)
    steps = Made(final={slow.name: latency(15.0)})
    found = run([fast, slow], "", steps)
    assert found.chosen is fast
    assert found.tied == ()
    assert found.verdict.startswith("ort-cpu fp32, 4 threads beats paddle fp32, 4 threads by 50 % (")
    assert steps.measured == [[fast.name, slow.name]], "side by side"


def test_a_tie_goes_to_the_simpler_one() -> None:
    def tie(*field: Runner) -> Decision:
        return run(list(field), "", Made())

    int8, fp32 = runner("ort-cpu int8", 10), runner("openvino fp32", 10.05)
    found = tie(int8, fp32)
    assert found.chosen is fp32
    assert set(map(id, found.tied)) == {id(int8), id(fp32)}
    assert found.verdict.startswith("ort-cpu int8, 4 threads cannot be told from openvino fp32, 4 threads (its time: +")
    assert found.verdict.endswith("openvino fp32, 4 threads is preferred, since it is FP32")
    many, few = runner("ort-cpu fp32", 10, threads=4), runner("openvino fp32", 10.05, threads=2)
    found = tie(many, few, runner("mnn int8", 10.1))
    assert found.chosen is few
    assert found.verdict.endswith("openvino fp32, 2 threads is preferred, since it takes fewer threads")
    later, first = runner("openvino fp32", 10), runner("ort-cpu fp32", 10.05)
    found = tie(later, first)
    assert found.chosen is first
    assert found.verdict.endswith("the first in the order of runtimes")


@pytest.mark.parametrize(
    ("value", "interval", "said"),
    [
        (1.06, (1.04, 1.08), "mnn is 6 % faster (4 to 8)"),
        (0.8, (0.5, 0.9), "it is 25 % faster than mnn (11 to 100)"),
        (0.85, (0.21, 3.39), "it cannot be told from mnn (its time: -15 %, -79 to +239)"),
    ],
)
def test_who_is_faster_is_said_by_the_sign(value: float, interval: tuple[float, float], said: str) -> None:
    assert race.beside(PairRatio(value, interval, 8), "mnn") == said


def test_turns_side_by_side_say_who_is_faster_and_not_medians_of_whole_runs() -> None:
    first, second = runner("ort-cpu fp32", 10), runner("openvino fp32", 10.05)
    turns = latency(15.0).turns
    found = run([first, second], "", Made(final={first.name: latency(10.0, turns=turns), second.name: latency(10.1)}))
    assert found.chosen is second
    assert found.verdict.startswith("openvino fp32, 4 threads beats ort-cpu fp32, 4 threads by 49 % (")


def test_a_budget_that_nothing_meets_names_the_nearest_and_by_how_much() -> None:
    far, near = runner("paddle fp32", 100), runner("ort-cpu fp32", 55)
    found = run([far, near], "p99<50ms", steps := Made())
    assert found.chosen is None
    assert found.nearest is near
    assert steps.measured == []
    assert found.verdict.startswith(
        "nothing meets the budget; the nearest is ort-cpu fp32, 4 threads: misses p99<50ms: 57.8 ms"
    )


def test_the_nearest_counts_all_that_is_missed() -> None:
    hungry, slow = runner("paddle fp32", 10, memory_mb=3000), runner("ort-cpu fp32", 60)
    found = run([hungry, slow], "p50<50ms, memory<1GB", Made())
    assert found.nearest is slow, "a fifth too slow is nearer than three times too large"


def test_what_was_not_judged_may_meet_the_budget() -> None:
    found = run([runner("ort-cpu int8", 6), runner("paddle fp32", 60)], "p99<50ms", Made(patience=0))
    assert found.verdict.startswith(
        "nothing is known to meet the budget; the nearest is paddle fp32, 4 threads: misses"
    )
    found = run([runner("ort-cpu int8", 6)], "", Made(patience=0))
    assert found.verdict == (
        "nothing is known to meet the budget; the nearest is ort-cpu int8, 4 threads: its accuracy was not judged: no"
        " time was left"
    )


def test_what_failed_falls_with_its_reason() -> None:
    bad, good = runner("ort-cpu fp32", 10), runner("paddle fp32", 20)
    assert bad.look
    bad.look = replace(bad.look, status="refused", reason="parity failed: made up")
    found = run([bad, good], "", Made())
    assert found.chosen is good
    assert bad.fell == "parity failed: made up"
    good.look, good.fell, good.final = bad.look, None, None
    found = run([good], "", Made())
    assert (found.chosen, found.nearest) == (None, None)
    assert "parity failed: made up" in found.verdict


def test_the_time_limit_costs_accuracies_and_says_so() -> None:
    field = [runner("paddle fp32", 10), runner("ort-cpu int8", 6), runner("openvino int8", 5)]
    steps = Made(patience=1, top1={"openvino int8, 4 threads": False})
    found = run(field, "", steps)
    assert found.chosen is field[0]
    assert steps.limited == ["ort-cpu int8, 4 threads was not judged (--minutes)"]
    assert field[1].fell
    assert "no time" in field[1].fell


def test_without_time_there_is_no_second_final_and_what_was_measured_decides() -> None:
    fast, slow = runner("ort-cpu fp32", 10), runner("paddle fp32", 20)
    misses = {fast.name: latency(10.0, tail=9.0)}
    found = run([fast, slow], "p99<50ms", steps := Made(final=misses, finals=1))
    assert (found.chosen, steps.measured) == (None, [[fast.name]])
    assert found.verdict.startswith("nothing is known to meet the budget; the nearest is ")
    assert steps.limited == ["paddle fp32, 4 threads was not measured in the end (--minutes)"]
    fast, second, slow = runner("ort-cpu fp32", 10), runner("openvino fp32", 10.1), runner("paddle fp32", 20)
    found = run([fast, second, slow], "p99<50ms", steps := Made(final=misses, finals=1))
    assert (found.chosen, slow.fell) == (second, None), "it is still beaten"


def test_throughput_is_decided_by_rates() -> None:
    slow, fast = runner("paddle fp32", 1), runner("ort-cpu fp32", 1)
    slow.look, fast.look = throughput(50), throughput(100)
    found = race.run([slow, fast], parse("images/s>=80", THROUGHPUT), Made())
    assert found.chosen is fast
    assert slow.fell
    assert "images/s>=80" in slow.fell


def test_a_cost_is_decided_by_rates_and_limited_in_euros() -> None:
    def field() -> list[Runner]:
        made = [runner("paddle fp32", 1), runner("ort-cpu fp32", 1), runner("openvino fp32", 1)]
        for one, rate in zip(made, (50, 100, 70), strict=True):
            one.look = throughput(rate)
        return made

    slow, fast, second = field()
    found = race.run([slow, fast, second], parse("cost<=4", COST, 0.9), Made())
    assert found.chosen is fast
    assert second.beaten
    assert (
        slow.fell
        == "misses cost<=4: 5 euros per million images, a new measurement up to 5.155 euros per million images"
    )
    slow, fast, second = field()
    none = race.run([slow, fast, second], parse("cost<=2", COST, 0.9), Made())
    assert (none.chosen, none.nearest) == (None, fast)


def test_of_int8_that_ties_the_smoothing_that_is_preferred_is_chosen() -> None:
    field = [runner("ort-cpu int8", 9.95), runner("ort-cpu int8", 10)]
    field[0].smooth, field[0].later = 0.0, 1
    field[1].smooth = 0.5
    assert [one.name for one in field] == [
        "ort-cpu int8 not smoothed, 4 threads",
        "ort-cpu int8 smoothed at 0.5, 4 threads",
    ]
    found = run(field, "", steps := Made())
    assert found.chosen is field[1]
    assert found.verdict.endswith("is preferred, since its smoothing is the one that was preferred")
    assert len(steps.judged) == 2, "each has an accuracy of its own"


def test_the_smoothing_that_is_preferred_is_judged_first() -> None:
    """Also where a look found the other one a little faster, and time is short."""
    field = [runner("paddle fp32", 20), runner("ort-cpu int8", 9), runner("ort-cpu int8", 9.1), runner("mnn int8", 8)]
    field[1].smooth, field[1].later, field[2].smooth = 0.0, 1, 0.5
    lost = {field[3].name: False}
    run(field, "", steps := Made(top1=lost, patience=2))
    assert steps.judged == [field[3].name, field[2].name]
    assert field[1].fell


def test_int8_that_loses_too_much_leaves_the_race_to_the_other_smoothing() -> None:
    field = [runner("ort-cpu fp32", 20), runner("ort-cpu int8", 9), runner("ort-cpu int8", 10)]
    field[1].smooth, field[2].smooth, field[2].later = 0.5, 0.0, 1
    found = run(field, "", Made(top1={field[1].name: False}))
    assert found.chosen is field[2]
    assert field[1].fell
