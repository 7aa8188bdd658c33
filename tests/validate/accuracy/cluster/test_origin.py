"""Whose a record is: where other machines answered, and where somebody goes on from what others have left."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reports.load import results
from runtimes.records.kinds import Accuracy
from runtimes.system import environment
from tests.validate.accuracy.cluster.conftest import MadeUpPlace

Best = Callable[[int], np.ndarray]
ARGUMENTS = ["--images", "set", "--batch", "2", "--out", "run", "--json"]


@pytest.fixture
def paddle(make_set: Any, make_runtime: Any, identity: Best, few: None) -> list[Any]:
    make_set(range(10), range(10))
    return [make_runtime("paddle", identity)]


@pytest.fixture
def epycs() -> list[MadeUpPlace]:
    return [MadeUpPlace("a", "EPYC 1"), MadeUpPlace("b", "EPYC 1")]


def told(result: Any) -> tuple[str | None, Any]:
    (found,) = json.loads(result.stdout)["records"]
    return found.get("machine"), found.get("machines")


def test_what_nodes_of_one_kind_answered_is_theirs(on_nodes: Any, paddle: Any, epycs: Any) -> None:
    key = epycs[0].node.key
    assert told(on_nodes(epycs, *ARGUMENTS, runtimes=paddle)) == (key, None)
    assert json.loads(Path(f"run/environments/{key}.json").read_text()) == epycs[0].node.environment
    assert [one.machine for one in results.load(Path("run")).of(Accuracy)] == ["EPYC 1, 2 cores"]


def test_what_failed_on_nodes_failed_there(on_nodes: Any, make_set: Any, make_runtime: Any, epycs: Any) -> None:
    def breaks(shown: int) -> np.ndarray:
        raise ValueError("no")

    make_set(range(4), range(4))
    runtimes = [make_runtime("paddle", breaks)]
    assert told(on_nodes(epycs, *ARGUMENTS, runtimes=runtimes)) == (epycs[0].node.key, None)
    epycs[1] = MadeUpPlace("b", "Xeon 1")
    machine, machines = told(on_nodes(epycs, *ARGUMENTS, "--fresh", runtimes=runtimes))
    assert (machine, set(machines.values())) == (None, {0})


def test_of_several_kinds_it_is_of_none(on_nodes: Any, paddle: Any, epycs: Any) -> None:
    other = epycs[1] = MadeUpPlace("b", "Xeon 1")
    answers = threading.Event()

    def wait(answer: dict[str, Any]) -> dict[str, Any]:
        assert not epycs[0].shards or answers.wait(60), "the other one has its part of the images"
        return answer

    def tell(answer: dict[str, Any]) -> dict[str, Any]:
        if other.shards:
            answers.set()
        return answer

    epycs[0].change, other.change = wait, tell
    machine, machines = told(on_nodes(epycs, *ARGUMENTS, runtimes=paddle))
    assert (machine, sum(machines.values())) == (None, 10)
    assert [one.machine for one in results.load(Path("run")).of(Accuracy)] == [results.SEVERAL]


@pytest.mark.parametrize("described", [True, False])
def test_answers_without_a_record_are_of_who_gave_them(
    on_nodes: Any, run: Any, paddle: Any, epycs: Any, described: bool
) -> None:
    on_nodes(epycs, *ARGUMENTS, runtimes=paddle)
    Path("run/results.jsonl").write_text("")
    file = Path(f"run/environments/{epycs[0].node.key}.json")
    if not described:
        file.unlink()
    machine, machines = told(run(*ARGUMENTS, "--resume", runtimes=paddle))
    if described:
        assert (machine, machines) == (epycs[0].node.key, None)
    else:
        assert machine is None
        assert [name.split(",")[0] for name in machines] == ["EPYC 1"]


def test_a_folder_of_another_machine_does_not_name_what_this_one_answers(run: Any, paddle: Any, epycs: Any) -> None:
    Path("run").mkdir()
    Path("run/environment.json").write_text(json.dumps(epycs[0].node.environment))
    machine, _ = told(run(*ARGUMENTS, runtimes=paddle))
    described = json.loads(Path(f"run/environments/{machine}.json").read_text())
    assert described["machine"]["cpu"] == environment.describe()["machine"]["cpu"] != "EPYC 1"


class TestTakenUp:
    @pytest.mark.parametrize("kept", [True, False])
    def test_a_record_of_another_machine_says_so(
        self, on_nodes: Any, run: Any, paddle: Any, epycs: Any, kept: bool
    ) -> None:
        on_nodes(epycs, *ARGUMENTS, runtimes=paddle)
        if not kept:
            for file in Path("run/accuracy").glob("*.top5"):
                file.unlink()
        said = run(*ARGUMENTS, "--resume", runtimes=paddle).stderr
        assert "fp32 on paddle: answered on EPYC 1, 2 cores" in said
        assert "; --fresh measures anew" in said
        assert "answered on" not in on_nodes(epycs, *ARGUMENTS, "--resume", runtimes=paddle).stderr

    def test_so_does_one_under_other_variables(self, run: Any, paddle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        run(*ARGUMENTS, runtimes=paddle)
        assert "answered on" not in run(*ARGUMENTS, "--resume", runtimes=paddle).stderr
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
        assert "answered on" in run(*ARGUMENTS, "--resume", runtimes=paddle).stderr
