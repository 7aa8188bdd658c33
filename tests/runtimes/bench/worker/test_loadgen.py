"""MLPerf's LoadGen itself, for fractions of a second each, judged by counts and order."""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
from pathlib import Path

import pytest

from convert.common.errors import CheckFailed, InputError
from runtimes.bench.worker import loadgen


@pytest.fixture(autouse=True)
def _installed(request: pytest.FixtureRequest) -> None:
    if "missing" not in request.node.name:
        pytest.importorskip("mlperf_loadgen", reason="mlcommons-loadgen is not installed")


def serve(
    infer: loadgen.Infer, qps: float = 200.0, min_s: float = 0.1, least: int = 20, sessions: int = 1
) -> loadgen.Trial:
    return loadgen.server([infer] * sessions, qps, min_s, least, 10.0, 90)


def test_one_session_answers_one_query_after_the_other() -> None:
    order: list[str] = []

    def infer() -> None:
        order.append("start")
        time.sleep(0.002)
        order.append("end")

    trial = serve(infer)
    assert order == ["start", "end"] * len(trial.latencies_ms)
    assert min(trial.latencies_ms) >= 2.0
    assert trial.version.startswith("6.")
    assert trial.log["effective_scenario"] == "Server"
    assert {name: trial.log[f"effective_{name}"] for name in loadgen.SEEDS} == loadgen.SEEDS


def test_latencies_are_those_that_loadgen_reports() -> None:
    trial = serve(lambda: time.sleep(0.001))
    ordered = sorted(trial.latencies_ms)
    assert 1e6 * ordered[int(0.9 * len(ordered))] == pytest.approx(trial.log["result_90.00_percentile_latency_ns"])
    assert 1e6 * ordered[0] == pytest.approx(trial.log["result_min_latency_ns"])


def test_it_issues_the_least_count_however_short_the_time() -> None:
    assert len(serve(lambda: None, min_s=0.001, least=64, qps=1000.0).latencies_ms) >= 64


def test_the_servers_schedule_is_the_same_each_time_and_scales_with_the_rate() -> None:
    slow, again = (serve(lambda: None, 200.0, 0.2) for _ in range(2))
    fast = serve(lambda: None, 400.0, 0.1)
    assert len(slow.latencies_ms) == len(again.latencies_ms) == len(fast.latencies_ms)
    assert slow.log["result_scheduled_samples_per_sec"] == again.log["result_scheduled_samples_per_sec"]
    rate = 2 * slow.log["result_scheduled_samples_per_sec"]
    assert fast.log["result_scheduled_samples_per_sec"] == pytest.approx(rate, rel=0.01)


def test_waiting_in_line_is_part_of_latency() -> None:
    """Twice as many requests as can be served: the last waits longer than the first by the whole line."""
    trial = serve(lambda: time.sleep(0.005), 400.0, 0.2)
    assert trial.latencies_ms[-1] > 5 * 5.0
    assert max(trial.latencies_ms[-5:]) > max(trial.latencies_ms[:2])
    assert not trial.valid


def test_several_sessions_answer_at_the_same_time_each_one_query_at_once() -> None:
    meeting = threading.Barrier(2)
    busy = [threading.Lock(), threading.Lock()]
    met: list[bool] = []

    def session(lock: threading.Lock) -> loadgen.Infer:
        def infer() -> None:
            assert lock.acquire(blocking=False)
            try:
                meeting.wait(0.2)
                met.append(True)
            except threading.BrokenBarrierError:
                meeting.reset()
            finally:
                lock.release()

        return infer

    trial = loadgen.server([session(lock) for lock in busy], 500.0, 0.05, 20, 10.0, 90)
    assert len(trial.latencies_ms) >= 20
    assert met  # which two can do only together


@pytest.mark.parametrize("sessions", [1, 2])
@pytest.mark.parametrize("error", [RuntimeError("it broke"), KeyboardInterrupt()])
def test_what_an_inference_raises_comes_out_and_the_next_test_works(sessions: int, error: BaseException) -> None:
    calls: list[None] = []

    def fails() -> None:
        calls.append(None)
        if len(calls) == 3:
            raise error

    with pytest.raises(type(error)):
        serve(fails, 500.0, 0.05, sessions=sessions)
    assert len(calls) < 20
    assert len(serve(lambda: None).latencies_ms) >= 20


def test_an_error_of_loadgens_own_is_one(tmp_path: Path) -> None:
    error = {"key": "error_runtime", "value": "Ran out of queries", "metadata": {"is_error": True}}
    (tmp_path / "mlperf_log_detail.txt").write_text(f":::MLLOG {json.dumps(error)}\n")
    with pytest.raises(CheckFailed, match=r"LoadGen: .*Ran out"):
        loadgen._read(tmp_path)


def test_the_working_folder_is_the_old_one_afterwards_and_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "audit.config").write_text("*.*.min_query_count = 100000\n")  # LoadGen would read it
    trial = serve(lambda: None)
    assert Path.cwd() == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["audit.config"]
    assert 20 <= len(trial.latencies_ms) < 1000


def test_missing_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
    with pytest.raises(InputError, match="pip install mlcommons-loadgen"):
        serve(lambda: None)


def test_missing_it_does_not_keep_the_other_modes_from_working(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
    for name in ("latency", "throughput", "loadgen", "server", "visit"):
        monkeypatch.delitem(sys.modules, f"runtimes.bench.worker.{name}", raising=False)
    for name, entry in (("visit", "take_turns"), ("throughput", "measure"), ("server", "measure")):
        assert callable(getattr(importlib.import_module(f"runtimes.bench.worker.{name}"), entry))
