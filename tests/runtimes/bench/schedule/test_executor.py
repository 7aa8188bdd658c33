"""Visits in real processes: what crashes, hangs or eats all memory is an outcome with a reason."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from convert.artifact import Artifact
from convert.common import typed
from convert.common.worker import Worker
from runtimes import registry
from runtimes.base import Effective, Options, Runtime, Session, TensorInfo
from runtimes.bench.schedule import turns
from runtimes.bench.schedule.executor import Local
from runtimes.bench.schedule.outcome import VisitOutcome
from runtimes.bench.worker import visit
from runtimes.bench.worker.job import Effort, Job
from runtimes.statistics import Noise
from runtimes.system.speed_probe import Probe
from tests.runtimes.bench import made_up

QUICK = Effort(min_s=0, min_count=7, max_s=20, warmup_max_s=1)


class FakeSession(Session):
    inputs = (TensorInfo("x", "float32", ("batch", 3, 32, 32)),)
    outputs = (TensorInfo("logits", "float32", ("batch", 7)),)

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def _run(self, images: np.ndarray) -> np.ndarray:
        self.act()
        return np.zeros((len(images), 7), np.float32)

    def effective(self) -> Effective:
        return Effective("fp32", "CPU", {})


EATEN: list[np.ndarray] = []
ACTS: dict[str, Callable[[], object]] = {
    "fake-crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "fake-killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "fake-hang": lambda: time.sleep(60),
    "fake-eat": lambda: EATEN.extend(np.ones(16 << 20, np.uint8) for _ in range(1000)),
    "fake-orphan": lambda: time.sleep(600),
}


def runtime(name: str) -> Runtime:
    return Runtime(name, "json", ("numpy",), ("fp32",), lambda: ["CPU"], lambda a, o: FakeSession(ACTS[name]))


def visit_with_fakes(job: dict[str, Any], messages: Iterator[Any]) -> Iterator[dict[str, Any]]:
    """`visit.take_turns` in a process whose registry knows the fakes."""
    registry.get = runtime
    yield from visit.take_turns(job, messages)


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_TURNS", f"{__name__}:visit_with_fakes")


def outcome(artifact: Artifact, name: str, **changes: Any) -> VisitOutcome:
    job = Job(str(artifact.path), name, 1, Options(threads=1), effort=QUICK, **changes)
    (found,) = Local(probe=None).run([job])
    return found


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("fake-crash", {}, "the process was ended by SIGSEGV"),
        ("fake-killed", {}, "the process was ended by SIGKILL (out of memory?)"),
        ("fake-hang", {"timeout_s": 3}, "took longer than 3 s and was stopped"),
        ("fake-eat", {"memory_limit_bytes": 1 << 30}, "OutOfMemoryError: out of memory: more than 1.1 GB were needed"),
    ],
)
def test_a_visit_that_dies_is_an_outcome_with_a_reason(
    fakes: None, toy_artifact: Artifact, name: str, changes: dict[str, Any], reason: str
) -> None:
    found = outcome(toy_artifact, name, **changes)
    assert found.numbers is None
    assert found.failure == reason
    assert found.crashed == (name == "fake-crash"), "what ends otherwise would end so again"
    assert found.seconds > 0


def test_a_crash_says_how_much_memory_it_had_and_might_have(fakes: None, toy_artifact: Artifact) -> None:
    found = outcome(toy_artifact, "fake-crash", memory_limit_bytes=64 * 10**9)
    assert found.failure is not None
    told = re.fullmatch(
        r"the process was ended by SIGSEGV \(it had (.*) GB of memory, and may have 64\.0 GB\)", found.failure
    )
    assert told
    assert 0 < float(told[1]) < 32
    assert "Fatal Python error: Segmentation fault" in found.log


def test_a_real_visit(toy_artifact: Artifact) -> None:
    """What its numbers are on each runtime is in `worker/test_visit.py`."""
    speed = Probe()
    (found,) = Local(speed).run([Job(str(toy_artifact.path), "ort-cpu", 2, Options(threads=1), effort=QUICK)])
    assert found.numbers is not None, found.failure
    assert len(found.numbers.samples_ms) >= 7
    assert found.speed_ms == tuple(speed.readings), "two of them, where other programs leave any"


def test_a_damaged_artifact_ends_its_own_visit_only(toy_artifact: Artifact, tmp_path: Path) -> None:
    jobs = [
        Job(str(folder), "ort-cpu", 1, Options(threads=1), effort=QUICK) for folder in (tmp_path, toy_artifact.path)
    ]
    first, second = Local(probe=None).run(jobs)
    assert first.numbers is None
    assert str(tmp_path) in str(first.failure)
    assert second.numbers is not None, second.failure


def test_a_visit_on_a_slowed_down_machine_says_by_how_much(fakes: None, toy_artifact: Artifact) -> None:
    readings = iter([4.0, 4.0, 4.0, 5.0])
    local = Local(Probe(read=lambda: next(readings)))
    first, second = local.run([Job(str(toy_artifact.path), "fake-crash", 1, effort=QUICK)] * 2)
    assert (first.speed_ms, first.slowdown) == ((4.0, 4.0), 0.0)
    assert second.speed_ms == (4.0, 5.0)
    assert second.slowdown == pytest.approx(0.25)
    assert local.slowdown((6.0, 4.0)) == pytest.approx(0.5), "the worst counts"
    assert local.slowdown(()) == 0.0, "unknown"


def test_earlier_runs_of_the_machine_are_known(fakes: None, toy_artifact: Artifact, tmp_path: Path) -> None:
    file = tmp_path / "speed.json"
    file.write_text(json.dumps([[4.0] * 8, [4.1] * 8, [4.2] * 8]))
    local = Local(Probe(file, read=lambda: 4.0))
    assert local.between_runs() == Noise(), "nothing was read yet"
    list(local.run([Job(str(toy_artifact.path), "fake-crash", 1, effort=QUICK)]))
    assert local.between_runs().dof == 2
    assert local.between_runs().between_cv == pytest.approx(0.0244, abs=1e-4)
    assert Local(probe=None).between_runs() == Noise()


def test_outcomes_travel_as_json() -> None:
    made = VisitOutcome(made_up.numbers([1.0]), speed_ms=(4.0, 5.0), slowdown=0.25, crashed=True)
    assert VisitOutcome.read(json.loads(json.dumps(typed.table(made)))) == made


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends a process with its parent")
def test_a_visit_ends_with_its_parent(toy_artifact: Artifact) -> None:
    code = f"import {__name__} as t, sys; t.start(sys.argv[1])"
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(toy_artifact.path)], cwd=Path(__file__).parents[4], env=_environment()
    )
    process, children = psutil.Process(parent.pid), []
    while parent.poll() is None and not (children := process.children()):
        time.sleep(0.05)
    assert children
    time.sleep(1.0)  # so that it is past its start
    parent.kill()
    parent.wait()
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert gone
    assert not alive


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}


def start(artifact: str) -> None:
    """In a process of its own: a visit that takes ten minutes."""
    with Worker(f"{__name__}:visit_with_fakes", typed.table(Job(artifact, "fake-orphan", 1, effort=QUICK))) as process:
        process.receive()
