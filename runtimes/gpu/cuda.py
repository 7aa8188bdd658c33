"""Device memory, streams and events of NVIDIA GPUs through `cuda-bindings`, without torch.

Every call's status is checked: CudaError has the function, the error's name and its text.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from runtimes.base import UnavailableError

_DRIVER_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


class CudaError(RuntimeError):
    """A call of the CUDA runtime failed: `cudaMalloc: cudaErrorMemoryAllocation: out of memory`."""


@functools.cache
def _api() -> Any:
    from cuda.bindings import runtime

    return runtime


def call(function: str, *arguments: Any) -> Any:
    """Call a function of the CUDA runtime by its C name; return what it gives beside its status.

    Returns nothing, the one value, or a tuple. CudaError when the status is not cudaSuccess.
    """
    status, *values = getattr(_api(), function)(*arguments)
    if status != 0:
        raise CudaError(f"{function}: {_sentence(status)}")
    return values[0] if len(values) == 1 else tuple(values) or None


def _sentence(status: Any) -> str:
    name, text = (_api().cudaGetErrorName(status)[1], _api().cudaGetErrorString(status)[1])
    return f"{name.decode()}: {text.decode()}"


def require_driver() -> None:
    """UnavailableError, in a sentence, where no CUDA program can run: no driver, no bindings, too old a driver."""
    try:
        ctypes.CDLL(_DRIVER_LIBRARY)
    except OSError:
        raise UnavailableError(f"no CUDA driver: {_DRIVER_LIBRARY} not found") from None
    try:
        status, count = _api().cudaGetDeviceCount()
    except ImportError as error:
        raise UnavailableError(f"cuda-bindings cannot be imported: {error}") from None
    if status == _api().cudaError_t.cudaErrorInsufficientDriver:
        has, needs = _version(_api().cudaDriverGetVersion()[1]), _version(_api().cudaRuntimeGetVersion()[1])
        raise UnavailableError(
            f"the CUDA driver is for CUDA {has} and cuda-bindings for CUDA {needs}: "
            "install a newer driver, or cuda-bindings of the driver's version"
        )
    if status != 0:
        raise UnavailableError(f"no CUDA device can be used: {_sentence(status)}")
    if not count:
        raise UnavailableError("the CUDA driver finds no device")


def _version(number: int) -> str:
    # CUDA writes 13.2 as 13020.
    return f"{number // 1000}.{number % 1000 // 10}"


def devices() -> list[str]:
    """The GPUs, as `Options.device` names them: ["GPU"] for one, ["GPU.0", "GPU.1"] for two.

    UnavailableError, with the reason, where there is none.
    """
    require_driver()
    count = call("cudaGetDeviceCount")
    return ["GPU"] if count == 1 else [f"GPU.{index}" for index in range(count)]


def use(device: str) -> int:
    """Make a GPU (`GPU`, `GPU.1`) the one that this thread works with; returns CUDA's number of it."""
    number = int(device.partition(".")[2] or 0)
    call("cudaSetDevice", number)
    return number


@dataclass(frozen=True)
class DeviceInfo:
    """What a GPU is: `NVIDIA L4`, compute capability (8, 9), bytes of memory."""

    name: str
    compute_capability: tuple[int, int]
    memory_bytes: int


def device_info(number: int) -> DeviceInfo:
    """What the GPU with CUDA's number `number` is."""
    found = call("cudaGetDeviceProperties", number)
    name = found.name.decode() if isinstance(found.name, bytes) else str(found.name)
    return DeviceInfo(name.rstrip("\0"), (found.major, found.minor), found.totalGlobalMem)


class _Resource:
    """Something of the device, released by `close` or at the end of a `with` block."""

    _release: str

    def __init__(self, handle: Any) -> None:
        self._handle: Any = handle

    def close(self) -> None:
        """Release it; a second time does nothing."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            call(self._release, handle)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Stream(_Resource):
    """A queue of work on the device, apart from the default one."""

    _release = "cudaStreamDestroy"

    def __init__(self) -> None:
        super().__init__(call("cudaStreamCreateWithFlags", _api().cudaStreamNonBlocking))
        self.handle = int(self._handle)

    def synchronize(self) -> None:
        """Wait until all that was queued is done."""
        call("cudaStreamSynchronize", self.handle)


class Event(_Resource):
    """A point in a stream, with the time at which the device passed it."""

    _release = "cudaEventDestroy"

    def __init__(self) -> None:
        super().__init__(call("cudaEventCreate"))

    def record(self, stream: Stream) -> None:
        """Mark this point of the stream."""
        call("cudaEventRecord", self._handle, stream.handle)

    def elapsed_ms(self, later: Event) -> float:
        """Milliseconds from this event to a later one, by the device's clock. Both must have been passed."""
        return float(call("cudaEventElapsedTime", self._handle, later._handle))


class Graph(_Resource):
    """Work that was captured from a stream, to be queued again at the cost of one launch."""

    _release = "cudaGraphExecDestroy"

    def __init__(self, stream: Stream, queue_work: Callable[[], None]) -> None:
        """Capture what `queue_work` queues on the stream: nothing of it runs yet. CudaError when it cannot be captured.

        The work must only queue on this stream, and what it points to must live as long as the graph.
        """
        # Thread-local: what other threads do meanwhile does not spoil the capture.
        call("cudaStreamBeginCapture", stream.handle, _api().cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)
        try:
            queue_work()
        except BaseException:
            with suppress(CudaError):  # what went wrong in the capture is told by the first error
                call("cudaGraphDestroy", call("cudaStreamEndCapture", stream.handle))
            raise
        graph = call("cudaStreamEndCapture", stream.handle)
        try:
            super().__init__(call("cudaGraphInstantiate", graph, 0))
        finally:
            call("cudaGraphDestroy", graph)

    def launch(self, stream: Stream) -> None:
        """Queue the captured work."""
        call("cudaGraphLaunch", self._handle, stream.handle)


class Buffer(_Resource):
    """Bytes of device memory."""

    _release = "cudaFree"

    def __init__(self, size: int) -> None:
        super().__init__(call("cudaMalloc", size))
        self.pointer, self.size = int(self._handle), size

    def device(self) -> int:
        """CUDA's number of the GPU whose memory it is."""
        return int(call("cudaPointerGetAttributes", self.pointer).device)


def pinned(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """An array in page-locked host memory: copies to and from it run beside the host. Freed with its last view."""
    kind = np.dtype(dtype)
    size = max(1, kind.itemsize * int(np.prod(shape)))
    pointer = int(call("cudaMallocHost", size))
    memory = (ctypes.c_byte * size).from_address(pointer)
    # Arrays keep `memory` alive. At exit the driver may be gone before it, and frees all of it anyway.
    weakref.finalize(memory, call, "cudaFreeHost", pointer).atexit = False
    return np.frombuffer(memory, kind, count=int(np.prod(shape))).reshape(shape)


def copy_to_device(buffer: Buffer, array: np.ndarray, stream: Stream) -> None:
    """Queue a copy of a contiguous array to the start of the buffer. The array must stay unchanged until it is done."""
    _fits(buffer, array)
    kind = _api().cudaMemcpyKind.cudaMemcpyHostToDevice
    call("cudaMemcpyAsync", buffer.pointer, array.ctypes.data, array.nbytes, kind, stream.handle)


def copy_to_host(array: np.ndarray, buffer: Buffer, stream: Stream) -> None:
    """Queue a copy of the buffer's start to a contiguous array. Synchronise the stream before the array is read."""
    _fits(buffer, array)
    kind = _api().cudaMemcpyKind.cudaMemcpyDeviceToHost
    call("cudaMemcpyAsync", array.ctypes.data, buffer.pointer, array.nbytes, kind, stream.handle)


def _fits(buffer: Buffer, array: np.ndarray) -> None:
    if array.nbytes > buffer.size or not array.flags.c_contiguous:
        raise ValueError(f"{array.nbytes} bytes in one piece are needed for a buffer of {buffer.size}")
