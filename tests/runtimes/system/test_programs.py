"""Who took the processor: programs of others by their names, and never what they were told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from runtimes.system import programs
from runtimes.system.programs import Programs, told


@dataclass
class Process:
    """As psutil has them."""

    pid: int
    title: str
    computed_s: float = 0.0
    began: float = 1.0
    error: type[psutil.Error] | None = None
    asked: list[str] = field(default_factory=list)

    @contextmanager
    def oneshot(self) -> Iterator[None]:
        yield

    def cpu_times(self) -> SimpleNamespace:
        if self.error:
            raise self.error(self.pid)
        return SimpleNamespace(user=self.computed_s / 2, system=self.computed_s / 2)

    def create_time(self) -> float:
        return self.began

    def name(self) -> str:
        return self.title


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Processes, ours, and a clock."""
    made = SimpleNamespace(processes=[], ours={1}, now=0.0)
    monkeypatch.setattr(psutil, "process_iter", lambda: iter(made.processes))
    monkeypatch.setattr(programs, "_ours", lambda: made.ours)
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    return made


def test_shares_are_of_one_core_between_the_first_look_and_the_last(machine: SimpleNamespace) -> None:
    firefox, compiler = Process(2, "firefox", 100.0), Process(3, "cc1plus")
    machine.processes += [firefox, compiler]
    found = Programs()
    found.look()
    assert found.shares() == {}, "one look tells nothing"
    for _ in range(2):
        firefox.computed_s += 1.9
        compiler.computed_s += 7.5
        machine.now += 5
        found.look()
    assert found.seconds == 10
    assert found.shares() == {"cc1plus": 1.5, "firefox": 0.38}, "the heaviest first; what was before does not count"
    assert told(found.shares()) == "cc1plus 150 %, firefox 38 %"


def test_ours_are_not_named(machine: SimpleNamespace) -> None:
    mine, other = Process(1, "python3"), Process(2, "python3")
    machine.processes += [mine, other]
    found = Programs()
    found.look()
    mine.computed_s, other.computed_s, machine.now = 9.0, 1.0, 10.0
    found.look()
    assert found.shares() == {"python3": 0.1}


def test_a_server_that_computes_for_us_is_not_named(machine: SimpleNamespace) -> None:
    server = Process(2, "tritonserver")
    machine.processes.append(server)
    found = Programs()
    found.look()
    found.ours.update([2])
    server.computed_s, machine.now = 5.0, 5.0
    found.look()
    assert found.shares() == {}


def test_processes_of_a_program_are_added_up_and_come_and_go(machine: SimpleNamespace) -> None:
    found = Programs()
    found.look()
    for number in range(4):
        machine.processes[:] = [Process(10 + number, "cc1plus", 0.5, began=float(number))]
        machine.now += 1
        found.look()
    assert found.shares() == {"cc1plus": 0.5}


def test_a_number_that_is_used_again_is_another_process(machine: SimpleNamespace) -> None:
    machine.processes[:] = [Process(7, "old", 50.0, began=1.0)]
    found = Programs()
    found.look()
    machine.processes[:] = [Process(7, "new", 0.4, began=2.0)]
    machine.now = 1.0
    found.look()
    assert found.shares() == {"new": 0.4}


def test_what_hardly_computes_is_not_worth_a_name_and_no_more_than_four_are(machine: SimpleNamespace) -> None:
    machine.processes += [Process(number, f"p{number}") for number in range(2, 9)]
    found = Programs()
    found.look()
    for process in machine.processes:
        process.computed_s = 0.1 * process.pid
    machine.processes[0].computed_s = 0.02
    machine.now = 1.0
    found.look()
    assert list(found.shares()) == ["p8", "p7", "p6", "p5"]
    machine.processes[:] = machine.processes[:1]
    machine.now = 1000.0
    assert programs.told({}) == ""


def test_what_may_not_be_looked_at_or_ended_meanwhile_is_passed_over(machine: SimpleNamespace) -> None:
    machine.processes += [
        Process(2, "a", error=psutil.NoSuchProcess),
        Process(3, "b", error=psutil.AccessDenied),
        Process(4, "c"),
    ]
    found = Programs()
    found.look()
    machine.processes[2].computed_s, machine.now = 0.5, 1.0
    found.look()
    assert found.shares() == {"c": 0.5}


BURN = "import time, sys\nprint('up', flush=True)\nwhile time.process_time() < 1.5: pass\nprint('done', flush=True)\n"


def burn(argv: list[str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    return process


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of processes as Linux has them")
def test_a_real_program_of_somebody_else_is_named_and_ours_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a child of ours computes is ours; the same child is somebody else's where it is not among ours."""
    copy = tmp_path / "burner"
    shutil.copy(os.path.realpath(sys.executable), copy)
    environment = {**os.environ, "PYTHONHOME": sys.base_prefix}
    monkeypatch.setattr(os, "environ", environment)
    secret = "a-secret-argument"

    def seen(ours: set[int] | None) -> dict[str, float]:
        if ours is not None:
            monkeypatch.setattr(programs, "_ours", lambda: ours)
        found = Programs()
        with burn([str(copy), "-S", "-c", BURN, secret]) as child:
            found.look()
            assert child.stdout
            child.stdout.readline()
            found.look()
        assert secret not in repr(found)
        assert str(tmp_path) not in repr(found)
        return found.used_s

    assert "burner" not in seen(None)
    assert seen({os.getpid()})["burner"] > 0.5


def test_ours_are_this_process_and_what_it_started() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert {os.getpid(), child.pid} <= programs._ours()
        assert os.getppid() not in programs._ours()
