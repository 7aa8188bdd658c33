"""What a sample met, by files such as Linux has them."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from runtimes.system import contention, helpers
from runtimes.system.contention import Contention, Moment, between, now

BEFORE = Moment(clock_s=10.0, own_s=3.0, waited_s={"1": 1.0}, busy_s=50.0, cores=2)

Proc = Callable[..., None]


@pytest.fixture
def proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Proc:
    """Writes the waiting of each thread in nanoseconds, and the columns of each core in ticks."""
    tasks, stat = tmp_path / "self" / "task", tmp_path / "stat"
    tasks.mkdir(parents=True)
    monkeypatch.setattr(contention, "_PROC", tmp_path)
    monkeypatch.setattr(contention, "_STAT", stat)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)

    def write(threads: dict[int, str], cores: Iterable[str]) -> None:
        for number, text in threads.items():
            (tasks / str(number)).mkdir(exist_ok=True)
            (tasks / str(number) / "schedstat").write_text(text)
        lines = [f"cpu{at} {columns}\n" for at, columns in enumerate(cores)]
        stat.write_text("cpu  999 999 999 999 999 999 999 999 0 0\n" + "".join(lines) + "intr 5 6 7\n")

    return write


def test_by_hand() -> None:
    """In 0.5 s on two cores somebody computed 0.9 s, 0.6 s of it we, and a tick is left open: 0.29 of 1 s."""
    after = Moment(10.5, 3.6, {"1": 1.1}, 50.9, 2)
    assert between(BEFORE, after) == Contention(waited=0.2, foreign=0.29)
    assert Contention(0.2, 0.29).share == Contention(0.29, 0.2).share == 0.29


def test_what_ticks_leave_open_is_nobodys() -> None:
    found = between(BEFORE, Moment(10.1, 3.1, {"1": 1.0}, 50.11, 2))
    assert found == Contention(), "a tick more than we computed ourselves"
    assert between(BEFORE, Moment(10.1, 3.2, {"1": 1.0}, 50.1, 2)) == Contention(), "ticks come late, too"


def test_shares_have_bounds() -> None:
    full = between(BEFORE, Moment(10.1, 3.0, {"1": 1.5}, 60.0, 2))
    assert full == Contention(waited=5.0, foreign=1.0), "five threads may wait at once, and two cores are no more"
    assert between(BEFORE, replace(BEFORE, waited_s={"1": 2.0})) == Contention(), "no time went by"


def test_each_thread_waits_for_itself(proc: Proc) -> None:
    proc({1: "100 2000000000 5\n", 2: "100 500000000 5\n"}, ["0 0 0 0"])
    assert now().waited_s == {"1": 2.0, "2": 0.5}


@pytest.mark.parametrize(
    ("cores", "threads", "waited"),
    [
        (2, [0.01, 0.03], 0.4),  # of two threads together
        (2, [0.0, 0.0, 0.0, 0.05], 0.5),
        (16, [0.001] * 16, 0.02),  # each waits a little, as on an idle machine: no more than two of them
        (16, [0.05] + [0.0] * 15, 0.5),  # one is held up, and the others wait for it at the next barrier
        (1, [0.05], 0.5),
    ],
)
def test_what_many_threads_wait_is_not_added_up(cores: int, threads: list[float], waited: float) -> None:
    before = Moment(1.0, 0.0, {}, None, cores)
    after = Moment(1.1, 0.0, {str(at): one for at, one in enumerate(threads)}, None, cores)
    assert between(before, after) == Contention(waited=waited)


def test_a_thread_that_ends_takes_its_waiting_with_it(proc: Proc, tmp_path: Path) -> None:
    proc({1: "100 2000000000 5\n", 2: "100 500000000 5\n"}, ["0 0 0 0"])
    before = now()
    (tmp_path / "self" / "task" / "2" / "schedstat").unlink()
    after = now()
    assert after.waited_s == {"1": 2.0}
    assert between(before, after) == Contention(), "and does not make the others wait less than nothing"


def test_a_server_that_computes_for_us_is_no_stranger(
    proc: Proc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proc({1: "100 2000000000 5\n"}, ["0 0 0 0"])
    (tmp_path / "77").mkdir()
    (tmp_path / "77" / "task").symlink_to(tmp_path / "self" / "task")
    computed = {(): 0.0, (77,): 0.4}
    monkeypatch.setattr(helpers, "cpu_s", lambda processes: computed[processes])
    assert now((77,)).own_s - now().own_s == pytest.approx(0.4, abs=0.05)
    assert now((77,)).waited_s == {"1": 2.0}, "its threads are looked at too"


def test_a_thread_that_ends_leaves_what_it_computed() -> None:
    """Otherwise its time would be that of somebody else."""

    def compute() -> None:
        end = time.thread_time() + 0.2
        while time.thread_time() < end:
            pass

    before = now()
    thread = threading.Thread(target=compute)
    thread.start()
    thread.join()
    assert now().own_s - before.own_s >= 0.2


@pytest.mark.parametrize("text", ["", "1 2\n", "a b c\n"])
def test_without_schedstat_nothing_is_known(proc: Proc, text: str) -> None:
    """Also where there is such a file and it says nothing: a kernel without statistics."""
    proc({1: text}, ["9 0 0 0"])
    before = now()
    proc({1: text}, ["99 0 0 0"])
    assert before.waited_s is None
    assert between(before, now()) is None, "which is not the same as a quiet machine"


def test_where_there_is_no_proc_nothing_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(contention, "_PROC", tmp_path / "nowhere")
    monkeypatch.setattr(contention, "_STAT", tmp_path / "nowhere")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    found = now()
    assert (found.waited_s, found.busy_s, found.cores) == (None, None, 1)
    assert between(found, now()) is None


def test_without_stat_waiting_is_known_all_the_same() -> None:
    assert between(replace(BEFORE, busy_s=None), Moment(10.5, 3.6, {"1": 1.1}, 50.9, 2)) == Contention(0.2, 0.0)


def test_busy_is_what_anybody_computed_on_the_cores_that_are_ours(proc: Proc) -> None:
    """Columns: user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice; guest is in user."""
    columns = "1 2 4 1000 2000 8 16 32 4000 8000"
    proc({1: "0 0 0\n"}, [columns, "100 0 0 0 0 0 0 0 0 0", "50000 0 0 0 0 0 0 0 0 0"])
    found = now()
    assert found.busy_s == pytest.approx((63 + 100) / 100)
    assert found.cores == 2


def test_an_old_kernel_has_fewer_columns(proc: Proc) -> None:
    proc({1: "0 0 0\n"}, ["1 2 4 1000"])
    assert now().busy_s == pytest.approx(0.07)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts this")
def test_this_machine_tells() -> None:
    before = now()
    found = between(before, now())
    assert (before.waited_s is None) == (found is None)
    if found is None:
        pytest.skip("this kernel has no schedstat")
    assert found.waited >= 0
    assert 0 <= found.foreign <= 1
