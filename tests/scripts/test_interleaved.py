"""Rounds, what is left out of them, and ratios over them, on times that are made up; one visit is a real one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from convert.artifact import Artifact
from convert.common.errors import CheckFailed, InputError
from runtimes import registry
from runtimes.base import UnavailableError
from runtimes.bench.schedule.outcome import VisitOutcome
from runtimes.system.speed_probe import Probe
from scripts import interleaved
from scripts.interleaved import Ratio, Repetition, Rounds, Side, measure, possible, runnable, visit_ms
from tests.runtimes.bench.made_up import numbers


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the machine one whose probe gives some readings, again and again."""

    def gives(*readings: float) -> None:
        again = itertools.cycle(readings)
        monkeypatch.setattr(interleaved, "Probe", lambda: Probe(read=lambda: next(again)))

    return gives


def test_the_ratio_and_its_interval() -> None:
    rounds = Rounds([{"a": 9.0, "b": 10.0}, {"a": 16.2, "b": 20.0}], 0)
    one = rounds.ratio("a", "b")
    logarithms = np.log([0.9, 0.81])
    half = stats.t.ppf(0.975, 1) * logarithms.std(ddof=1) / math.sqrt(2)
    assert one.value == pytest.approx(math.sqrt(0.9 * 0.81))
    assert (one.low, one.high) == pytest.approx((one.value * math.exp(-half), one.value * math.exp(half)))
    assert rounds.ratio("b", "a").value == pytest.approx(1 / one.value)
    assert (rounds.median_ms("a"), rounds.median_ms("b")) == pytest.approx((12.6, 15.0))


def test_blocks_have_a_ratio_as_rounds_have() -> None:
    rounds = Rounds([{"a": 9.0, "b": 10.0}, {"a": 16.2, "b": 20.0}], 0)
    assert Ratio.over([9.0 / 10.0, 16.2 / 20.0]) == rounds.ratio("a", "b")


def test_each_round_measures_every_side_once_in_an_order_of_its_own(probe: Callable[..., None]) -> None:
    probe(1.0)
    visited: list[str] = []

    def side(name: str) -> Side:
        def visit(seconds: float) -> float:
            assert seconds == 1.0
            visited.append(name)
            return float(len(visited))

        return visit

    made = measure({name: side(name) for name in "abc"}, Repetition(8, 1.0), "seed")
    orders = ["".join(visited[i : i + 3]) for i in range(0, 24, 3)]
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert len(set(orders)) > 2
    assert [times[name] for times in made.times_ms for name in times] == list(range(1, 25))


def test_a_round_in_which_the_machine_changed_its_speed_does_not_count(probe: Callable[..., None]) -> None:
    times = iter(range(1, 9))
    sides = {name: lambda _: float(next(times)) for name in "ab"}
    # Three readings a round: the second round begins fast and ends slow, the fourth the other way round.
    probe(1.0, 1.0, 1.07, 1.0, 1.0, 1.09, 1.2, 1.2, 1.2, 1.2, 1.1, 1.0)
    made = measure(sides, Repetition(4, 1.0, 0.08), "seed")
    assert made.left_out == 2
    assert [sorted(one.values()) for one in made.times_ms] == [[1, 2], [5, 6]]
    assert made.enough
    probe(1.0, 1.5)
    assert not measure({"a": lambda _: 1.0}, Repetition(4, 1.0, 0.08), "seed").enough


def test_a_visit_is_a_process_and_its_median(toy_artifact: Artifact) -> None:
    assert 0 < visit_ms(toy_artifact, registry.get("openvino"), "fp32", 3, 0.02) < 1000


@pytest.mark.parametrize(
    ("outcome", "error", "reason"),
    [
        (VisitOutcome(None, "UnavailableError: CPU has no bf16"), UnavailableError, "^CPU has no bf16$"),
        (
            VisitOutcome(None, "it was ended by SIGSEGV"),
            CheckFailed,
            "^toy bf16 on openvino, batch 3: it was ended by SIGSEGV",
        ),
        (VisitOutcome(numbers([5.0])), CheckFailed, "openvino computed in fp32 instead of bf16"),
    ],
)
def test_a_visit_that_is_none_of_its_cell(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact, outcome: VisitOutcome, error: type[Exception], reason: str
) -> None:
    jobs: list[Any] = []

    class Executor:
        def __init__(self, probe: None) -> None: ...

        def run(self, given: list[Any]) -> list[VisitOutcome]:
            jobs.extend(given)
            return [outcome]

    monkeypatch.setattr(interleaved, "Local", Executor)
    with pytest.raises(error, match=reason):
        visit_ms(toy_artifact, registry.get("openvino"), "bf16", 3, 1.5)
    (job,) = jobs
    assert (job.batch, job.options.precision, job.effort.min_s) == (3, "bf16", 1.5)
    assert Path(job.artifact) == toy_artifact.path


def test_what_this_machine_lacks_is_told_before_any_visit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    states = {"mnn": {"reason": None}, "ort-cuda": {"reason": "no CUDA provider"}}
    monkeypatch.setattr(registry, "examine", lambda names: {name: states[name] for name in names})
    assert possible("mnn:fp32,mnn:tf32,ort-cuda:fp32") == {"mnn:fp32": (registry.get("mnn"), "fp32")}
    told = capsys.readouterr().err
    assert "not measured: mnn:tf32: mnn has no tf32" in told
    assert "not measured: ort-cuda:fp32: no CUDA provider" in told
    with pytest.raises(InputError, match="nothing of that can be measured here"):
        possible("ort-cuda:fp32")


def test_what_only_a_visit_can_tell_is_told_by_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(seconds: float) -> float:
        raise UnavailableError("not on this processor")

    assert list(runnable({"a": lambda seconds: seconds, "b": refuse}, "toy")) == ["a"]
    assert "not measured: toy, b: not on this processor" in capsys.readouterr().err
