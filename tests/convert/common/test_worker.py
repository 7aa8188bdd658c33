from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from convert.common import worker
from convert.common.disk import scratch
from convert.common.errors import InputError

HERE = "tests.convert.common.test_worker"


def answer(payload: dict[str, Any]) -> dict[str, Any]:
    print("noise on standard output")
    return {"pid": os.getpid(), "got": payload, "variable": os.environ.get("VITBENCH_TEST")}


def misbehave(payload: dict[str, Any]) -> None:
    match payload["how"]:
        case "raise":
            raise ValueError("first line\nsecond line")
        case "input":
            raise InputError("the input is wrong")
        case "signal":
            print("last words")
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGSEGV)
        case "exit":
            print("last words")
            sys.stdout.flush()
            os._exit(3)
        case "hang":
            time.sleep(60)
        case "full":
            with Path("/dev/full").open("wb", buffering=0) as full:
                full.write(b"x")


def converse(payload: dict[str, Any], messages: Iterator[Any]) -> Iterator[Any]:
    yield {"pid": os.getpid()}
    for message in messages:
        if message == "read":
            yield os.pread(payload["descriptor"], 100, 0).decode()
        elif message == "fail":
            raise ValueError("first line\nsecond line")
        else:
            yield payload["descriptor"] + message


def in_a_folder(payload: str, messages: Iterator[Any]) -> Iterator[Any]:
    with scratch.folder(Path(payload)) as made:
        yield str(made)
        time.sleep(60)


def test_json_goes_in_and_comes_out_of_another_process(capfd: pytest.CaptureFixture[str]) -> None:
    result = worker.call(f"{HERE}:answer", {"a": [1, "ü"]}, environment={"VITBENCH_TEST": "set"})
    assert result["pid"] != os.getpid()
    assert (result["got"], result["variable"]) == ({"a": [1, "ü"]}, "set")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("how", "reason"),
    [("raise", "ValueError: first line"), ("signal", "ended by SIGSEGV"), ("exit", "ended with status 3")],
)
def test_what_goes_wrong_there_is_a_reason_here(how: str, reason: str) -> None:
    with pytest.raises(worker.JobError, match=reason) as error:
        worker.call(f"{HERE}:misbehave", {"how": how})
    if how == "exit":
        assert "last words" in error.value.log


def test_a_crash_leaves_its_stack_and_how_much_memory_there_was() -> None:
    with pytest.raises(worker.CrashError) as error:
        worker.call(f"{HERE}:misbehave", {"how": "signal"})
    assert error.value.signal == "SIGSEGV"
    assert "last words" in error.value.log
    assert "in misbehave" in error.value.log
    assert 1 << 20 < (error.value.peak_bytes or 0) < 1 << 40


def test_wrong_input_stays_wrong_input() -> None:
    with pytest.raises(InputError, match="the input is wrong"):
        worker.call(f"{HERE}:misbehave", {"how": "input"})


def test_a_job_that_hangs_is_stopped() -> None:
    with pytest.raises(worker.JobError, match=r"longer than 1\.5 s"):
        worker.call(f"{HERE}:misbehave", {"how": "hang"}, timeout_s=1.5)


def test_a_conversation_may_run_ahead_and_ends_with_the_near_side() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"in a file")
        file.flush()
        with worker.Worker(f"{HERE}:converse", {"descriptor": file.fileno()}, descriptors=[file.fileno()]) as far:
            assert psutil.pid_exists(far.receive()["pid"])
            for message in (1, 2, "read"):
                far.send(message)
            assert [far.receive(10) for _ in range(3)] == [file.fileno() + 1, file.fileno() + 2, "in a file"]
        assert far.process.returncode == 0, "it has ended by itself"


def test_a_conversation_ends_with_the_exception_that_is_raised_there() -> None:
    with worker.Worker(f"{HERE}:converse", {"descriptor": 0}) as far:
        far.receive()
        far.send("fail")
        with pytest.raises(worker.JobError, match=r"^ValueError: first line$") as error:
            far.receive()
        assert (error.value.kind, error.value.said) == ("ValueError", "first line\nsecond line")
        assert "Traceback" in error.value.log
        far.send("nobody reads this")


def test_one_that_is_killed_says_so_at_the_next_answer() -> None:
    with worker.Worker(f"{HERE}:converse", {"descriptor": 0}) as far:
        far.receive()
        far.process.kill()
        far.send(1)
        with pytest.raises(worker.CrashError, match=r"the process was ended by SIGKILL \(out of memory\?\)"):
            far.receive()


def test_one_that_is_frozen_stands_still_until_it_is_thawed() -> None:
    with worker.Worker(f"{HERE}:converse", {"descriptor": 0}) as far:
        process = psutil.Process(far.receive()["pid"])
        far.freeze()
        while process.status() != psutil.STATUS_STOPPED:  # the signal arrives when it is given a core
            time.sleep(0.01)
        far.send(1)
        far.thaw()
        assert far.receive(60) == 1
        far.freeze()
    assert far.process.returncode == 0, "frozen or not, it ends by itself"


def test_one_that_is_frozen_is_killed_all_the_same() -> None:
    far = worker.Worker(f"{HERE}:converse", {"descriptor": 0})
    far.receive()
    far.freeze()
    far.close(kill=True)
    assert far.process.returncode == -signal.SIGKILL


def test_one_that_is_gone_cannot_be_frozen() -> None:
    with worker.Worker(f"{HERE}:converse", {"descriptor": 0}) as far:
        far.receive()
        far.process.kill()
        with pytest.raises(worker.CrashError):
            far.receive()
        far.freeze()
        far.thaw()


def test_an_error_on_the_near_side_waits_for_nobody() -> None:
    start = time.monotonic()
    with pytest.raises(KeyError), worker.Worker(f"{HERE}:misbehave", {"how": "hang"}) as far:
        raise KeyError
    assert far.process.returncode == -signal.SIGKILL
    assert time.monotonic() - start < 5


def test_a_full_disk_there_is_wrong_input_here() -> None:
    with pytest.raises(InputError, match="no space left on the disk of"):
        worker.call(f"{HERE}:misbehave", {"how": "full"})


def test_sigterm_removes_what_is_temporary_and_ends_as_the_signal(tmp_path: Path) -> None:
    with worker.Worker(f"{HERE}:in_a_folder", str(tmp_path)) as one:
        assert Path(one.receive()).is_dir()
        one.process.terminate()
        with pytest.raises(worker.CrashError, match="ended by SIGTERM"):
            one.receive()
    assert list(tmp_path.iterdir()) == []


def test_one_whose_parent_died_before_it_could_look_ends() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-m", "convert.common.worker", f"{HERE}:answer", str(theirs.fileno()), "1"]
        ours.sendall(b"{}\n")
        assert subprocess.run(command, pass_fds=[theirs.fileno()], check=False, timeout=60).returncode == 1
        ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            ours.recv(1)
