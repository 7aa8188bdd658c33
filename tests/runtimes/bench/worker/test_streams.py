"""Streams in threads and in processes of their own, and which of the two a runtime needs."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from convert.artifact import Artifact
from convert.common import typed
from convert.common.worker import JobError
from runtimes import registry
from runtimes.base import Options
from runtimes.bench.worker import numbers, streams, throughput, visit
from runtimes.bench.worker.job import Effort, Job
from runtimes.bench.worker.numbers import ThroughputNumbers
from runtimes.bench.worker.streams import Apart
from runtimes.system import disturbance

LITTLE = Effort(0.2, 3, 2.0, 0.3)


def holding() -> object:
    """Some 10 ms in C, in which nothing lets other threads go on."""
    return sum(range(1_000_000))


@pytest.mark.parametrize(
    ("run", "held"),
    [(holding, True), (lambda: time.sleep(0.02), False), (lambda: sum(range(1000)), False)],
    ids=["holds it", "gives it up", "too short to tell"],
)
def test_who_holds_the_lock_is_seen(run: Any, held: bool) -> None:
    assert streams.holds_lock(run) is held


def test_what_fails_while_it_is_looked_at_leaves_no_thread() -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        streams.holds_lock(lambda: 1 / 0)
    assert threading.active_count() == before


def test_a_stream_here_has_run_once_and_goes_on_until_it_is_told() -> None:
    runs: list[int] = []
    stop = threading.Event()

    def run() -> None:
        runs.append(len(runs))
        if len(runs) == 4:
            stop.set()

    stream = streams.here(run, clock=lambda: float(len(runs)))
    assert len(runs) == 1
    assert stream(stop) == [(1.0, 2.0), (2.0, 3.0), (3.0, 4.0)]


def job(artifact: Artifact | Path, **changes: Any) -> Job:
    path = artifact.path if isinstance(artifact, Artifact) else artifact
    fields = {"options": Options(threads=1), "mode": "throughput", "effort": LITTLE, "mode_options": {"streams": 2}}
    return Job(str(path), "ort-cpu", 1, **{**fields, **changes})


def test_a_stream_apart_works_until_it_is_told_on_the_same_clock(toy_artifact: Artifact) -> None:
    apart, stop = Apart(job(toy_artifact), 2), threading.Event()
    try:
        begin = time.perf_counter()
        threading.Timer(0.3, stop.set).start()
        requests = apart(stop)
        end = time.perf_counter()
    finally:
        apart.close()
    assert requests
    assert begin < requests[0][0] < requests[-1][1] < end
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(requests)), "one after the other"
    assert apart.peak_bytes > 10 << 20
    assert apart.worker.process.returncode is not None


def test_a_stream_that_cannot_start_or_dies_says_why(toy_artifact: Artifact, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=f"a stream: InputError: .*{tmp_path.name}"):
        Apart(job(tmp_path), 2)
    with pytest.raises(JobError, match=r"a stream: OutOfMemoryError: out of memory: more than 0\.0 GB"):
        Apart(job(toy_artifact, memory_limit_bytes=2 << 20), 2)
    apart = Apart(job(toy_artifact), 2)
    apart.worker.process.kill()
    apart.worker.process.wait()
    stop = threading.Event()
    stop.set()
    with pytest.raises(JobError, match="a stream: the process was ended by SIGKILL"):
        apart(stop)
    apart.close()


def test_a_runtime_that_holds_the_lock_gets_processes(toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Apart] = []

    def start(*asked: Any) -> Apart:
        started.append(Apart(*asked))
        return started[-1]

    monkeypatch.setattr(throughput, "Apart", start)
    monkeypatch.setattr(streams, "holds_lock", lambda run: True)
    found = numbers.read(visit.run_job(typed.table(job(toy_artifact))))
    assert isinstance(found, ThroughputNumbers)
    assert (found.stream_processes, len(started)) == (1, 1)
    assert found.images_per_s * found.duration_s == pytest.approx(len(found.samples_ms), abs=2)
    assert (found.memory.peak_bytes or 0) > (found.memory.after_load_bytes or 0) + started[0].peak_bytes // 2
    assert started[0].worker.process.returncode is not None


def test_one_stream_looks_for_no_lock(toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "holds_lock", lambda run: pytest.fail("it takes time"))
    assert visit.run_job(typed.table(job(toy_artifact, mode_options={"streams": 1})))["stream_processes"] == 0


def test_a_stream_apart_that_fails_is_the_visits_reason(
    toy_artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*asked: Any) -> Apart:
        raise JobError("a stream: no room")

    monkeypatch.setattr(throughput, "Apart", refuse)
    monkeypatch.setattr(streams, "holds_lock", lambda run: True)
    with pytest.raises(JobError, match="no room"):
        visit.run_job(typed.table(job(toy_artifact)))


def test_paddles_streams_are_processes(toy_artifact: Artifact) -> None:
    """On a batch so large that a run is long enough to tell."""
    paddle = registry.get("paddle")
    if reason := paddle.unavailable():
        pytest.skip(reason)
    images = visit.example(toy_artifact, 512)
    with paddle.open(toy_artifact, Options(threads=1)) as session:
        session.run(images)
        opened = visit.Opened(session, toy_artifact, paddle, images)
        many = Job(str(toy_artifact.path), "paddle", 512, Options(threads=1), "throughput", LITTLE)
        start = time.perf_counter()
        session.run(images)
        if time.perf_counter() - start < 2 * streams._SHORTEST_S:
            pytest.skip("the toy is too quick here")
        assert streams.holds_lock(lambda: session.run(images))
        found = throughput.measure(opened, replace(many, mode_options={"streams": 2}))
    assert found.stream_processes == 1
    assert len(found.samples_ms) > 0


def test_time_of_processes_that_are_over_is_ours() -> None:
    before = disturbance.read()
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    assert disturbance.read().own_s - before.own_s > 0.25
