"""Temporary folders go with their owner, at once or when somebody looks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from convert.common.disk import scratch

_LEAVES = "from pathlib import Path; import os, sys, time; from convert.common.disk import scratch\n"
_LEAVES += (
    "with scratch.folder(Path(sys.argv[1])) as made: (made / 'model').touch(); print(made, flush=True); time.sleep(60)"
)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that works in a temporary folder."""
    command = [sys.executable, "-c", _LEAVES, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def test_what_a_killed_process_left_is_swept_and_what_a_living_one_has_stays(
    tmp_path: Path, other: subprocess.Popen[str]
) -> None:
    (tmp_path / "vitbench-mine").mkdir()
    with scratch.folder(tmp_path) as own:
        scratch.sweep(tmp_path)
        assert len(list(tmp_path.iterdir())) == 3
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        scratch.sweep_below(tmp_path.parent)
        assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "vitbench-mine", own])
    assert list(tmp_path.iterdir()) == [tmp_path / "vitbench-mine"]


def test_the_next_process_of_the_same_number_does_not_keep_them(tmp_path: Path) -> None:
    token = scratch.owner(os.getpid())
    assert token
    assert scratch.alive(token)
    pid, start, machine = token.split("-")
    earlier = f"{pid}-{int(start) - 1}-{machine}"
    assert not scratch.alive(earlier)
    (tmp_path / f".fp32.~{earlier}~abc").mkdir()
    (tmp_path / f".text.~{earlier}~abc").touch()
    scratch.sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_machine_s_are_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / f".fp32.~{os.getpid()}-1-00000000~abc"
    folder.mkdir()
    scratch.sweep(tmp_path)
    assert folder.is_dir()


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    token = scratch.owner(os.getpid())
    assert token
    pid, start, machine = token.split("-")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / f"x~{pid}-{int(start) - 1}-{machine}~").symlink_to(tmp_path / "kept")
    scratch.sweep(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["kept", "file"]


def test_what_lies_deep_in_a_folder_of_artifacts_is_swept_too(tmp_path: Path) -> None:
    token = scratch.owner(os.getpid())
    assert token
    pid, start, machine = token.split("-")
    name = f".engine.~{pid}-{int(start) - 1}-{machine}~abc"
    for place in (tmp_path, tmp_path / "model", tmp_path / "model" / "fp32" / "engines"):
        (place / name).mkdir(parents=True)
    (tmp_path / "away").symlink_to(tmp_path / "model")
    scratch.sweep_below(tmp_path)
    assert [path for path in tmp_path.rglob("*") if "~" in path.name] == []
    assert (tmp_path / "model" / "fp32" / "engines").is_dir()
