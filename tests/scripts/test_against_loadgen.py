"""Which rounds count, and when their samples carry a 90th percentile; and a short real round against LoadGen."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from click.testing import CliRunner

from convert.artifact import Artifact
from runtimes import registry
from runtimes.bench.worker import loadgen
from scripts import against_loadgen
from scripts.against_loadgen import IMAGES, P90


def sides(ours: list[float], theirs: list[float]) -> dict[str, Any]:
    more = {"images": 10, "seconds": 2.0}
    return {"ours": {"samples_ms": ours, **more}, "loadgen": {"samples_ms": theirs, **more}}


def test_rounds_in_which_the_machine_changed_its_speed_are_left_out() -> None:
    readings = [[4.0, 4.1, 4.0], [4.0, 4.4, 4.0], [4.3, 4.0, 4.0], [5.0, 5.0, 5.0]]
    rounds = [{"sides": sides([n], [n]), "speed_ms": one} for n, one in enumerate(readings)]
    assert [one["ours"]["samples_ms"] for one in against_loadgen.steady(rounds)] == [[0], [2], [3]], "within 8 %"


def test_rounds_are_put_together_until_both_sides_carry_a_p90() -> None:
    one = sides([1.0] * 40, [1.0] * 32)
    assert against_loadgen.carrying([one], 90) == []
    assert [len(block) for block in against_loadgen.carrying([one] * 5, 90)] == [2, 2], "64 of each; the rest waits"
    assert [len(block) for block in against_loadgen.carrying([sides([1.0] * 64, [1.0] * 64)] * 3, 90)] == [1, 1, 1]
    assert against_loadgen.carrying([sides([1.0] * 64, [1.0] * 63)], 90) == []


def test_ratios_of_p90_are_those_of_what_carries_one() -> None:
    slow, quick = sides([2.0] * 32, [1.0] * 32), sides([1.0] * 32, [1.0] * 32)
    assert against_loadgen.ratios([slow, slow, quick, quick, quick], P90) == [2.0, 1.0]
    assert against_loadgen.ratios([slow, quick], IMAGES) == [1.0, 1.0]
    assert against_loadgen.ratios([quick], P90) == []


def test_the_spread_of_few_is_none() -> None:
    assert against_loadgen.spread([1.0, 2.0]) == "of 2 only"
    assert against_loadgen.spread([1.0, 2.0, 3.0, 4.0, 5.0]) == "1.500 to 4.500"


@pytest.fixture
def with_loadgen() -> None:
    pytest.importorskip("mlperf_loadgen", reason="no mlcommons-loadgen here: it has wheels for Linux on x86-64 only")


def test_the_collector_rests_on_both_sides(
    with_loadgen: None, toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    resting: list[bool] = []

    def noting(real: Any) -> Any:
        return lambda *args: (resting.append(not gc.isenabled()), real(*args))[1]

    for name in ("single_stream", "offline"):
        monkeypatch.setattr(loadgen, name, noting(getattr(loadgen, name)))
    job = {"artifact": str(toy_artifact.path), "runtime": "ort-cpu", "rounds": 1, "seconds": 0.05, "batch": 2}
    (found,) = against_loadgen.compare({**job, "threads": 1})
    assert resting == [True, True]
    assert gc.isenabled()
    assert len(found["speed_ms"]) == 5, "around each of the four"
    assert {side for side in found["sides"] if found["sides"][side]["images"] > 0} == {"ours", "loadgen"}


@pytest.mark.parametrize(
    ("rounds", "status", "told"),
    [
        ([sides([1.0] * 64, [1.0] * 64)] * 3, 0, ""),
        ([sides([1.1] * 50 + [2.0] * 14, [1.0] * 50 + [2.0] * 14)] * 3, 0, ""),
        ([sides([1.0] * 63, [1.0] * 99)], 1, "99 / 63 samples carry no p90: take more --rounds or --seconds"),
        ([sides([1.03] * 64, [1.0] * 64)] * 3, 1, "p90 on ort-cpu: 1.030, outside 0.98 to 1.02"),
        ([], 1, "ort-cpu: the machine changed its speed in every round"),
    ],
)
def test_the_verdict(
    toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch, rounds: list[Any], status: int, told: str
) -> None:
    changed = {"sides": sides([9.0] * 64, [1.0] * 64), "speed_ms": [4.0, 5.0]}
    steady = [{"sides": one, "speed_ms": [4.0]} for one in rounds]
    monkeypatch.setattr(against_loadgen.loadgen, "require", lambda: None)
    monkeypatch.setattr(against_loadgen.cli, "artifacts", lambda *asked: {"fp32": toy_artifact})
    monkeypatch.setattr(against_loadgen.registry, "select", lambda chosen: [registry.get("ort-cpu")])
    monkeypatch.setattr(against_loadgen.isolate, "call", lambda *asked, **options: [*steady, changed])
    result = CliRunner().invoke(against_loadgen.main, ["--runtime", "ort-cpu"])
    assert (result.exit_code, told in result.stderr) == (status, True), result.output
    assert f"1 of {len(steady) + 1}" in result.stdout or not rounds
