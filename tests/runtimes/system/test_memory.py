from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from convert.common import worker
from runtimes.system import memory

linux = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA and oom_score_adj are Linux'")
MIB = 1 << 20


def want(payload: dict[str, Any]) -> dict[str, Any]:
    """In a process of its own: take so many MiB under a limit of so many, then again without it."""
    limit = memory.private() + payload["limit"] * MIB
    with memory.limited(limit):
        held = bytearray(payload["want"] * MIB)
        if payload.get("then"):
            raise RuntimeError(payload["then"])
    del held
    return {"free_again": len(bytearray(2 * payload["limit"] * MIB)), "peak": memory.peak(), "now": memory.resident()}


def peak(payload: dict[str, Any]) -> int | None:
    return memory.peak()


def first_to_go(payload: dict[str, Any]) -> str:
    memory.be_the_first_to_go()
    return Path("/proc/self/oom_score_adj").read_text(encoding="ascii").strip()


def ask(**payload: Any) -> Any:
    return worker.call(f"{__name__}:want", payload, timeout_s=60)


@linux
def test_within_the_limit_all_is_well_and_it_ends_with_the_block() -> None:
    found = ask(limit=400, want=200)
    assert found["free_again"] == 800 * MIB
    assert found["peak"] >= 800 * MIB
    assert found["now"] < found["peak"], "memory that was given back counts for the peak only"


@linux
def test_more_than_the_limit_is_a_reason() -> None:
    with pytest.raises(worker.JobError, match=r"OutOfMemoryError: out of memory: more than \d\.\d GB were needed$"):
        ask(limit=200, want=400)


@linux
@pytest.mark.parametrize("said", ["std::bad_alloc", "Failed to allocate memory for requested buffer of size 9"])
def test_a_librarys_own_words_for_it_are_understood_and_kept(said: str) -> None:
    with pytest.raises(worker.JobError, match=f"OutOfMemoryError: .*needed .{said}"):
        ask(limit=400, want=10, then=said)


@linux
def test_other_errors_stay_what_they_are_unless_the_limit_is_near() -> None:
    with pytest.raises(worker.JobError, match=r"^RuntimeError: ErrorCode 3"):
        ask(limit=400, want=10, then="ErrorCode 3")
    with pytest.raises(worker.JobError, match=r"OutOfMemoryError.*ErrorCode 3"):
        ask(limit=400, want=395, then="ErrorCode 3")


def test_no_limit_changes_nothing() -> None:
    with pytest.raises(RuntimeError, match=r"^bad_alloc$"), memory.limited(None):
        raise RuntimeError("bad_alloc")


@linux
def test_the_peak_is_not_that_of_the_parent() -> None:
    held = bytearray(b"1" * (500 * MIB))  # written to: it has to be resident
    found = worker.call(f"{__name__}:peak", {})
    assert 1 * MIB < found < len(held)


@linux
def test_the_system_would_end_this_process_first() -> None:
    assert worker.call(f"{__name__}:first_to_go", {}) == "1000"
