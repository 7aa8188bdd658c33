"""Windows by hand, one stream on a clock of its own, and several streams in real time judged by their counts."""

from __future__ import annotations

import os
import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.artifact import Artifact
from runtimes import registry
from runtimes.base import Effective, Options, Runtime, Session, UnavailableError
from runtimes.bench.worker import energy, streams, throughput
from runtimes.bench.worker.job import Effort, Job
from runtimes.bench.worker.numbers import ThroughputNumbers
from runtimes.bench.worker.throughput import Window
from runtimes.bench.worker.visit import Opened, example
from runtimes.system import rapl
from runtimes.system.rapl import PackageCounter

IMAGES = np.zeros((4, 3, 2, 2), np.float32)


class Sleeper(Session):
    """Takes a fixed time, and notes which thread it ran in and whether two ran in it at once."""

    inputs = outputs = ()

    def __init__(self, seconds: float = 0.004, fails_at: int | None = None) -> None:
        self.seconds, self.fails_at, self.runs = seconds, fails_at, 0
        self.threads: set[int] = set()
        self.closed = False
        self._busy = threading.Lock()

    def _run(self, images: np.ndarray) -> np.ndarray:
        assert self._busy.acquire(blocking=False), "two threads in one session"
        try:
            self.runs += 1
            self.threads.add(threading.get_ident())
            if self.runs == self.fails_at:
                raise UnavailableError("it broke")
            time.sleep(self.seconds)
            return images
        finally:
            self._busy.release()

    def effective(self) -> Effective:
        return Effective("fp32", "CPU", {})

    def close(self) -> None:
        self.closed = True


# An artifact of which nothing but its batches is asked.
ANY_BATCH: Any = SimpleNamespace(no_batch=lambda *_: None, form=None)


def runtime(opened: list[Sleeper], **session: Any) -> Runtime:
    def open_session(artifact: Artifact, options: Options) -> Session:
        opened.append(Sleeper(**session))
        return opened[-1]

    return Runtime("fake", "json", ("numpy",), ("fp32",), lambda: ["CPU"], open_session)


def measure(streams: int, own: Sleeper, others: list[Sleeper], **session: Any) -> ThroughputNumbers:
    opened = Opened(own, ANY_BATCH, runtime(others, **session), IMAGES)
    job = Job("a", "fake", len(IMAGES), effort=Effort(0.1, 3, 2.0, 0.1), mode_options={"streams": streams})
    return throughput.measure(opened, job)


def test_requests_across_an_edge_count_with_the_share_inside() -> None:
    window = Window(10.0, 20.0, [(10.0, 15.0), (15.0, 20.0), (9.0, 11.0), (19.0, 23.0), (0.0, 9.0), (21.0, 22.0)])
    assert window.per_second() == pytest.approx((1 + 1 + 0.5 + 0.25) / 10)
    assert window.inside_ms() == (2000.0, 5000.0, 5000.0)


@given(st.floats(0.01, 3.0), st.floats(0.0, 1.0), st.floats(0.5, 20.0), st.integers(1, 5))
def test_the_rate_of_steady_streams_does_not_depend_on_where_the_window_lies(
    takes: float, phase: float, length: float, streams: int
) -> None:
    starts = [takes * (phase * (k + 1) / streams - 1) for k in range(streams)]
    requests = [(s + n * takes, s + (n + 1) * takes) for s in starts for n in range(int(length / takes) + 4)]
    assert Window(0.0, length, requests).per_second() == pytest.approx(streams / takes, rel=1e-6)


def test_one_stream_on_a_clock_of_its_own() -> None:
    now, taken = 0.0, iter([0.5, 0.3] + [0.1] * 100)

    def run() -> None:
        nonlocal now
        now += next(taken)

    found = throughput.drive(run, [], Effort(1.95, 3, 60.0, 15.0), lambda: now)
    assert found.warmup_ms == pytest.approx([500.0, 300.0])
    assert found.steady
    assert (found.begin, found.end) == pytest.approx((0.8, 2.8))
    assert found.per_second() == pytest.approx(10.0)


def test_what_never_gets_steady_is_kept_and_said() -> None:
    now, count = 0.0, 0

    def run() -> None:
        nonlocal now, count
        count += 1
        now += 0.1 * 1.2**count

    found = throughput.drive(run, [], Effort(1.0, 1, 5.0, 2.0), lambda: now)
    assert not found.steady
    assert sum(found.warmup_ms) >= 2000


def test_the_longest_time_ends_it_before_the_count() -> None:
    now = 0.0

    def run() -> None:
        nonlocal now
        now += 0.1

    found = throughput.drive(run, [], Effort(0.5, 10_000, 2.0, 15.0), lambda: now)
    assert len(found.inside_ms()) == pytest.approx(20, abs=1)


def test_streams_are_sessions_of_their_own_each_in_one_thread() -> None:
    own, others = Sleeper(), list[Sleeper]()
    found = measure(3, own, others)
    assert len(others) == 2
    assert all(len(session.threads) == 1 for session in [own, *others])
    assert len(set.union(*(session.threads for session in [own, *others]))) == 3
    assert own.threads == {threading.get_ident()}
    assert all(session.closed for session in others)
    assert not own.closed
    assert len(found.samples_ms) <= sum(session.runs for session in [own, *others])
    # The two others have a request across either edge: its share inside is what the two counts differ by.
    assert found.images_per_s * found.duration_s / 4 == pytest.approx(len(found.samples_ms), abs=2)
    looked = streams._LOOKS  # for a lock that it holds
    assert len(found.samples_ms) > own.runs - looked - len(found.warmup_ms), "those of the others are among them"


def test_twins_are_taken_where_the_runtime_has_them() -> None:
    class WithTwins(Sleeper):
        def twin(self) -> Session:
            twins.append(Sleeper())
            return twins[-1]

    twins, others = list[Sleeper](), list[Sleeper]()
    measure(2, WithTwins(), others)
    assert len(twins) == 1
    assert twins[0].closed
    assert not others


@pytest.mark.parametrize("at", [1, 3])
def test_a_stream_that_fails_ends_them_all_with_its_reason(at: int) -> None:
    before = set(threading.enumerate())
    with pytest.raises(UnavailableError, match="it broke"):
        measure(3, Sleeper(), [], fails_at=at)
    assert set(threading.enumerate()) <= before


def test_energy_is_that_of_the_window_and_so_are_its_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter that counts ten watts: over the images of all streams, whose rate is that of the window."""
    monkeypatch.setattr(rapl, "read", lambda root: (PackageCounter("a", round(1e7 * time.perf_counter()), 10**12),))
    monkeypatch.setattr(energy, "usable_cores", lambda: os.cpu_count())
    opened = Opened(Sleeper(), ANY_BATCH, runtime([]), IMAGES)
    job = Job("a", "fake", len(IMAGES), effort=Effort(1.0, 3, 3.0, 0.1), mode_options={"streams": 3})
    found = throughput.measure(opened, job)
    counted = found.energy
    assert counted is not None
    assert (counted.reason, counted.source) == (None, "rapl")
    assert counted.joules / counted.seconds == pytest.approx(10, rel=0.1)
    assert counted.images / counted.seconds == pytest.approx(found.images_per_s, rel=0.2)


def test_the_first_stream_that_fails_ends_the_others() -> None:
    before = set(threading.enumerate())
    with pytest.raises(UnavailableError, match="it broke"):
        measure(3, Sleeper(fails_at=3), [])
    assert set(threading.enumerate()) <= before


def test_a_stream_that_cannot_be_opened_is_the_reason() -> None:
    def refuse(artifact: Artifact, options: Options) -> Session:
        raise UnavailableError("no room")

    refusing = Runtime("fake", "json", ("numpy",), ("fp32",), lambda: ["CPU"], refuse)
    opened = Opened(Sleeper(), ANY_BATCH, refusing, IMAGES)
    with pytest.raises(UnavailableError, match="no room"):
        throughput.measure(opened, Job("a", "fake", 4, effort=Effort(0.1, 3), mode_options={"streams": 2}))


def test_threads_are_divided_among_sessions_and_left_to_runtimes_with_streams() -> None:
    options = Options(threads=6)
    sessions = throughput.changes(registry.get("ort-cpu"), options, 8, 4)
    assert sessions == {"batch": 8, "options": Options(threads=1), "mode_options": {"streams": 4}}
    own = throughput.changes(registry.get("openvino"), options, 8, 4)
    assert own == {"batch": 8, "options": Options(threads=6, streams=4), "mode_options": {"streams": 4}}
    assert throughput.changes(registry.get("mnn"), Options(threads=2), 1, 4)["options"].threads == 1


def test_openvino_works_on_several_requests_of_one_model(toy_artifact: Artifact) -> None:
    openvino = registry.get("openvino")
    if reason := openvino.unavailable():
        pytest.skip(reason)
    images = example(toy_artifact, 2)
    with openvino.open(toy_artifact, Options(streams=2, threads=2)) as session:
        expected = session.run(images).copy()
        twin = session.twin()
        assert twin is not None
        assert twin._compiled_for is session._compiled_for  # type: ignore[attr-defined]
        other = twin.run(-images).copy()
        assert np.array_equal(session.run(images), expected)
        assert not np.allclose(other, expected)
        twin.close()
        assert np.array_equal(session.run(images), expected)
        opened = Opened(session, toy_artifact, openvino, images)
        job = Job(str(toy_artifact.path), "openvino", 2, Options(streams=2, threads=2), effort=Effort(0.2, 3, 1.0, 0.5))
        found = throughput.measure(opened, job)
        assert found.images_per_s > 0
        assert session.effective().details["streams"] == 2
