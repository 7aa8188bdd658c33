"""A CUDA runtime without a GPU: device memory is host memory, and a stream does nothing until it is synchronised.

What is queued waits, so whoever reads results too early reads old ones; what is captured runs with the graph alone.
Nothing that is allocated twice, released twice or left is overlooked: `left` counts it.
"""

from __future__ import annotations

import ctypes
import itertools
import types
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

real = pytest.importorskip("cuda.bindings.runtime", reason="no cuda-bindings here, whose enumerations are used")
_OK = real.cudaError_t.cudaSuccess


class FakeCuda:
    """Stands in for `cuda.bindings.runtime`: the functions that runtimes/gpu/cuda.py calls, with the real ones' names.

    count: GPUs. fail: function name -> the error that it returns. device: of which memory is.
    """

    cudaError_t = real.cudaError_t
    cudaMemcpyKind = real.cudaMemcpyKind
    cudaStreamCaptureMode = real.cudaStreamCaptureMode
    cudaStreamNonBlocking = real.cudaStreamNonBlocking
    cudaGetErrorName = staticmethod(real.cudaGetErrorName)
    cudaGetErrorString = staticmethod(real.cudaGetErrorString)

    def __init__(self, count: int = 1) -> None:
        self.count, self.device = count, 0
        self.fail: dict[str, Any] = {}
        self.calls: Counter[str] = Counter()
        self.left: Counter[str] = Counter()
        self.capability = (8, 9)
        self._memory: dict[int, Any] = {}
        self._queues: dict[int, list[Callable[[], object]]] = {}
        self._captures: dict[int, list[Callable[[], object]]] = {}
        self._graphs: dict[int, list[Callable[[], object]]] = {}
        self._events: dict[int, float | None] = {}
        self._numbers = itertools.count(1000)
        self._clock = itertools.count(1)

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name.startswith("cuda") and callable(found) and not isinstance(found, type):

            def called(*arguments: Any) -> tuple[Any, ...]:
                self.calls[name] += 1
                failure = self.fail.get(name)
                return (failure, None) if failure else found(*arguments)

            return called
        return found

    def queue(self, stream: int, work: Callable[[], object]) -> None:
        """Put work on a stream, or into the graph that is being captured from it."""
        self._captures.get(stream, self._queues[stream]).append(work)

    def cudaGetDeviceCount(self) -> tuple[Any, int]:
        return _OK, self.count

    def cudaDriverGetVersion(self) -> tuple[Any, int]:
        return _OK, 12040

    def cudaRuntimeGetVersion(self) -> tuple[Any, int]:
        return _OK, 13050

    def cudaSetDevice(self, number: int) -> tuple[Any]:
        self.device = number
        return (_OK,)

    def cudaGetDeviceProperties(self, number: int) -> tuple[Any, Any]:
        major, minor = self.capability
        found = types.SimpleNamespace(name=b"Pretended GPU\0\0", major=major, minor=minor, totalGlobalMem=8 << 30)
        return _OK, found

    def _allocate(self, size: int) -> tuple[Any, int]:
        memory = ctypes.create_string_buffer(b"\xa5" * size, size)  # memory comes as it was left
        self._memory[ctypes.addressof(memory)] = memory
        self.left["memory"] += 1
        return _OK, ctypes.addressof(memory)

    def _free(self, pointer: int) -> tuple[Any]:
        del self._memory[pointer]
        self.left["memory"] -= 1
        return (_OK,)

    cudaMalloc = cudaMallocHost = _allocate
    cudaFree = cudaFreeHost = _free

    def cudaPointerGetAttributes(self, pointer: int) -> tuple[Any, Any]:
        assert pointer in self._memory
        return _OK, types.SimpleNamespace(device=self.device)

    def _new(self, what: str, table: dict[int, Any], value: Any) -> tuple[Any, int]:
        number = next(self._numbers)
        table[number] = value
        self.left[what] += 1
        return _OK, number

    def _drop(self, what: str, table: dict[int, Any], number: int) -> tuple[Any]:
        del table[number]
        self.left[what] -= 1
        return (_OK,)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, int]:
        assert flags == real.cudaStreamNonBlocking
        return self._new("streams", self._queues, [])

    def cudaStreamDestroy(self, stream: int) -> tuple[Any]:
        return self._drop("streams", self._queues, stream)

    def cudaStreamSynchronize(self, stream: int) -> tuple[Any]:
        assert stream not in self._captures, "a stream that is being captured cannot be synchronised"
        while self._queues[stream]:
            self._queues[stream].pop(0)()
        return (_OK,)

    def cudaEventCreate(self) -> tuple[Any, int]:
        return self._new("events", self._events, None)

    def cudaEventDestroy(self, event: int) -> tuple[Any]:
        return self._drop("events", self._events, event)

    def cudaEventRecord(self, event: int, stream: int) -> tuple[Any]:
        self.queue(stream, lambda: self._events.update({event: float(next(self._clock))}))
        return (_OK,)

    def cudaEventElapsedTime(self, first: int, later: int) -> tuple[Any, float | None]:
        began, ended = self._events[first], self._events[later]
        if began is None or ended is None:
            return real.cudaError_t.cudaErrorNotReady, None
        return _OK, ended - began

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: Any, stream: int) -> tuple[Any]:
        device = target if kind == real.cudaMemcpyKind.cudaMemcpyHostToDevice else source
        assert device in self._memory
        self.queue(stream, lambda: ctypes.memmove(target, source, size) and None)
        return (_OK,)

    def cudaStreamBeginCapture(self, stream: int, mode: Any) -> tuple[Any]:
        assert not self._queues[stream], "what was queued before must be done"
        self._captures[stream] = []
        return (_OK,)

    def cudaStreamEndCapture(self, stream: int) -> tuple[Any, int]:
        return self._new("graphs", self._graphs, self._captures.pop(stream))

    def cudaGraphInstantiate(self, graph: int, flags: int) -> tuple[Any, int]:
        return self._new("executable graphs", self._graphs, list(self._graphs[graph]))

    def cudaGraphLaunch(self, graph: int, stream: int) -> tuple[Any]:
        self._queues[stream].extend(self._graphs[graph])
        return (_OK,)

    def cudaGraphDestroy(self, graph: int) -> tuple[Any]:
        return self._drop("graphs", self._graphs, graph)

    def cudaGraphExecDestroy(self, graph: int) -> tuple[Any]:
        return self._drop("executable graphs", self._graphs, graph)
