"""The verdict on busy runs, from answers that are made up."""

from __future__ import annotations

from dataclasses import replace

from scripts.busy_machine import Answer, Score, scores, truth


def answer(openvino: float | None, paddle: float | None, *winners: str, verdict: str = "fastest") -> Answer:
    interval = {} if paddle is None else {"paddle": (0.9 * paddle, 1.1 * paddle)}
    return Answer(verdict, winners, {"openvino": openvino}, {"paddle": paddle, "openvino": None}, interval)


QUIET = truth([answer(1.4, 300.0, "openvino"), answer(1.5, 310.0, "openvino"), answer(1.6, 290.0, "openvino")])


def test_the_truth_is_the_middle_of_quiet_runs() -> None:
    assert (QUIET.winners, QUIET.gains, QUIET.medians["paddle"]) == (("openvino",), {"openvino": 1.5}, 300.0)
    assert truth([answer(0.8, 300.0, "paddle")]).winners == ("paddle",)


def test_each_answer_is_held_against_it() -> None:
    found = scores([answer(1.55, 310.0, "paddle", "openvino"), answer(1.7, 360.0, "paddle")], QUIET, [QUIET, QUIET])
    assert [str(score) for score in found.values()] == ["1/2", "1/2", "1/2", "1/2"]


def test_a_median_is_held_against_the_quiet_run_beside_it() -> None:
    slower = replace(QUIET, medians={name: 2 * (ms or 0.0) for name, ms in QUIET.medians.items()})
    found = scores([answer(1.55, 310.0), answer(1.55, 310.0)], QUIET, [QUIET, slower])
    assert str(found["medians within 5 %"]) == "1/2"


def test_what_is_said_to_be_unknown_is_not_asked_for_and_is_no_success_either() -> None:
    found = scores([answer(None, None, verdict="cannot tell")] * 10, QUIET, [QUIET] * 10)
    assert [str(score) for score in found.values()] == ["0/10", "0/0", "0/0", "0/0"]
    assert not any(score.enough for score in found.values())
    assert Score(9, 10).enough
    assert not Score(8, 10).enough
