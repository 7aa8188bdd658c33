from __future__ import annotations

import mmap
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from convert.common import worker
from runtimes.system import memory

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

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


def within_a_lower_one(payload: dict[str, Any]) -> list[int]:
    """In a process of its own: the limit inside a block that asks for more than a hard limit allows, and after it."""
    hard = memory.private() + 100 * MIB
    resource.setrlimit(resource.RLIMIT_DATA, (hard - MIB, hard))
    with memory.limited(2 * hard):
        inside = resource.getrlimit(resource.RLIMIT_DATA)
    return [inside[0] - hard, resource.getrlimit(resource.RLIMIT_DATA)[0] - hard]


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


@linux
def test_what_a_library_says_is_cut_to_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 64_000_000_000
    words = f"bad_alloc {'x' * 200}\nat line 7"
    with pytest.raises(memory.OutOfMemoryError) as caught, memory.limited(limit):
        raise RuntimeError(f"  {words}")
    assert str(caught.value) == f"out of memory: more than 64.0 GB were needed ({words[:120]})"
    with pytest.raises(memory.OutOfMemoryError, match=r"needed \(bad_alloc\)$"), memory.limited(limit):
        raise RuntimeError("\nbad_alloc\nat line 7")
    monkeypatch.setattr(memory, "private", lambda: limit)
    with pytest.raises(memory.OutOfMemoryError, match=r"needed$"), memory.limited(limit):
        raise RuntimeError("")


@linux
@pytest.mark.parametrize(("part", "expected"), [(0.89, RuntimeError), (0.91, memory.OutOfMemoryError)])
def test_nine_tenths_of_the_limit_are_nearly_all(
    part: float, expected: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 64_000_000_000
    monkeypatch.setattr(memory, "private", lambda: int(part * limit))
    with pytest.raises(expected, match="ErrorCode 3"), memory.limited(limit):
        raise RuntimeError("ErrorCode 3")


@linux
def test_a_hard_limit_stays() -> None:
    assert worker.call(f"{__name__}:within_a_lower_one", {}) == [0, -MIB]


@linux
def test_memory_is_counted_in_bytes() -> None:
    """What is mapped adds exactly its size: of KiB taken for 1000 or 1025 bytes it would not."""
    before = memory.private()
    with mmap.mmap(-1, 256 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS):
        assert memory.private() - before == pytest.approx(256 * MIB, abs=MIB / 8)


@linux
def test_the_most_it_ever_had_is_counted_in_bytes_wherever_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux gives KiB
    assert memory.peak() == pytest.approx(max(told, memory.resident()), rel=0.25)
    monkeypatch.setattr(memory, "Path", lambda place: Path("/nowhere"))
    assert memory.private() == 0
    kib = SimpleNamespace(ru_maxrss=3)
    monkeypatch.setattr(resource, "getrusage", lambda who: kib)
    assert memory.peak() == 3 * 1024
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory.peak() == 3
    monkeypatch.setattr(memory, "resource", None)
    assert memory.peak() is None


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
