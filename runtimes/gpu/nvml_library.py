"""NVIDIA's management library (NVML) through `pynvml`, the module of nvidia-ml-py: started, and asked about GPUs."""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Mapping
from typing import Any

from runtimes.base import UnavailableError
from runtimes.gpu import cuda

Question = Callable[[Any, Any], Any]


@functools.cache
def api() -> Any:
    """pynvml with the library started. It stays so until the process ends: starting takes tens of milliseconds."""
    try:
        module = importlib.import_module("pynvml")
    except ImportError as error:
        raise UnavailableError(f"nvidia-ml-py cannot be imported: {error}") from None
    try:
        module.nvmlInit()
    except module.NVMLError as error:
        if error.value == module.NVML_ERROR_LIBRARY_NOT_FOUND:
            raise UnavailableError("no NVIDIA driver: its library NVML (libnvidia-ml.so.1) is not found") from None
        raise UnavailableError(f"NVML cannot be started: {error}") from None
    return module


def handles() -> list[Any]:
    """NVML's handles of all GPUs, along the PCI bus. UnavailableError where there is none."""
    nvml = api()
    try:
        found = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        raise UnavailableError(f"NVML does not give the GPUs: {error}") from None
    if not found:
        raise UnavailableError("the NVIDIA driver finds no GPU")
    return found


def handle(device: str) -> Any:
    """NVML's handle of a GPU as CUDA counts them (`GPU`, `GPU.1`). UnavailableError where it cannot be had.

    The two count differently: CUDA from the fastest, and only what CUDA_VISIBLE_DEVICES lets it see; NVML along the PCI
    bus. The bus address is what they share. A MIG slice has that of its card: what is read then is of the whole card.
    """
    name, _, digits = device.partition(".")
    if name != "GPU" or not (digits or "0").isdigit():
        raise UnavailableError(f"{device} is no GPU")
    nvml, number = api(), int(digits or 0)
    try:
        return nvml.nvmlDeviceGetHandleByPciBusId(_bus_address(number))
    except ImportError:
        found = handles()
        if len(found) == 1 and number == 0 and not os.environ.get("CUDA_VISIBLE_DEVICES"):
            return found[0]
        raise UnavailableError(
            "which of NVML's GPUs is CUDA's is told by cuda-bindings, which is not installed (make EXTRA=cuda)"
        ) from None
    except nvml.NVMLError as error:
        raise UnavailableError(f"NVML does not know the GPU: {error}") from None


@functools.cache
def _bus_address(number: int) -> bytes:
    """`0000:65:00.0` of the GPU with CUDA's number. ImportError without cuda-bindings."""
    importlib.import_module("cuda.bindings.runtime")
    try:
        cuda.require_driver()
        address = cuda.call("cudaDeviceGetPCIBusId", 16, number)
    except cuda.CudaError as error:
        raise UnavailableError(str(error)) from None
    return bytes(address).split(b"\0")[0]


def ask(device: Any, questions: Mapping[str, Question]) -> tuple[dict[str, Any], dict[str, str]]:
    """Answers by the questions' names, None where there is none, and the reason for each None.

    device: NVML's handle. A question gets pynvml and the handle; its NVMLError or LookupError becomes the reason.
    """
    nvml = api()
    values: dict[str, Any] = {}
    unmeasured: dict[str, str] = {}
    for name, question in questions.items():
        try:
            values[name] = question(nvml, device)
        except nvml.NVMLError as error:
            values[name], unmeasured[name] = None, f"NVML: {error}"
        except LookupError as error:
            values[name], unmeasured[name] = None, str(error.args[0])
    return values, unmeasured
