"""An NVML without a GPU: stands in for `pynvml`, with the real one's constants, errors and names.

Every call is bound to the real function's signature first, so a wrong name or a wrong number of arguments fails.
"""

from __future__ import annotations

import inspect
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

real = pytest.importorskip("pynvml", reason="no nvidia-ml-py here, whose names are checked")


class Gpu:
    """What one GPU tells. Change the attributes; the next call sees it."""

    def __init__(self, bus: bytes = b"0000:65:00.0", name: str = "Pretended GPU") -> None:
        self.bus, self.name = bus, name
        self.clocks = {real.NVML_CLOCK_SM: 1980, real.NVML_CLOCK_MEM: 2619}
        self.reasons = 0
        self.throttled_ns = {real.NVML_PERF_POLICY_POWER: 0, real.NVML_PERF_POLICY_THERMAL: 0}
        self.temperature, self.milliwatts, self.millijoules = 40, 120_500, 1_000_000
        self.used, self.total = 1 << 30, 80 << 30
        self.processes: list[tuple[int, int | None]] = []


class FakeNvml:
    """fail: function name -> the NVML error number that it raises. calls: how often each was called."""

    def __init__(self, *gpus: Gpu) -> None:
        self.gpus = list(gpus or (Gpu(),))
        self.fail: dict[str, int] = {}
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(real, name)  # AttributeError for what pynvml does not have
        assert not inspect.isfunction(found), f"the fake has no {name}"
        return found

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if not name.startswith("nvml"):
            return found
        signature = inspect.signature(getattr(real, name))

        def called(*arguments: Any, **named: Any) -> Any:
            signature.bind(*arguments, **named)
            self.calls[name] += 1
            if name in self.fail:
                raise real.NVMLError(self.fail[name])
            return found(*arguments, **named)

        return called

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Gpu:
        return self.gpus[index]

    def nvmlDeviceGetHandleByPciBusId(self, address: bytes) -> Gpu:
        for gpu in self.gpus:
            if gpu.bus == address:
                return gpu
        raise real.NVMLError(real.NVML_ERROR_NOT_FOUND)

    def nvmlDeviceGetName(self, gpu: Gpu) -> str:
        return gpu.name

    def nvmlDeviceGetClockInfo(self, gpu: Gpu, kind: int) -> int:
        return gpu.clocks[kind]

    def nvmlDeviceGetMaxClockInfo(self, gpu: Gpu, kind: int) -> int:
        return 1980 if kind == real.NVML_CLOCK_SM else 2619

    def nvmlDeviceGetCurrentClocksEventReasons(self, gpu: Gpu) -> int:
        return gpu.reasons

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, gpu: Gpu) -> int:
        return gpu.reasons

    def nvmlDeviceGetViolationStatus(self, gpu: Gpu, policy: int) -> Any:
        return real.c_nvmlViolationTime_t(1, gpu.throttled_ns[policy])

    def nvmlDeviceGetTemperature(self, gpu: Gpu, sensor: int) -> int:
        assert sensor == real.NVML_TEMPERATURE_GPU
        return gpu.temperature

    def nvmlDeviceGetPowerUsage(self, gpu: Gpu) -> int:
        return gpu.milliwatts

    def nvmlDeviceGetEnforcedPowerLimit(self, gpu: Gpu) -> int:
        return 700_000

    def nvmlDeviceGetTotalEnergyConsumption(self, gpu: Gpu) -> int:
        return gpu.millijoules

    def nvmlDeviceGetMemoryInfo(self, gpu: Gpu) -> Any:
        return real.c_nvmlMemory_t(gpu.total, gpu.total - gpu.used, gpu.used)

    def nvmlDeviceGetComputeRunningProcesses(self, gpu: Gpu) -> list[Any]:
        return [SimpleNamespace(pid=pid, usedGpuMemory=memory) for pid, memory in gpu.processes]

    def nvmlDeviceGetUtilizationRates(self, gpu: Gpu) -> Any:
        return real.c_nvmlUtilization_t(97, 31)

    def nvmlDeviceGetCudaComputeCapability(self, gpu: Gpu) -> tuple[int, int]:
        return (9, 0)

    def nvmlDeviceGetEccMode(self, gpu: Gpu) -> list[int]:
        return [1, 1]

    def nvmlDeviceGetMigMode(self, gpu: Gpu) -> list[int]:
        return [0, 0]

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.65.06"

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:
        return 13020
