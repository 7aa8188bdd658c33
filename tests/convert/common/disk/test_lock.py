from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from convert.common.disk.lock import alone, sweep
from convert.common.errors import InputError

_HOLDS = "from pathlib import Path; import sys, time; from convert.common.disk.lock import alone\n"
_HOLDS += "with alone(Path(sys.argv[1]), 'it'): print('has it', flush=True); time.sleep(60)"
_ASKS = "from pathlib import Path; import sys; from convert.common.disk.lock import alone\n"
_ASKS += "with alone(Path(sys.argv[1]), 'the child\\'s'): print('in')"


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the lock."""
    command = [sys.executable, "-c", _HOLDS, str(tmp_path / "run" / ".lock"), "photos of \x1b[31mred"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def test_a_second_one_is_told_who_has_it(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(InputError, match="wait until it has ended") as caught, alone(tmp_path / "run/.lock", "run"):
        pass
    said = caught.value.message
    assert re.search(rf"^run: in use by process {holder.pid} \(`python.* -c .*`\), since \d{{4}}-.* UTC;", said)
    assert said.isprintable()


def test_one_that_was_killed_blocks_nobody(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / ".lock").exists()
    with alone(tmp_path / "run" / ".lock", "run") as waited:
        assert not waited
    assert list((tmp_path / "run").iterdir()) == []


def test_one_that_waits_has_it_afterwards(
    tmp_path: Path, holder: subprocess.Popen[str], capsys: pytest.CaptureFixture[str]
) -> None:
    threading.Timer(0.3, holder.kill).start()
    with alone(tmp_path / "run" / ".lock", "fp32", wait=True) as waited:
        assert waited
    assert f"fp32: waiting for process {holder.pid}" in capsys.readouterr().err


def test_a_child_and_the_process_itself_are_no_strangers(tmp_path: Path) -> None:
    file = tmp_path / "several" / "new" / ".lock"
    command = [sys.executable, "-c", _ASKS, str(file)]
    with alone(file, "run"):
        with alone(tmp_path / "several" / "new" / ".." / "new" / ".lock", "run") as waited:
            assert not waited
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "in\n"
        clean = {name: value for name, value in os.environ.items() if name != "VITBENCH_LOCKS"}
        stranger = subprocess.run(command, capture_output=True, text=True, check=False, env=clean)
        assert "the child's: in use by process" in stranger.stderr
    assert not file.parent.exists()  # it made the folder, and nothing came into it


def test_what_a_variable_says_of_a_dead_process_counts_for_nothing(
    tmp_path: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "run" / ".lock"
    monkeypatch.setenv("VITBENCH_LOCKS", json.dumps({str(file): "1-1-0"}))
    monkeypatch.setattr("convert.common.disk.scratch.alive", lambda token: False)
    with pytest.raises(InputError, match="in use by"), alone(file, "run"):
        pass


def test_without_a_place_for_it_the_work_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with alone(tmp_path / "file" / ".lock", "run") as waited:
        assert not waited


def test_locks_that_nobody_has_are_swept(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / ".fp32.lock").write_text("{}")
    (tmp_path / "model" / "package.lock").write_text("the user's")
    sweep(tmp_path)
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["package.lock"]
    assert (tmp_path / "run" / ".lock").exists()
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    (tmp_path / "run" / ".lock").rename(tmp_path / "run" / ".int8.lock")
    sweep(tmp_path)
    assert list((tmp_path / "run").iterdir()) == []
