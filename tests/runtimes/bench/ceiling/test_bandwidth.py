"""Memory bandwidth: arrays that no cache holds, and bytes counted as STREAM counts them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.bench.ceiling import bandwidth

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
    told = bandwidth.kernels(threads=3, size=1 << 16)
    assert set(told) == {"read", "copy", "scale", "add"}
    assert all(speed > 0 for speed in told.values())


def test_the_fastest_kernel_counts_and_it_is_said_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "kernels", lambda threads, size: {"read": 40.04, "copy": 30.0, "add": 44.44})
    monkeypatch.setattr(bandwidth, "array_bytes", lambda caches, free: (64 << 20, "a doubt"))
    how = "numpy add of arrays of 64 MiB, 2 threads (a doubt)"
    assert bandwidth.run_job({"threads": 2}) == [{"name": "bandwidth_gb_s", "value": 44.4, "how": how}]


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

    for name in ("max", "copyto", "multiply", "add"):
        monkeypatch.setattr(np, name, seen(name))
    bandwidth.kernels(threads, 8 * length)
    for found in parts.values():
        repetitions = [found[start : start + threads] for start in range(0, len(found), threads)]
        assert all(len({thread for thread, _ in one}) == threads for one in repetitions)
        assert all(sum(size for _, size in one) == length for one in repetitions)
    assert set(parts) == {"max", "copyto", "multiply", "add"}
