"""The GPU check, rehearsed whole on a runtime that behaves like one on a GPU, and its judgements one by one."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from runtimes.records.kinds import Latency, Parity, Record
from runtimes.records.parts import DeviceMedians, Effective
from scripts.verify_gpu import Ended, _proves, _refuses, _times

ROOT = Path(__file__).parents[2]

# Computes on the CPU and says GPU, so that every step has something to look at.
PLUGIN = """
import dataclasses, os
import numpy as np
from runtimes.adapters.onnxruntime import ORT_CPU
from runtimes.base import DeviceTimes, Effective, Runtime, Session, Setting, UnavailableError

class Fake(Session):
    def __init__(self, artifact, options):
        self.session = ORT_CPU.open(artifact, dataclasses.replace(options, precision="fp32", device="CPU", extra={}))
        self.precision, self.inputs, self.outputs = options.precision, self.session.inputs, self.session.outputs
    def _run(self, images):
        logits = self.session.run(images)
        return logits * np.float32(1.003) if self.precision == "tf32" else logits
    def device_times(self):
        return DeviceTimes(0.001, 0.01, 0.001)
    def effective(self):
        return Effective(self.precision, "GPU", self.session.effective().details)
    def close(self):
        self.session.close()

def devices():
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "-1":
        raise UnavailableError("no CUDA device: cudaErrorNoDevice")
    return ["GPU"]

RUNTIME = Runtime("fake-gpu", "onnxruntime", ("onnxruntime",), ("fp32", "tf32"), devices, Fake,
                  settings={"cuda_graph": Setting("off", "replay", ("off", "on"))}, default_device="GPU")
"""


def test_the_whole_of_it(toy_toml: Path, tmp_path: Path) -> None:
    (tmp_path / "fake_gpu.py").write_text(PLUGIN)
    folder = tmp_path / "fake_gpu-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-gpu\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[vitbench.runtimes]\nfake-gpu = fake_gpu:RUNTIME\n")
    result = subprocess.run(
        [
            *(sys.executable, str(ROOT / "scripts" / "verify_gpu.py"), "--model", str(toy_toml), "--batch", "1"),
            *("--runtime", "fake-gpu,ort-cpu", "--out", "check", "--artifacts", "artifacts", "--minutes", "0.01"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    summary = (tmp_path / "check" / "SUMMARY.md").read_text()
    assert result.returncode == 0, summary + result.stderr
    steps = [line.split(" | ")[0].removeprefix("| ") for line in summary.splitlines() if line.startswith("| ")][2:]
    assert steps == [
        "doctor",
        "convert",
        "parity fp32 on fake-gpu",
        "parity tf32 on fake-gpu",
        "latency fp32 on fake-gpu",
        "latency fp32 on fake-gpu with CUDA graphs",
        "no fallback on fake-gpu with the GPU hidden",
        "no fallback on fake-gpu for a device that is not there",
        "latency tf32 on fake-gpu",
        "report",
    ]
    assert summary.count("| shown |") == len(steps)
    assert "- ort-cpu: finds no GPU" in summary
    report = (tmp_path / "check" / "results" / "report.md").read_text()
    assert "fake-gpu tf32" in report
    with tarfile.open(tmp_path / "check.tar.gz") as archive:
        assert {"./SUMMARY.md", "./logs/packages.txt", "./results/results.jsonl"} <= set(archive.getnames())


def outcome(*records: Record, status: int | None = 0, stderr: str = "") -> Ended:
    return Ended(status, 1.0, records, stderr)


def parity(max_abs: float, precision: str = "fp32", device: str = "GPU.0", passed: bool = True) -> Parity:
    effective = Effective(precision=precision, device=device)
    return Parity(**COMMON, reason="far off", effective=effective, passed=passed, max_abs=max_abs)


COMMON: dict[str, Any] = {
    "model": "toy",
    "precision": "fp32",
    "runtime": "ort-cuda",
    "device": "GPU",
    "artifact": None,
    "status": "ok",
    "command": "",
    "format": 2,
}


def test_a_precision_is_proven_by_what_ran_and_by_its_error() -> None:
    errors: dict[str, float] = {}
    fp32, tf32 = _proves("fp32", "GPU", errors), _proves("tf32", "GPU", errors)
    assert fp32(outcome(parity(1e-6))) is None
    assert tf32(outcome(parity(1e-3, "tf32"))) is None
    assert "look like one and the same" in str(tf32(outcome(parity(2e-6, "tf32"))))
    assert fp32(outcome(parity(1e-6, device="CPU"))) == "it ran as fp32 on CPU"
    assert fp32(outcome(parity(1e-6, "tf32"))) == "it ran as tf32 on GPU.0"
    assert fp32(outcome(parity(1.0, passed=False))) == "far off"
    assert fp32(outcome(status=None)) == "no record, exit status None"


def latency(times: DeviceMedians | None, **changed: Any) -> Latency:
    return Latency(
        **{
            **COMMON,
            "reason": None,
            "effective": None,
            "batch": 4,
            "median_ms": 6.0,
            "device_times_ms": times,
            **changed,
        }
    )


@pytest.mark.parametrize(
    ("times", "fits"),
    [
        (DeviceMedians(h2d_ms=0.1, compute_ms=5.0, d2h_ms=0.1), True),
        (None, True),
        (DeviceMedians(h2d_ms=0.1, compute_ms=0.0, d2h_ms=0.1), False),
        (DeviceMedians(h2d_ms=0.1, compute_ms=9.0, d2h_ms=0.1), False),
    ],
)
def test_device_times_fit_into_the_wall_time(times: DeviceMedians | None, fits: bool) -> None:
    assert (_times("GPU")(outcome(latency(times))) is None) is fits
    refused = latency(times, status="refused", reason="why", median_ms=None)
    assert _times("GPU")(outcome(refused)) == "batch 4: why"
    assert _times("GPU")(outcome(status=1)) == "no record, exit status 1"


def test_a_number_without_a_gpu_is_a_fault() -> None:
    good = "error: runtime ort-cuda is not available: no CUDA driver: libcuda.so.1 not found\n"
    assert _refuses(outcome(status=2, stderr=good)) is None
    assert "numbers without a GPU" in str(_refuses(outcome(latency(None), status=1, stderr=good)))
    assert "no clear reason" in str(_refuses(outcome(status=1, stderr="Traceback\nSegfault\n")))
