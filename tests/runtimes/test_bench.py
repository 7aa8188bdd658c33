"""A small matrix on the toy: what is measured, what is refused, what crashes, and what a resumed run leaves alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert import isolate
from convert.artifact import Artifact
from runtimes import registry
from runtimes.asked import Asked
from runtimes.base import DeviceTimes, Effective, Options, Runtime, Session, TensorInfo
from runtimes.bench import cell, records, run, store
from runtimes.bench.cell import Effort, Job

QUICK = Effort(warmup_s=0, warmup_count=1, min_s=0, min_count=7, max_s=20)


class FakeSession(Session):
    inputs = (TensorInfo("x", "float32", ("batch", 3, 32, 32)),)
    outputs = (TensorInfo("logits", "float32", ("batch", 7)),)
    act: Callable[[], None] = staticmethod(lambda: None)

    def _run(self, images: np.ndarray) -> np.ndarray:
        self.act()
        return np.zeros((len(images), 7), np.float32)

    def effective(self) -> Effective:
        return Effective(os.environ.get("VITBENCH_TEST_PRECISION", "fp32"), "CPU", {})


def crashing(artifact: Artifact, options: Options) -> Session:
    session = FakeSession()
    session.act = lambda: os.kill(os.getpid(), signal.SIGSEGV)  # type: ignore[method-assign]
    return session


def hanging(artifact: Artifact, options: Options) -> Session:
    session = FakeSession()
    session.act = lambda: time.sleep(60)  # type: ignore[method-assign]
    return session


FAKES = {
    "fake-good": Runtime("fake-good", "json", ("numpy",), ("fp32",), lambda: ["CPU"], lambda a, o: FakeSession()),
    "fake-crash": Runtime("fake-crash", "json", ("numpy",), ("fp32",), lambda: ["CPU"], crashing),
    "fake-hang": Runtime("fake-hang", "json", ("numpy",), ("fp32",), lambda: ["CPU"], hanging),
}


def job_with_fakes(job: dict[str, Any]) -> dict[str, Any]:
    """`run_job` in a process whose registry knows the fakes."""
    registry.get = FAKES.__getitem__  # type: ignore[assignment]
    return cell.run_job(job)


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    call = isolate.call

    def with_fakes(target: str, payload: Any, **options: Any) -> Any:
        assert target == "runtimes.bench.cell:run_job"
        return call(f"{__name__}:job_with_fakes", payload, **options)

    monkeypatch.setattr(isolate, "call", with_fakes)


@pytest.fixture
def make_matrix(toy_artifact: Artifact, toy_toml: Path, toy_root: Path) -> Callable[..., run.Matrix]:
    def make(*runtimes: str, batches: tuple[int, ...] = (1,)) -> run.Matrix:
        chosen = [FAKES[name] for name in runtimes]
        artifacts = {str(toy_toml): toy_artifact}
        asked = Asked(chosen, True, threads=1)
        return run.Matrix(artifacts, "fp32", asked, list(batches), "seeded:1", toy_root, QUICK)

    return make


def proven(
    folder: Path, subject: Artifact, passed: dict[str, bool], batches: tuple[int, ...] = (1, 2), **fields: Any
) -> None:
    """Parity records, as the validator writes them."""
    for runtime, verdict in passed.items():
        record = records.blank("parity", subject, FAKES[runtime], "fp32") | {"inputs": "seeded", "batches": batches}
        verdicts = {"status": "ok" if verdict else "failed", "reason": None if verdict else "logits differ by 3"}
        store.append(folder, record | verdicts | {"passed": verdict} | fields)


def test_the_loop_stops_when_both_minima_are_reached_or_time_is_over() -> None:
    session = FakeSession()
    calls = []
    session.act = lambda: calls.append(1)  # type: ignore[method-assign]
    images = np.zeros((1, 3, 32, 32), np.float32)
    assert len(cell._until(session, images, seconds=0, count=5, limit=60)[0]) == len(calls) == 5
    assert len(cell._until(session, images, seconds=0.05, count=1, limit=60)[0]) > 5
    session.act = lambda: time.sleep(0.02)  # type: ignore[method-assign]
    assert 1 <= len(cell._until(session, images, seconds=0, count=1000, limit=0.05)[0]) < 10


def test_the_devices_own_times_are_kept_where_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    session = FakeSession()
    session.act = lambda: None  # type: ignore[method-assign]
    images = np.zeros((1, 3, 32, 32), np.float32)
    assert cell._sample(session, images, QUICK)[1] is None
    told = iter(DeviceTimes(0.1, float(i), 0.2) for i in range(100))
    monkeypatch.setattr(FakeSession, "device_times", lambda self: next(told))
    samples, device_times = cell._sample(session, images, QUICK)
    assert len(samples) == 7
    assert device_times == {"h2d_ms": 0.1, "compute_ms": 4.0, "d2h_ms": 0.2}, "the warm-up's are left out"


@pytest.mark.parametrize("name", registry.names())
def test_a_cell(toy_artifact: Artifact, name: str) -> None:
    runtime = registry.get(name)
    if reason := runtime.unavailable():
        pytest.skip(reason)
    options = Options(device=runtime.default_device, threads=1)
    numbers = cell.measure(Job(str(toy_artifact.path), name, 2, options, QUICK, runtime.environment(options)))
    assert numbers["count"] == len(numbers["samples_ms"]) == 7
    assert numbers["median_ms"] == np.median(numbers["samples_ms"])
    assert min(numbers["samples_ms"]) > 0
    assert numbers["load_ms"] > 0
    assert numbers["first_ms"] > 0
    assert numbers["peak_memory_bytes"] > 10 << 20
    assert numbers["effective"]["precision"] == "fp32"


def test_only_what_passed_parity_is_measured_and_a_crash_is_recorded(
    fakes: None, toy_artifact: Artifact, tmp_path: Path, make_matrix: Any
) -> None:
    proven(tmp_path, toy_artifact, {"fake-good": False, "fake-crash": True})
    made = list(run.run(make_matrix("fake-good", "fake-crash"), tmp_path, resume=False, on_cell=print))
    assert [(r["runtime"], r["status"], r["reason"]) for r in made] == [
        ("fake-good", "refused", "parity failed: logits differ by 3"),
        ("fake-crash", "failed", "the process was ended by SIGSEGV"),
    ]
    assert all(r["samples_ms"] == [] and r["median_ms"] is None for r in made)
    assert store.read(tmp_path)[2:] == made


def test_the_rest_goes_on_after_a_crash(fakes: None, toy_artifact: Artifact, tmp_path: Path, make_matrix: Any) -> None:
    proven(tmp_path, toy_artifact, {"fake-crash": True, "fake-good": True})
    made = list(run.run(make_matrix("fake-crash", "fake-good", batches=(1, 2)), tmp_path, False, print))
    assert [(r["runtime"], r["batch"], r["status"]) for r in made] == [
        ("fake-crash", 1, "failed"),
        ("fake-crash", 2, "failed"),
        ("fake-good", 1, "ok"),
        ("fake-good", 2, "ok"),
    ]
    assert made[2]["count"] == 7
    assert made[2]["command"].endswith("--precision fp32 --batch 1 --runtime fake-good --threads 1")
    assert "--weights seeded:1" in made[2]["command"]


def test_a_cell_that_hangs_is_stopped(fakes: None, toy_artifact: Artifact) -> None:
    with pytest.raises(isolate.JobError, match="longer than 4 s"):
        cell.measure(Job(str(toy_artifact.path), "fake-hang", 1, Options(), QUICK, timeout_s=4))


def test_another_precision_than_asked_for_gives_no_number(
    fakes: None, toy_artifact: Artifact, tmp_path: Path, make_matrix: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITBENCH_TEST_PRECISION", "bf16")
    proven(tmp_path, toy_artifact, {"fake-good": True})
    (record,) = run.run(make_matrix("fake-good"), tmp_path, False, print)
    assert (record["status"], record["reason"]) == ("failed", "fake-good computed in bf16 instead of fp32")
    assert record["median_ms"] is None


@pytest.mark.parametrize(("share", "status"), [(None, "ok"), (0.1, "ok"), (0.3, "unstable")])
def test_a_cell_beside_others_is_flagged_kept_and_measured_again(
    toy_artifact: Artifact,
    tmp_path: Path,
    make_matrix: Any,
    monkeypatch: pytest.MonkeyPatch,
    share: float | None,
    status: str,
) -> None:
    numbers = {
        "samples_ms": [1.0],
        "median_ms": 1.0,
        "effective": {"precision": "fp32", "device": "CPU"},
        "foreign_load": share,
    }
    monkeypatch.setattr(run, "measure", lambda job: dict(numbers))
    proven(tmp_path, toy_artifact, {"fake-good": True})
    (record,) = run.run(make_matrix("fake-good"), tmp_path, False, print)
    assert (record["status"], record["median_ms"]) == (status, 1.0)
    assert ("took 30% of the processor" in str(record["reason"])) is (status == "unstable")
    list(run.run(make_matrix("fake-good"), tmp_path, True, print))
    measured = [r for r in store.read(tmp_path) if r["kind"] == "latency"]
    assert len(measured) == (2 if status == "unstable" else 1)


def test_a_resumed_run_measures_what_is_missing(
    fakes: None, toy_artifact: Artifact, tmp_path: Path, make_matrix: Any
) -> None:
    proven(tmp_path, toy_artifact, {"fake-good": True, "fake-crash": True})
    list(run.run(make_matrix("fake-good", "fake-crash"), tmp_path, False, print))
    first = store.read(tmp_path)
    again = list(run.run(make_matrix("fake-good", "fake-crash", batches=(1, 2)), tmp_path, True, print))
    cells = [("fake-good", 1), ("fake-good", 2), ("fake-crash", 1), ("fake-crash", 2)]
    assert [(r["runtime"], r["batch"]) for r in again] == cells
    assert again[0] == first[2], "what has a number is taken as it is stored"
    assert store.read(tmp_path) == first + again[1:]


def test_a_failure_on_one_set_of_inputs_is_not_made_up_for_on_another(
    fakes: None, toy_artifact: Artifact, tmp_path: Path, make_matrix: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "prove", lambda *_: pytest.fail("it is known"))
    proven(tmp_path, toy_artifact, {"fake-good": False}, inputs="photos", batches=(1,))
    proven(tmp_path, toy_artifact, {"fake-good": True})
    (record,) = run.run(make_matrix("fake-good"), tmp_path, False, print)
    assert (record["status"], record["reason"]) == ("refused", "parity failed: logits differ by 3")
    proven(tmp_path, toy_artifact, {"fake-good": True}, inputs="photos", batches=(1,))
    (record,) = run.run(make_matrix("fake-good"), tmp_path, False, print)
    assert record["status"] == "ok"


@pytest.mark.parametrize(
    "other",
    [
        {"runtime_version": "0"},
        {"artifact": "0" * 64},
        {"precision": "bf16"},
        {"device": "GPU"},
        {"settings": {"kernels": "plain"}},
    ],
)
def test_a_check_of_something_else_proves_nothing(
    fakes: None, toy_artifact: Artifact, tmp_path: Path, make_matrix: Any, monkeypatch: pytest.MonkeyPatch, other: Any
) -> None:
    asked = []
    monkeypatch.setattr(run, "prove", lambda matrix, argument, runtimes, folder: asked.extend(r.name for r in runtimes))
    proven(tmp_path, toy_artifact, {"fake-good": True}, **other)
    (record,) = run.run(make_matrix("fake-good"), tmp_path, False, print)
    assert (asked, record["status"]) == (["fake-good"], "refused")


def test_without_a_parity_record_a_cell_is_refused(
    fakes: None, toy_artifact: Artifact, tmp_path: Path, make_matrix: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(run, "prove", lambda matrix, argument, runtimes, folder: asked.extend(r.name for r in runtimes))
    proven(tmp_path, toy_artifact, {"fake-good": True}, batches=(1,))
    made = list(run.run(make_matrix("fake-good", batches=(1, 2)), tmp_path, False, print))
    assert asked == ["fake-good"], "parity at batch 1 says nothing of batch 2"
    assert [(r["status"], r["reason"]) for r in made] == [
        ("ok", None),
        ("refused", "parity was not checked at batch 2"),
    ]


def test_the_command_end_to_end(toy_toml: Path, toy_artifact: Artifact, toy_root: Path, tmp_path: Path) -> None:
    """From parity to the report, on the toy with every runtime, as `make bench` does it."""
    folder = tmp_path / "run"
    common = ["--model", str(toy_toml), "--artifacts", str(toy_root), "--batch", "1,2", "--out", str(folder)]
    command = [sys.executable, "-m", "runtimes.bench", *common, "--min-seconds", "0.1", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    made = json.loads(result.stdout)["records"]
    runtimes = [runtime.name for runtime in registry.select(None)]
    assert {"paddle", "ort-cpu", "openvino", "mnn"} <= set(runtimes)
    assert [(r["runtime"], r["batch"]) for r in made] == [(runtime, batch) for runtime in runtimes for batch in (1, 2)]
    assert {r["status"] for r in made} <= {"ok", "unstable"}, "unstable: the machine was busy"
    stored = store.read(folder)
    assert [r["kind"] for r in stored] == ["parity"] * len(runtimes) + ["latency"] * len(made)
    assert stored[len(runtimes) :] == made
    assert json.loads((folder / "environment.json").read_text())["machine"]["cores_usable"]
    assert "seeded:1 weights are drawn, not trained" in result.stderr
    result = subprocess.run([sys.executable, "-m", "reports", str(folder)], capture_output=True, text=True, check=True)
    report = (folder / "report.md").read_text()
    assert "Seeded weights" in report
    assert "unproven" not in report.split("## Latency")[1].split("|\n\n")[0]
    result = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=True)
    again = json.loads(result.stdout)["records"]
    assert [r for r in again if r in made] == [r for r in made if r["status"] == "ok"]
    assert store.read(folder)[: len(stored)] == stored
