"""GPUs through NVML: what is read, what it means, and that whatever is not told is null with a reason."""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from runtimes.base import UnavailableError
from runtimes.gpu import nvml, nvml_library
from tests.runtimes.fake_nvml import FakeNvml, Gpu, real


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    """One GPU, which CUDA counts as its first, in a process that shares the system's process numbers."""
    pretended = FakeNvml()
    monkeypatch.setattr(nvml_library, "api", lambda: pretended)
    monkeypatch.setattr(nvml_library, "_bus_address", lambda number: [b"0000:65:00.0", b"0000:17:00.0"][number])
    monkeypatch.setattr(nvml, "_shares_process_numbers", lambda: True)
    return pretended


@pytest.fixture
def fresh_library() -> Iterator[None]:
    nvml_library.api.cache_clear()
    yield
    nvml_library.api.cache_clear()


def _read(device: str = "GPU") -> nvml.GpuReading:
    return nvml.read(device)


def _refused(device: str = "GPU") -> str:
    """Why a GPU cannot be read."""
    with pytest.raises(UnavailableError) as caught:
        nvml.read(device)
    return str(caught.value)


def _between(fake: FakeNvml, seconds: float = 2.0, **changes: Any) -> dict[str, Any]:
    """The difference of two readings `seconds` apart, between which the first GPU's attributes changed."""
    before = _read()
    for name, value in changes.items():
        assert hasattr(fake.gpus[0], name)
        setattr(fake.gpus[0], name, value)
    after = _read()
    return nvml.difference(before, nvml.GpuReading(before.time_s + seconds, after.values, after.unmeasured))


def test_a_quiet_gpu_is_told_in_full_and_not_disturbed(fake: FakeNvml) -> None:
    found = _between(
        fake, clocks={**fake.gpus[0].clocks, real.NVML_CLOCK_SM: 1755}, temperature=61, millijoules=1_700_000
    )
    assert found == {
        "seconds": 2.0,
        "clock_sm_mhz": [1980, 1755],
        "clock_sm_max_mhz": 1980,
        "clock_memory_mhz": [2619, 2619],
        "temperature_c": [40, 61],
        "power_w": [120.5, 120.5],
        "throttle_reasons": [],
        "throttled_share": {"power": 0.0, "heat": 0.0},
        "energy_mj": 700_000,
        "memory_used_bytes": [1 << 30, 1 << 30],
        "memory_total_bytes": 80 << 30,
        "foreign_processes": 0,
        "foreign_memory_bytes": 0,
        "utilisation": 0.97,
        "memory_utilisation": 0.31,
        "unmeasured": {},
    }
    assert nvml.disturbed(found) is None
    json.dumps(found)


def test_a_clock_that_heat_held_back_is_a_disturbance(fake: FakeNvml) -> None:
    counters = {real.NVML_PERF_POLICY_POWER: 0, real.NVML_PERF_POLICY_THERMAL: 500_000_000}
    found = _between(fake, throttled_ns=counters)
    assert found["throttled_share"] == {"power": 0.0, "heat": 0.25}
    assert nvml.disturbed(found) == "the GPU was disturbed: clocks held back by heat for 25% of the time"


def test_the_counter_outweighs_what_an_instant_shows(fake: FakeNvml) -> None:
    found = _between(fake, reasons=real.nvmlClocksEventReasonSwPowerCap | real.nvmlClocksEventReasonGpuIdle)
    assert found["throttle_reasons"] == ["gpu_idle", "power_cap"]
    assert nvml.disturbed(found) is None


def test_without_counters_an_instant_is_enough(fake: FakeNvml) -> None:
    fake.fail["nvmlDeviceGetViolationStatus"] = real.NVML_ERROR_NOT_SUPPORTED
    found = _between(fake, reasons=real.nvmlClocksEventReasonSwThermalSlowdown)
    assert found["throttled_share"] == {"power": None, "heat": None}
    assert found["unmeasured"] == dict.fromkeys(("power_throttled_ns", "heat_throttled_ns"), "NVML: Not Supported")
    assert nvml.disturbed(found) == ("the GPU was disturbed: clocks held back by heat (thermal_slowdown_by_driver)")


def test_every_reason_has_the_bit_that_nvml_gives_it(fake: FakeNvml) -> None:
    named = {name: getattr(real, f"nvmlClocksEventReason{name}") for name in nvml._REASONS}
    assert sum(named.values()) == real.nvmlClocksEventReasonAll
    for name, bit in named.items():
        fake.gpus[0].reasons = bit
        assert _read().values["throttle_reasons"] == (nvml._REASONS[name],)


def test_older_drivers_call_the_reasons_otherwise(fake: FakeNvml) -> None:
    fake.fail["nvmlDeviceGetCurrentClocksEventReasons"] = real.NVML_ERROR_FUNCTION_NOT_FOUND
    fake.gpus[0].reasons = real.nvmlClocksEventReasonHwSlowdown
    assert _read().values["throttle_reasons"] == ("hardware_slowdown",)


def test_processes_of_others_are_counted_and_not_named(fake: FakeNvml) -> None:
    found = _between(fake, processes=[(os.getpid(), 5 << 20), (7_654_321, 3 << 20), (7_654_322, 2 << 20)])
    assert (found["foreign_processes"], found["foreign_memory_bytes"]) == (2, 5 << 20)
    assert nvml.disturbed(found) == "the GPU was disturbed: 2 other processes computing on it"
    assert "7654321" not in json.dumps(found)


def test_processes_in_a_container_cannot_be_told_apart(fake: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "_shares_process_numbers", lambda: False)
    assert _between(fake)["foreign_processes"] == 0
    found = _between(fake, processes=[(7_654_321, 3 << 20)])
    assert found["foreign_processes"] is None
    assert "container" in found["unmeasured"]["foreign_processes"]
    assert nvml.disturbed(found) is None


def test_memory_of_a_process_may_be_untold(fake: FakeNvml) -> None:
    found = _between(fake, processes=[(7_654_321, None)])
    assert (found["foreign_processes"], found["foreign_memory_bytes"]) == (1, None)
    assert "memory of each process" in found["unmeasured"]["foreign_memory_bytes"]


def test_what_a_gpu_does_not_tell_is_null_with_the_reason(fake: FakeNvml) -> None:
    _read()
    for function in [name for name in fake.calls if name != "nvmlDeviceGetHandleByPciBusId"]:
        fake.fail[function] = real.NVML_ERROR_NOT_SUPPORTED
    found = _between(fake)
    assert set(found["unmeasured"]) == set(nvml._READ)
    assert set(found["unmeasured"].values()) == {"NVML: Not Supported"}
    told = {name for name, value in found.items() if value is not None and name not in ("seconds", "unmeasured")}
    assert told == {"throttled_share"}
    assert nvml.disturbed(found) is None


def test_energy_of_a_driver_that_was_loaded_again_is_null(fake: FakeNvml) -> None:
    found = _between(fake, millijoules=5)
    assert found["energy_mj"] is None
    assert found["unmeasured"] == {"energy_mj": "the driver was loaded again meanwhile"}


def test_cudas_number_finds_the_gpu_by_its_bus_address(fake: FakeNvml) -> None:
    fake.gpus = [Gpu(b"0000:17:00.0", "Slow"), Gpu(b"0000:65:00.0", "Fast")]
    fake.gpus[1].temperature = 77
    assert _read("GPU").values["temperature_c"] == _read("GPU.0").values["temperature_c"] == 77
    assert _read("GPU.1").values["temperature_c"] == 40
    fake.gpus.pop()
    assert _refused("GPU.0") == "NVML does not know the GPU: Not Found"


def test_without_cuda_bindings_only_a_single_gpu_is_sure(fake: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_bindings(number: int) -> bytes:
        raise ImportError("no module named cuda")

    monkeypatch.setattr(nvml_library, "_bus_address", no_bindings)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert nvml.read("GPU")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert "cuda-bindings" in _refused()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    fake.gpus.append(Gpu())
    assert "cuda-bindings" in _refused()


def test_the_bus_address_comes_from_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="no cuda-bindings here")
    assert callable(runtime.cudaDeviceGetPCIBusId)
    from runtimes.gpu import cuda

    monkeypatch.setattr(cuda, "require_driver", lambda: None)
    monkeypatch.setattr(
        cuda, "call", lambda *asked: b"0000:65:00.0\0\0\0\0" if asked[0] == "cudaDeviceGetPCIBusId" else None
    )
    nvml_library._bus_address.cache_clear()
    try:
        assert nvml_library._bus_address(0) == b"0000:65:00.0"
    finally:
        nvml_library._bus_address.cache_clear()


@pytest.mark.parametrize("device", ["CPU", "GPU.x", "NPU"])
def test_what_is_no_gpu_is_refused_in_a_sentence(fake: FakeNvml, device: str) -> None:
    assert _refused(device) == f"{device} is no GPU"


@pytest.mark.usefixtures("fresh_library")
@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (real.NVML_ERROR_LIBRARY_NOT_FOUND, "no NVIDIA driver: its library NVML (libnvidia-ml.so.1) is not found"),
        (real.NVML_ERROR_DRIVER_NOT_LOADED, "NVML cannot be started: Driver Not Loaded"),
    ],
)
def test_no_nvml_is_a_sentence(monkeypatch: pytest.MonkeyPatch, error: int, sentence: str) -> None:
    pretended = FakeNvml()
    pretended.fail["nvmlInit"] = error
    monkeypatch.setattr(importlib, "import_module", lambda name: pretended)
    assert _refused() == sentence
    with pytest.raises(UnavailableError, match=re.escape(sentence)):
        nvml.describe()


def test_every_gpu_is_described_without_what_tells_it_from_its_like(fake: FakeNvml) -> None:
    fake.gpus.append(Gpu(b"0000:17:00.0", "Other"))
    fake.fail["nvmlDeviceGetMigMode"] = real.NVML_ERROR_NOT_SUPPORTED
    first, second = nvml.describe()
    assert first == {
        "name": "Pretended GPU",
        "memory_bytes": 80 << 30,
        "compute_capability": "9.0",
        "driver": "580.65.06",
        "cuda_driver": "13.2",
        "power_limit_w": 700.0,
        "mig": None,
        "ecc": True,
        "clock_sm_mhz": 1980,
        "clock_sm_max_mhz": 1980,
        "clock_memory_mhz": 2619,
        "unmeasured": {"mig": "NVML: Not Supported"},
    }
    assert second["name"] == "Other"


def test_a_driver_without_a_gpu_is_said(fake: FakeNvml) -> None:
    fake.gpus.clear()
    with pytest.raises(UnavailableError, match="the NVIDIA driver finds no GPU"):
        nvml.describe()


def test_the_energy_counter_is_the_boards_own(fake: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    assert nvml.energy_mj("GPU") == 1_000_000
    fake.fail["nvmlDeviceGetMigMode"] = real.NVML_ERROR_NOT_SUPPORTED  # as on GPUs that cannot be divided
    assert nvml.energy_mj("GPU") == 1_000_000
    fake.fail["nvmlDeviceGetTotalEnergyConsumption"] = real.NVML_ERROR_NOT_SUPPORTED
    with pytest.raises(UnavailableError, match="NVML: Not Supported"):
        nvml.energy_mj("GPU")
    fake.fail.clear()
    monkeypatch.setattr(FakeNvml, "nvmlDeviceGetMigMode", lambda self, gpu: [1, 1])
    with pytest.raises(UnavailableError, match=r"divided \(MIG\)"):
        nvml.energy_mj("GPU")
