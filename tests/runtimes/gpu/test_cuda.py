"""The CUDA layer: every status is checked, everything is released, and no driver is a sentence."""

from __future__ import annotations

import ctypes
import gc
from typing import Any

import numpy as np
import pytest

from runtimes.base import UnavailableError
from runtimes.gpu import cuda
from tests.runtimes.fake_cuda import FakeCuda


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    pretended = FakeCuda()
    monkeypatch.setattr(cuda, "_api", lambda: pretended)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: None)
    return pretended


def _no_library(name: str) -> None:
    raise OSError(f"{name}: cannot open shared object file")


def test_no_driver_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", _no_library)
    with pytest.raises(UnavailableError, match=r"^no CUDA driver: (libcuda\.so\.1|nvcuda\.dll) not found$"):
        cuda.devices()


def test_the_real_bindings_refuse_without_a_driver() -> None:
    if _has_driver():
        pytest.skip("there is a driver here")
    with pytest.raises(cuda.CudaError, match=r"^cudaMalloc: cudaErrorInsufficientDriver: CUDA driver version is"):
        cuda.Buffer(16)


def test_the_real_bindings_take_the_arguments_that_we_give() -> None:
    """Without a driver each call fails, but only after its arguments were understood: a wrong one is a TypeError."""
    api = cuda._api()
    stream, event, graph, executable = api.cudaStream_t(), api.cudaEvent_t(), api.cudaGraph_t(), api.cudaGraphExec_t()
    array = np.zeros(4, np.float32)
    device = 1 << 20
    calls: list[tuple[Any, ...]] = [
        ("cudaSetDevice", 0),
        ("cudaGetDeviceProperties", 0),
        ("cudaMalloc", 16),
        ("cudaFree", device),
        ("cudaMallocHost", 16),
        ("cudaFreeHost", device),
        ("cudaPointerGetAttributes", device),
        ("cudaStreamCreateWithFlags", api.cudaStreamNonBlocking),
        ("cudaStreamSynchronize", int(stream)),
        ("cudaStreamDestroy", stream),
        ("cudaEventCreate",),
        ("cudaEventRecord", event, int(stream)),
        ("cudaEventElapsedTime", event, event),
        ("cudaEventDestroy", event),
        ("cudaMemcpyAsync", device, array.ctypes.data, 16, api.cudaMemcpyKind.cudaMemcpyHostToDevice, int(stream)),
        ("cudaMemcpyAsync", array.ctypes.data, device, 16, api.cudaMemcpyKind.cudaMemcpyDeviceToHost, int(stream)),
        ("cudaStreamBeginCapture", int(stream), api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal),
        ("cudaStreamEndCapture", int(stream)),
        ("cudaGraphInstantiate", graph, 0),
        ("cudaGraphLaunch", executable, int(stream)),
        ("cudaGraphDestroy", graph),
        ("cudaGraphExecDestroy", executable),
    ]
    if _has_driver():
        pytest.skip("there is a driver here, which takes these handles seriously")
    for name, *arguments in calls:
        with pytest.raises(cuda.CudaError, match=rf"^{name}: cuda"):
            cuda.call(name, *arguments)


def _has_driver() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def test_missing_bindings_are_said_in_a_sentence(fake: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Any:
        raise ModuleNotFoundError("No module named 'cuda'")

    monkeypatch.setattr(cuda, "_api", missing)
    with pytest.raises(UnavailableError, match="cuda-bindings cannot be imported: No module named 'cuda'"):
        cuda.devices()


def test_a_driver_that_is_too_old_is_told_with_both_versions(fake: FakeCuda) -> None:
    fake.fail["cudaGetDeviceCount"] = fake.cudaError_t.cudaErrorInsufficientDriver
    with pytest.raises(UnavailableError, match=r"the CUDA driver is for CUDA 12\.4 and cuda-bindings for CUDA 13\.5: "):
        cuda.devices()


def test_a_driver_without_a_device_is_told(fake: FakeCuda) -> None:
    fake.fail["cudaGetDeviceCount"] = fake.cudaError_t.cudaErrorNoDevice
    with pytest.raises(UnavailableError, match="no CUDA device can be used: cudaErrorNoDevice: no CUDA-capable device"):
        cuda.devices()
    fake.fail.clear()
    fake.count = 0
    with pytest.raises(UnavailableError, match="finds no device"):
        cuda.devices()


def test_devices_are_numbered_when_there_are_several(fake: FakeCuda) -> None:
    assert cuda.devices() == ["GPU"]
    fake.count = 3
    assert cuda.devices() == ["GPU.0", "GPU.1", "GPU.2"]
    assert (cuda.use("GPU.2"), fake.device) == (2, 2)
    assert (cuda.use("GPU"), fake.device) == (0, 0)


def test_what_a_device_is(fake: FakeCuda) -> None:
    assert cuda.device_info(0) == cuda.DeviceInfo("Pretended GPU", (8, 9), 8 << 30)


def test_every_function_that_fails_is_told_by_its_name(fake: FakeCuda) -> None:
    with cuda.Stream() as stream, cuda.Event() as event, cuda.Buffer(4) as buffer:
        array = np.zeros(1, np.float32)
        attempts = {
            "cudaStreamCreateWithFlags": cuda.Stream,
            "cudaStreamSynchronize": stream.synchronize,
            "cudaEventCreate": cuda.Event,
            "cudaEventRecord": lambda: event.record(stream),
            "cudaEventElapsedTime": lambda: event.elapsed_ms(event),
            "cudaMalloc": lambda: cuda.Buffer(1),
            "cudaMallocHost": lambda: cuda.pinned((1,), np.float32),
            "cudaMemcpyAsync": lambda: cuda.copy_to_device(buffer, array, stream),
            "cudaStreamBeginCapture": lambda: cuda.Graph(stream, lambda: None),
            "cudaStreamEndCapture": lambda: cuda.Graph(stream, lambda: None),
            "cudaPointerGetAttributes": buffer.device,
            "cudaSetDevice": lambda: cuda.use("GPU"),
            "cudaGetDeviceProperties": lambda: cuda.device_info(0),
        }
        for name, attempt in attempts.items():
            fake.fail = {name: fake.cudaError_t.cudaErrorMemoryAllocation}
            with pytest.raises(cuda.CudaError, match=rf"^{name}: cudaErrorMemoryAllocation: out of memory$"):
                attempt()
        fake.fail = {}


def test_copies_go_there_and_back_and_wait_for_the_stream(fake: FakeCuda) -> None:
    given = np.arange(6, dtype=np.float32).reshape(2, 3)
    answer = cuda.pinned((2, 3), np.float32)
    answer[:] = -1
    with cuda.Stream() as stream, cuda.Buffer(given.nbytes) as buffer:
        cuda.copy_to_device(buffer, given, stream)
        cuda.copy_to_host(answer, buffer, stream)
        assert (answer == -1).all()
        stream.synchronize()
        assert (answer == given).all()


def test_what_does_not_fit_is_not_copied(fake: FakeCuda) -> None:
    with cuda.Stream() as stream, cuda.Buffer(8) as buffer:
        with pytest.raises(ValueError, match="buffer of 8"):
            cuda.copy_to_device(buffer, np.zeros(3, np.float32), stream)
        with pytest.raises(ValueError, match="one piece"):
            cuda.copy_to_host(np.zeros((2, 2), np.float32)[:, :1], buffer, stream)


def test_events_measure_what_lies_between_them(fake: FakeCuda) -> None:
    with cuda.Stream() as stream, cuda.Event() as began, cuda.Event() as ended:
        began.record(stream)
        ended.record(stream)
        with pytest.raises(cuda.CudaError, match="cudaErrorNotReady"):
            began.elapsed_ms(ended)
        stream.synchronize()
        assert began.elapsed_ms(ended) == 1.0


def test_a_graph_runs_when_it_is_launched_and_not_before(fake: FakeCuda) -> None:
    seen: list[int] = []

    def work() -> None:
        fake.queue(stream.handle, lambda: seen.append(1))

    with cuda.Stream() as stream, cuda.Graph(stream, work) as graph:
        stream.synchronize()
        assert seen == []
        for _ in range(2):
            graph.launch(stream)
        stream.synchronize()
        assert seen == [1, 1]
    assert not +fake.left


def test_work_that_fails_in_a_capture_ends_the_capture(fake: FakeCuda) -> None:
    def fails() -> None:
        raise UnavailableError("no")

    with cuda.Stream() as stream:
        with pytest.raises(UnavailableError, match="no"):
            cuda.Graph(stream, fails)
        stream.synchronize()  # as it cannot while a capture goes on
    assert not +fake.left


def test_a_graph_that_cannot_be_made_leaves_nothing(fake: FakeCuda) -> None:
    fake.fail["cudaGraphInstantiate"] = fake.cudaError_t.cudaErrorInvalidValue
    with cuda.Stream() as stream, pytest.raises(cuda.CudaError, match="cudaGraphInstantiate"):
        cuda.Graph(stream, lambda: None)
    assert not +fake.left


def test_everything_is_released_once(fake: FakeCuda) -> None:
    resources = [cuda.Stream(), cuda.Event(), cuda.Buffer(4)]
    for resource in resources * 2:
        resource.close()
    assert not +fake.left


def test_pinned_memory_lives_as_long_as_its_last_view(fake: FakeCuda) -> None:
    view = cuda.pinned((4, 2), np.float16)[1:]
    gc.collect()
    assert fake.left["memory"] == 1
    assert (view.shape, view.dtype) == ((3, 2), np.dtype(np.float16))
    del view
    gc.collect()
    assert fake.left["memory"] == 0


def test_pinned_memory_may_be_empty(fake: FakeCuda) -> None:
    assert cuda.pinned((0, 3), np.float32).shape == (0, 3)
