"""Sessions that open ahead of their turn: which may, in what order they answer, and that none is lost to another."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from convert.artifact import Artifact
from convert.common.errors import WriteError
from convert.common.worker import CrashError, JobError
from runtimes import infer, registry
from runtimes.base import Effective, Options
from runtimes.bench.plan.matrix import Cell
from runtimes.infer import Opening, Pass
from runtimes.system import capacity
from runtimes.system.capacity import Capacity
from validate.parity import openings
from validate.parity.openings import Openings

IMAGES = np.zeros((2, 3, 32, 32), np.float32)
WAYS = [Pass(1, [0, 1])]


@pytest.fixture
def cells(toy_artifact: Artifact) -> list[Cell]:
    names = ("ort-cpu", "openvino", "mnn")
    return [Cell("toy", toy_artifact, registry.get(name), "fp32", Options(batches=(1, 2)), 2) for name in names]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened to which session, of those that open and answer at once, or fail as FAILS says by runtime."""
    heard: list[str] = []

    class Fake:
        def __init__(self, artifact: Artifact, runtime: str, options: Options) -> None:
            self.runtime = runtime
            heard.append(f"open {runtime}")

        def run(self, images: np.ndarray, passes: Any) -> Any:
            heard.append(f"run {self.runtime}")
            if error := FAILS.get(self.runtime):
                raise error.pop()
            return [], Effective("fp32", "CPU", {})

        def stop(self) -> None:
            heard.append(f"stop {self.runtime}")

        def __enter__(self) -> Fake:
            return self

        def __exit__(self, *_: object) -> None:
            heard.append(f"close {self.runtime}")

    FAILS.clear()
    monkeypatch.setattr(openings, "Opening", Fake)
    monkeypatch.setattr(capacity, "look", lambda: Capacity(1 << 40))
    return heard


FAILS: dict[str, list[Exception]] = {}


def test_the_next_one_opens_while_one_computes(cells: list[Cell], told: list[str]) -> None:
    with Openings(cells) as made:
        made.begin(2)
        assert told == ["open ort-cpu", "open openvino"]
        for _ in cells:
            made.run(IMAGES, WAYS)
    assert told[2:] == [
        *("run ort-cpu", "close ort-cpu"),
        *("open mnn", "run openvino", "close openvino"),
        *("run mnn", "close mnn"),
    ]


def in_turn(cells: list[Cell]) -> None:
    with Openings(cells) as made:
        made.begin(2)
        for _ in cells:
            made.run(IMAGES, WAYS)


@pytest.mark.parametrize("free", [None, 100 << 20])
def test_without_memory_for_two_each_waits_for_its_turn(
    cells: list[Cell], told: list[str], monkeypatch: pytest.MonkeyPatch, free: int | None
) -> None:
    monkeypatch.setattr(capacity, "look", lambda: Capacity(free))
    in_turn(cells)
    assert told == [f"{what} {cell.runtime.name}" for cell in cells for what in ("open", "run", "close")]


def test_nothing_opens_beside_a_device_that_times_its_kernels(cells: list[Cell], told: list[str]) -> None:
    in_turn([cells[0], replace(cells[1], options=Options(device="GPU"))])
    assert told.index("close ort-cpu") < told.index("open openvino")


def test_what_was_killed_beside_another_runs_again_alone(cells: list[Cell], told: list[str]) -> None:
    FAILS["ort-cpu"] = [CrashError(-9, "", None)]
    in_turn(cells)
    assert told == [
        *("open ort-cpu", "open openvino", "run ort-cpu", "close ort-cpu", "stop openvino"),
        *("open ort-cpu", "run ort-cpu", "close ort-cpu"),
        *("open openvino", "run openvino", "close openvino"),
        *("open mnn", "run mnn", "close mnn"),
    ]


@pytest.mark.parametrize("error", [CrashError(-11, "", None), JobError("no kernel")])
def test_any_other_failure_is_its_own_and_the_others_go_on(
    cells: list[Cell], told: list[str], error: Exception
) -> None:
    FAILS["ort-cpu"] = [error]
    with Openings(cells) as made:
        made.begin(2)
        with pytest.raises(JobError):
            made.run(IMAGES, WAYS)
        made.run(IMAGES, WAYS)
        made.run(IMAGES, WAYS)
    assert told.count("run ort-cpu") == told.count("run openvino") == told.count("run mnn") == 1


def test_one_that_cannot_begin_ahead_fails_at_its_turn_only(
    cells: list[Cell], told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    works: Any = vars(openings)["Opening"]

    def begin(artifact: Artifact, runtime: str, options: Options) -> Any:
        if runtime == "openvino":
            raise WriteError("temporary files", OSError(28, "full"))
        return works(artifact, runtime, options)

    monkeypatch.setattr(openings, "Opening", begin)
    with Openings(cells) as made:
        made.begin(2)
        made.run(IMAGES, WAYS)
        with pytest.raises(WriteError):
            made.run(IMAGES, WAYS)
        made.run(IMAGES, WAYS)


def test_what_is_left_early_leaves_no_process(cells: list[Cell], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "look", lambda: Capacity(1 << 40))
    made = Openings(cells)
    with made:
        made.begin(2)
        processes = [one._worker.process for one in made._begun.values()]
        assert len(processes) == 2
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)


def test_a_session_that_was_open_before_answers_as_one_that_was_not(
    toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(0).standard_normal(IMAGES.shape).astype(np.float32)
    expected, effective = infer.infer(toy_artifact, "ort-cpu", Options(), images, WAYS)
    with Opening(toy_artifact, "ort-cpu", Options()) as opening:
        for _ in range(2):
            found, also = opening.run(images, WAYS)
            np.testing.assert_array_equal(found, expected)
            assert also == effective


def test_one_that_cannot_open_says_why_when_it_is_run(toy_artifact: Artifact) -> None:
    with (
        pytest.raises(JobError, match="ort-cpu knows no option nonsense"),
        Opening(toy_artifact, "ort-cpu", Options(extra={"nonsense": "1"})) as opening,
    ):
        opening.run(IMAGES, WAYS)
