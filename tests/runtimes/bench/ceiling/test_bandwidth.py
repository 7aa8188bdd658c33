"""Memory bandwidth: arrays that no cache holds, and bytes counted as STREAM counts them."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.common import isolate
from runtimes.bench.ceiling import bandwidth
from runtimes.gpu import cuda
from tests.runtimes.fake_cuda import FakeCuda

_MIB = 1 << 20


@pytest.mark.parametrize(
    ("last_cache", "free", "size", "doubt"),
    [
        (32 * _MIB, 16 << 30, 128 * _MIB, None),
        (4 * _MIB, 16 << 30, 64 * _MIB, None),
        (32 * _MIB, 300 * _MIB, 50 * _MIB, "arrays of 50 MiB are less than four times the last caches"),
        (1 << 30, 512 << 30, 2 << 30, "arrays of 2048 MiB are less than four times the last caches"),
        (None, 16 << 30, 64 * _MIB, "the size of the last cache is not known: what it holds may be counted as memory"),
    ],
)
def test_arrays_are_four_times_the_caches_or_it_is_said(
    last_cache: int | None, free: int, size: int, doubt: str | None
) -> None:
    assert bandwidth.array_bytes(last_cache, free) == (size, doubt)


@given(st.one_of(st.none(), st.integers(0, 1 << 40)), st.integers(0, 1 << 44))
def test_arrays_never_take_more_than_half_the_memory(last_cache: int | None, free: int) -> None:
    assert 3 * bandwidth.array_bytes(last_cache, free)[0] <= free / 2


def test_every_kernel_has_a_speed() -> None:
    told = isolate.call("runtimes.bench.ceiling.bandwidth:run_job", {"threads": 3, "bytes": 1 << 16})
    assert set(told) == {"read", "copy", "scale", "add"}
    assert all(speed > 0 for speed in told.values())


def test_all_threads_work_at_once_each_on_its_own_part(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, length = 3, 1000
    together = threading.Barrier(threads, timeout=10)  # broken where fewer threads work
    parts: dict[str, list[tuple[int, int]]] = {}

    def seen(name: str) -> Callable[..., Any]:
        real = getattr(np, name)

        def operation(*arrays: Any, **more: Any) -> Any:
            together.wait()
            parts.setdefault(name, []).append((threading.get_ident(), max(np.size(array) for array in arrays)))
            return real(*arrays, **more)

        return operation

    for name in ("dot", "copyto", "multiply", "add"):
        monkeypatch.setattr(np, name, seen(name))
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(variable, "")  # what it sets is put back
    bandwidth.run_job({"threads": threads, "bytes": 8 * length})
    for found in parts.values():
        repetitions = [found[start : start + threads] for start in range(0, len(found), threads)]
        assert all(len({thread for thread, _ in one}) == threads for one in repetitions)
        assert all(sum(size for _, size in one) == length for one in repetitions)
    assert set(parts) == {"dot", "copyto", "multiply", "add"}


def test_a_copy_on_a_gpu_reads_and_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeCuda(count=2)
    monkeypatch.setattr(cuda, "_api", lambda: fake)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: None)
    assert fake.cudaMemcpyKind.cudaMemcpyDeviceToDevice == bandwidth._DEVICE_TO_DEVICE
    # The pretended events are 1 ms apart: 2 x 4096 bytes in it.
    assert bandwidth.run_gpu_job({"device": "GPU.1", "bytes": 4096}) == {"copy": pytest.approx(8192e-6)}
    assert (fake.device, fake.calls["cudaMemcpyAsync"]) == (1, 6)
    assert not +fake.left
