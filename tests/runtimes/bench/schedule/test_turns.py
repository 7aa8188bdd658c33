"""Sessions that have their turns, in real processes: who is measured when, and who stands still meanwhile."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from convert.artifact import Artifact
from convert.common.disk import json_lines as lines
from convert.common.worker import Worker
from runtimes import registry
from runtimes.base import Effective, Options, Runtime, Session, TensorInfo, UnavailableError
from runtimes.bench.schedule import turns
from runtimes.bench.worker import visit
from runtimes.bench.worker.job import Effort, Job
from runtimes.bench.worker.numbers import LatencyNumbers
from runtimes.system.programs import Programs

NAMES = ("fake-a", "fake-b", "fake-c")
EFFORT = Effort(min_s=0.0, min_count=1, max_s=30, warmup_max_s=0.01)
NOTES = "VITBENCH_TEST_NOTES"


class Noting(Session):
    """Notes who infers, and the state of the other processes that have noted anything: `T` is a stopped one."""

    inputs = (TensorInfo("x", "float32", ("batch", 3, 32, 32)),)
    outputs = (TensorInfo("logits", "float32", ("batch", 7)),)

    def __init__(self, name: str) -> None:
        self.name, self.file, self.calls = name, Path(os.environ[NOTES]), 0

    def _run(self, images: np.ndarray) -> np.ndarray:
        self.calls += 1
        others = {int(note["pid"]) for note in lines.read(self.file)} - {os.getpid()}
        states = [psutil.Process(pid).status() for pid in others if psutil.pid_exists(pid)]
        lines.append(self.file, {"pid": os.getpid(), "name": self.name, "others": states})
        if self.name == "fake-crash" and self.calls > 20:
            os.kill(os.getpid(), signal.SIGSEGV)
        return np.zeros((len(images), 7), np.float32)

    def effective(self) -> Effective:
        return Effective("fp32", "CPU", {})


def with_fakes(job: dict[str, Any], messages: Iterator[Any]) -> Iterator[dict[str, Any]]:
    """`visit.take_turns` in a process whose registry knows the fakes."""
    registry.get = lambda name: Runtime(
        name, "json", ("numpy",), ("fp32",), lambda: ["CPU"], lambda artifact, options: Noting(name)
    )
    yield from visit.take_turns(job, messages)


MET: list[str] = []


def meet(what: str) -> None:
    """Wait until all of NAMES are at the same point at the same time, as they cannot be one after the other."""
    file, until = Path(os.environ[NOTES]), time.monotonic() + 60
    lines.append(file, {"pid": os.getpid(), "at": what})
    while len({note["pid"] for note in lines.read(file) if note.get("at") == what}) < len(NAMES):
        if time.monotonic() > until:
            raise UnavailableError(f"nobody else came to {what}")
        time.sleep(0.01)


class Meeting(Noting):
    """All are at the reading back at once; it notes when it begins to load and when it has."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        lines.append(self.file, {"pid": os.getpid(), "load": name})
        time.sleep(0.05)
        lines.append(self.file, {"pid": os.getpid(), "load": name})

    def effective(self) -> Effective:
        meet("the reading back")
        return super().effective()


def with_meetings(job: dict[str, Any], messages: Iterator[Any]) -> Iterator[dict[str, Any]]:
    """As `with_fakes`, of runtimes that are imported, and read back, only in company."""

    def devices() -> list[str]:
        if not MET:
            MET.append("the import")
            meet("the import")
        return ["CPU"]

    registry.get = lambda name: Runtime(
        name, "json", ("numpy",), ("fp32",), devices, lambda artifact, options: Meeting(name)
    )
    yield from visit.take_turns(job, messages)


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(turns, "_TURNS", f"{__name__}:with_fakes")
    monkeypatch.setattr(turns, "TURN_S", 0.02)
    monkeypatch.setenv(NOTES, str(tmp_path / "notes.jsonl"))
    return tmp_path / "notes.jsonl"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Any]]:
    """What was sent to which process."""
    made: list[tuple[int, Any]] = []

    class Listening(Worker):
        def send(self, message: Any) -> None:
            made.append((self.process.pid, message))
            super().send(message)

    monkeypatch.setattr(turns, "Worker", Listening)
    return made


def job(artifact: Artifact, name: str, **effort: Any) -> Job:
    return Job(str(artifact.path), name, 1, Options(threads=1), effort=replace(EFFORT, **effort), timeout_s=300)


def named(notes: Path) -> list[str]:
    """Who inferred, one entry for several of the same in a row."""
    found: list[str] = []
    for note in lines.read(notes):
        if not found or found[-1] != note["name"]:
            found.append(str(note["name"]))
    return found


def test_a_turn_is_no_longer_than_a_process_may_measure(
    notes: Path, asked: list[tuple[int, Any]], toy_artifact: Artifact
) -> None:
    turns.play([job(toy_artifact, "fake-a", max_s=0.005), job(toy_artifact, "fake-b")], random.Random(0))
    assert {message["seconds"] for _, message in asked if message and "seconds" in message} == {0.005, 0.02}


def test_sessions_have_their_turns_in_random_order(
    notes: Path, asked: list[tuple[int, Any]], toy_artifact: Artifact
) -> None:
    jobs = [job(toy_artifact, name, min_count=10**9, max_s=0.2) for name in NAMES]
    found = turns.play(jobs, random.Random(5))
    messages = [(pid, message) for pid, message in asked if message and "seconds" in message]
    pids = list(dict.fromkeys(pid for pid, _ in asked))
    rounds: dict[str, list[int]] = {}
    for pid, message in messages:
        rounds.setdefault(message["name"], []).append(pids.index(pid))
    full = [order for order in rounds.values() if len(order) == 3]
    assert len(full) > 3
    assert all(sorted(order) == [0, 1, 2] for order in full), "each once"
    assert len({tuple(order) for order in full}) > 1, "not always in the same order"
    assert len({name.partition(".")[0] for name in rounds}) == 1, "one table"
    assert named(notes)[:3] == list(NAMES), "they load one after the other"
    for outcome in found:
        assert outcome.failure is None
        numbers = outcome.measured
        assert isinstance(numbers, LatencyNumbers)
        names = [turn.name for turn in numbers.turns if turn.name]
        assert names == list(rounds)[: len(names)], "what they had together has one name"
        assert 0 < outcome.uncounted_s < outcome.seconds, "the first inference of each turn"


def test_a_session_stands_still_while_another_has_its_turn(notes: Path, toy_artifact: Artifact) -> None:
    turns.play([job(toy_artifact, name, min_count=20) for name in NAMES])
    others = [state for note in lines.read(notes) for state in note["others"]]
    assert len(others) > 20
    assert others.count(psutil.STATUS_STOPPED) >= 0.9 * len(others), "all, save where somebody else continues them"


def test_imports_and_reading_back_go_on_at_once_and_loads_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, notes: Path, toy_artifact: Artifact
) -> None:
    monkeypatch.setattr(turns, "_TURNS", f"{__name__}:with_meetings")
    found = turns.play([job(toy_artifact, name) for name in NAMES])
    assert [outcome.failure for outcome in found] == [None] * 3
    loads = [note["load"] for note in lines.read(notes) if "load" in note]
    assert loads == [name for name in NAMES for _ in range(2)], "nothing computes beside one that loads"


def test_nobody_is_left_afterwards(notes: Path, toy_artifact: Artifact) -> None:
    turns.play([job(toy_artifact, name) for name in NAMES])
    pids = {int(note["pid"]) for note in lines.read(notes)}
    assert len(pids) == 3
    assert not any(map(psutil.pid_exists, pids))


def test_nobody_is_left_after_an_interrupt_either(
    monkeypatch: pytest.MonkeyPatch, notes: Path, toy_artifact: Artifact
) -> None:
    looks: list[int] = []

    def look(self: Programs) -> None:
        looks.append(1)
        if len(looks) == 5:  # after the first round, when all are frozen
            raise KeyboardInterrupt

    monkeypatch.setattr(Programs, "look", look)
    with pytest.raises(KeyboardInterrupt):
        turns.play([job(toy_artifact, name, min_count=10**9) for name in NAMES])
    pids = {int(note["pid"]) for note in lines.read(notes)}
    assert len(pids) == 3
    assert not any(map(psutil.pid_exists, pids))


def test_each_has_turns_until_its_minima_are_reached_and_four_at_least(notes: Path, toy_artifact: Artifact) -> None:
    jobs = [
        job(toy_artifact, "fake-a"),
        job(toy_artifact, "fake-b", min_s=0.3),
        job(toy_artifact, "fake-c", min_count=10**9, max_s=0.2),
    ]
    few, seconds, most = (outcome.measured for outcome in turns.play(jobs))
    for numbers in (few, seconds, most):
        assert isinstance(numbers, LatencyNumbers)
        assert sum(bool(turn.name) for turn in numbers.turns) >= 4
    assert isinstance(few, LatencyNumbers)
    assert sum(bool(turn.name) for turn in few.turns) == 4
    assert sum(seconds.samples_ms) >= 300
    assert sum(most.samples_ms) >= 200, "the maximum time is the end, however many are missing"


def test_one_that_crashes_leaves_the_others(notes: Path, toy_artifact: Artifact) -> None:
    names = ("fake-a", "fake-crash", "fake-b")
    jobs = [job(toy_artifact, name, min_count=60) for name in names]
    found = turns.play(jobs)
    assert [outcome.crashed for outcome in found] == [False, True, False]
    assert "SIGSEGV" in str(found[1].failure)
    assert found[1].numbers is None
    for outcome in (found[0], found[2]):
        assert len(outcome.measured.samples_ms) >= 60


def test_one_that_cannot_load_leaves_the_others(notes: Path, toy_artifact: Artifact, tmp_path: Path) -> None:
    lost = replace(job(toy_artifact, "fake-a"), artifact=str(tmp_path))
    first, second = turns.play([lost, job(toy_artifact, "fake-b")])
    assert first.numbers is None
    assert str(tmp_path) in str(first.failure)
    assert second.measured.samples_ms


def test_who_else_computed_is_told(monkeypatch: pytest.MonkeyPatch, notes: Path, toy_artifact: Artifact) -> None:
    monkeypatch.setattr(Programs, "shares", lambda self: {"firefox": 0.38})
    found = turns.play([job(toy_artifact, name) for name in NAMES[:2]])
    assert [outcome.programs for outcome in found] == [{"firefox": 0.38}] * 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts what samples meet")
def test_real_runtimes_side_by_side(toy_artifact: Artifact) -> None:
    found = turns.play([job(toy_artifact, name, min_count=5) for name in ("ort-cpu", "openvino")])
    for outcome in found:
        assert outcome.failure is None
        numbers = outcome.measured
        assert isinstance(numbers, LatencyNumbers)
        assert len(numbers.samples_ms) == sum(turn.count for turn in numbers.turns) >= 5
        assert len(numbers.met) in (0, len(numbers.samples_ms))
        assert numbers.effective.precision == "fp32"
    one, other = ([turn.name for turn in outcome.measured.turns if turn.name] for outcome in found)  # type: ignore[attr-defined]
    assert set(one) & set(other), "there are turns to compare"
