"""onnxruntime-gpu for real, without a driver: every way ends in the right reason, and none on the processor."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from convert.artifact import Artifact
from convert.common import worker
from runtimes.adapters.onnxruntime import ORT_CPU, ORT_CUDA, ORT_TENSORRT
from runtimes.base import Options, Runtime, UnavailableError
from runtimes.gpu import cuda
from runtimes.infer import Pass, infer
from runtimes.ort import libraries as ort_libraries
from runtimes.ort.session import CUDA, TENSORRT, OrtSession
from runtimes.system import conflicts
from tests.runtimes.fake_onnxruntime import DEFAULTS

if "onnxruntime-gpu" not in conflicts.installed():
    pytest.skip("onnxruntime-gpu is not installed here", allow_module_level=True)

CAPI = Path(onnxruntime.__file__).parent / "capi"
NO_DRIVER = "no CUDA driver: libcuda.so.1 not found"
BOTH = pytest.mark.parametrize("runtime", [ORT_CUDA, ORT_TENSORRT], ids=lambda runtime: runtime.name)


@pytest.fixture
def no_driver() -> None:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return
    pytest.skip("there is a CUDA driver here")


@pytest.mark.parametrize("provider", [CUDA, TENSORRT])
def test_every_option_is_known_to_the_provider(provider: str) -> None:
    """The pretended provider takes only these, and so the adapter asks for no others."""
    library = (CAPI / ort_libraries._FILES[provider]).read_bytes()
    unknown = [name for name in DEFAULTS[provider] if name.encode() + b"\0" not in library]
    assert not unknown


@pytest.mark.usefixtures("no_driver")
@BOTH
def test_no_driver_is_the_reason(toy_artifact: Artifact, runtime: Runtime) -> None:
    assert runtime.unavailable() == NO_DRIVER
    assert runtime.version() == onnxruntime.__version__
    with pytest.raises(UnavailableError, match=NO_DRIVER):
        runtime.open(toy_artifact, Options(device="GPU"))
    with pytest.raises(worker.JobError, match=NO_DRIVER):
        infer(toy_artifact, runtime.name, Options(device="GPU"), np.zeros((1, 3, 32, 32), np.float32), [Pass(1, [0])])


@pytest.mark.usefixtures("no_driver")
def test_the_doctor_gives_the_reasons() -> None:
    done = subprocess.run([sys.executable, "-m", "runtimes", "--json"], capture_output=True, text=True, check=False)
    found = {runtime["name"]: runtime for runtime in json.loads(done.stdout)["runtimes"]}
    assert found["ort-cpu"]["available"]
    for name in ("ort-cuda", "ort-tensorrt"):
        assert (found[name]["available"], found[name]["reason"]) == (False, NO_DRIVER)
        assert found[name]["version"] == onnxruntime.__version__


@pytest.mark.usefixtures("no_driver")
@pytest.mark.parametrize("provider", [CUDA, TENSORRT])
def test_a_session_on_the_gpu_is_refused_rather_than_run_elsewhere(toy_artifact: Artifact, provider: str) -> None:
    with pytest.raises(UnavailableError, match=f"could not start {provider}"):
        OrtSession(toy_artifact.onnx, provider, 1)
    # What it does by itself, and why it must be asked:
    fallen = onnxruntime.InferenceSession(str(toy_artifact.onnx), providers=[provider])
    assert fallen.get_providers() == ["CPUExecutionProvider"]


@pytest.mark.usefixtures("no_driver")
@BOTH
def test_what_is_missing_beside_the_driver_is_named(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "require_driver", lambda: None)
    monkeypatch.setattr(cuda, "devices", lambda: ["GPU"])
    provider = CUDA if runtime is ORT_CUDA else TENSORRT
    needed = ort_libraries.needed(CAPI / ort_libraries._FILES[provider])
    assert any(name.startswith("libcublas.so.") for name in needed)
    reason = str(runtime.unavailable())
    label = "CUDA" if provider == CUDA else "TensorRT"
    assert reason.startswith(f"the {label} provider of onnxruntime needs ")
    missing = ort_libraries.missing(needed)
    assert all(name in reason for name in missing[:5])
    if provider == TENSORRT and "libnvinfer.so.10" in missing:
        assert "install TensorRT 10 (pip install 'tensorrt-cu" in reason


def test_the_processor_still_works(toy_artifact: Artifact) -> None:
    images = np.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=np.float32)
    everything = [Pass(2, [0, 1])]
    (found,), effective = infer(toy_artifact, "ort-cpu", Options(threads=1), images, everything)
    (expected,), _ = infer(toy_artifact, "paddle", Options(threads=1), images, everything)
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())
    assert (effective.precision, effective.device) == ("fp32", "CPU")
    assert ORT_CPU.version() == onnxruntime.__version__
