from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from convert.artifact import Artifact
from convert.common import typed
from convert.common.worker import JobError, Worker
from runtimes import registry
from runtimes.base import Effective, Options, Runtime, Session, TensorInfo
from runtimes.bench.worker import visit
from runtimes.bench.worker.job import Effort, Job
from runtimes.bench.worker.numbers import LatencyNumbers, VisitNumbers, read

QUICK = Effort(min_s=0.0, min_count=5, max_s=5.0, warmup_max_s=0.05)
VISIT = "runtimes.bench.worker.visit:take_turns"
TURNS = ({"name": "t.1", "seconds": 0.01}, {"name": "t.2", "seconds": 0.01})


class FakeSession(Session):
    inputs = (TensorInfo("x", "float32", ("batch", 3, 32, 32)),)
    outputs = (TensorInfo("logits", "float32", ("batch", 7)),)

    def _run(self, images: np.ndarray) -> np.ndarray:
        return np.zeros((len(images), 7), np.float32)

    def effective(self) -> Effective:
        return Effective("fp32", "CPU", json.loads(os.environ["VITBENCH_TEST_DETAILS"]))


def with_fake(job: dict[str, Any], turns: Iterator[Any]) -> Iterator[dict[str, Any]]:
    """`take_turns` in a process whose registry knows the fake."""
    fake = Runtime("fake", "json", ("numpy",), ("fp32",), lambda: ["CPU"], lambda artifact, options: FakeSession())
    registry.get = {"fake": fake}.__getitem__  # type: ignore[assignment]
    yield from visit.take_turns(job, turns)


def visited(target: str, job: Job, environment: dict[str, str] | None = None) -> VisitNumbers:
    """The numbers of a visit of two turns."""
    with Worker(target, typed.table(job), environment) as process:
        assert process.receive(120) == {}, "it is ready to load"
        process.send({})
        answers = [process.receive(120)]
        for turn in TURNS:
            process.send(turn)
            answers.append(process.receive(120))
        process.send(None)
        numbers = read(process.receive(120))
    counts = [answer["count"] for answer in answers]
    assert counts == sorted(set(counts)), "each turn adds samples"
    assert counts[-1] == len(numbers.samples_ms)
    assert answers[-1]["seconds"] == pytest.approx(sum(numbers.samples_ms) / 1e3)
    return numbers


def fake_visit(artifact: Artifact, details: dict[str, Any], **changes: Any) -> VisitNumbers:
    job = Job(str(artifact.path), "fake", 1, Options(threads=2), effort=QUICK, **changes)
    variables = {"VITBENCH_TEST_DETAILS": json.dumps(details)}
    return visited(f"{__name__}:with_fake", job, variables)


@pytest.mark.parametrize("name", registry.names())
def test_a_visit_to_each_runtime(toy_artifact: Artifact, name: str) -> None:
    runtime = registry.get(name)
    if reason := runtime.unavailable():
        pytest.skip(reason)
    options = Options(device=runtime.default_device, threads=1)
    limit = (4 << 30) if options.device == "CPU" else None
    job = Job(str(toy_artifact.path), name, 2, options, effort=QUICK, memory_limit_bytes=limit)
    numbers = visited(VISIT, job, dict(runtime.environment(options)))
    assert isinstance(numbers, LatencyNumbers)
    assert [turn.name for turn in numbers.turns] == ["", "t.1", "t.2"]
    assert sum(turn.count for turn in numbers.turns) == len(numbers.samples_ms)
    assert min(turn.count for turn in numbers.turns[1:]) >= 1
    assert len(numbers.met) in (0, len(numbers.samples_ms))
    assert sys.platform != "linux" or numbers.met
    assert min([*numbers.samples_ms, *numbers.warmup_ms, numbers.load_ms or 0, numbers.first_ms or 0]) > 0
    memory = numbers.memory
    assert 10 << 20 < (memory.before_load_bytes or 0) < (memory.after_load_bytes or 0) <= (memory.peak_bytes or 0)
    assert numbers.effective.precision == "fp32"
    assert numbers.discrepancies == ()
    if hasattr(os, "sched_getaffinity"):
        assert set(numbers.cores or ()) <= os.sched_getaffinity(0)


def test_a_runtime_that_refuses_is_told_at_the_first_answer(toy_artifact: Artifact) -> None:
    job = Job(str(toy_artifact.path), "ort-cuda", 1, Options(device="GPU"), effort=QUICK)
    if not registry.get("ort-cuda").unavailable():
        pytest.skip("this machine has what the test takes to be missing")
    with Worker(VISIT, typed.table(job)) as process, pytest.raises(JobError, match=r"^UnavailableError: "):
        process.receive(120)


def test_threads_are_what_the_runtime_reports(toy_artifact: Artifact) -> None:
    found = fake_visit(toy_artifact, {"threads": 2})
    assert (found.threads_readback, found.discrepancies) == (2, ())
    found = fake_visit(toy_artifact, {"threads": 1})
    assert (found.threads_readback, found.discrepancies) == (1, ("fake reports 1 thread instead of 2",))
    found = fake_visit(toy_artifact, {})
    assert (found.threads_readback, found.discrepancies) == (None, ())


def test_images_are_the_same_each_time(toy_artifact: Artifact) -> None:
    one, other = visit.example(toy_artifact, 2), visit.example(toy_artifact, 2)
    assert (one.shape, one.dtype) == ((2, 3, 32, 32), np.dtype(np.float32))
    assert np.array_equal(one, other)
    assert np.std(one) > 0.9


def test_the_child_imports_no_statistics() -> None:
    code = (
        "import sys, runtimes.bench.worker.visit, runtimes.bench.worker.latency, runtimes.bench.worker.throughput, "
        "runtimes.bench.worker.server; "
        "print([m for m in sys.modules if m == 'scipy'])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


# What a process that measures or infers has no use for.
HEAVY = {"cv2", "onnx", "onnxscript", "paddle", "pandas", "pyarrow", "rich", "scipy"}


@pytest.mark.parametrize("name", ["ort-cpu", "openvino", "mnn"])
def test_a_visit_imports_its_own_runtime_and_no_other_heavy_package(toy_artifact: Artifact, name: str) -> None:
    if reason := registry.get(name).unavailable():
        pytest.skip(reason)
    with Worker(f"{__name__}:heavy", {"artifact": str(toy_artifact.path), "runtime": name}) as process:
        assert process.receive(120) == []


def heavy(job: dict[str, str]) -> list[str]:
    """The heavy packages in a process that has run a job."""
    visit.run_job(typed.table(Job(job["artifact"], job["runtime"], 1, Options(threads=1), "throughput", QUICK)))
    importlib.import_module("runtimes.infer")  # where parity's sessions are opened
    return sorted(HEAVY & sys.modules.keys())
