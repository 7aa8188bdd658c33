from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

import pytest

from convert.common import isolate
from convert.common.errors import InputError

HERE = "tests.convert.common.test_isolate"


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


def test_json_goes_in_and_comes_out_of_another_process(capfd: pytest.CaptureFixture[str]) -> None:
    result = isolate.call(f"{HERE}:answer", {"a": [1, "ü"]}, environment={"VITBENCH_TEST": "set"})
    assert result["pid"] != os.getpid()
    assert (result["got"], result["variable"]) == ({"a": [1, "ü"]}, "set")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise", "ValueError: first line"),
        ("signal", "ended by SIGSEGV"),
        ("exit", "ended with status 3"),
    ],
)
def test_what_goes_wrong_there_is_a_reason_here(how: str, reason: str) -> None:
    with pytest.raises(isolate.JobError, match=reason) as error:
        isolate.call(f"{HERE}:misbehave", {"how": how})
    if how == "exit":
        assert "last words" in error.value.log


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the system does not tell")
def test_a_crash_leaves_its_stack_and_how_much_memory_there_was() -> None:
    with pytest.raises(isolate.CrashError) as error:
        isolate.call(f"{HERE}:misbehave", {"how": "signal"})
    assert error.value.signal == "SIGSEGV"
    assert "last words" in error.value.log
    assert "in misbehave" in error.value.log
    assert 1 << 20 < (error.value.peak_bytes or 0) < 1 << 40


def test_wrong_input_stays_wrong_input() -> None:
    with pytest.raises(InputError, match="the input is wrong"):
        isolate.call(f"{HERE}:misbehave", {"how": "input"})


def test_a_job_that_hangs_is_stopped() -> None:
    with pytest.raises(isolate.JobError, match=r"longer than 1\.5 s"):
        isolate.call(f"{HERE}:misbehave", {"how": "hang"}, timeout_s=1.5)
