"""Run one function in a fresh Python process: JSON in, JSON out.

What it allocates ends with it, what it prints stays out of the caller's output, and a crash in native code becomes a
reason instead of the end of everything. The caller sleeps meanwhile.
"""

from __future__ import annotations

import ctypes
import faulthandler
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from convert.common.errors import InputError
from convert.common.files import write_text

_PR_SET_PDEATHSIG = 1  # prctl(2)


class JobError(Exception):
    """The function did not come back with a result. The message is the reason; `log` is what the process printed."""

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.log = log


class CrashError(JobError):
    """A signal ended the process. `signal`: its name. `peak_bytes`: at most so much resident memory it had, that of its
    parent at the start included (Linux hands it on); None where the system does not tell."""

    def __init__(self, status: int, log: str, peak_bytes: int | None) -> None:
        super().__init__(death(status), log)
        self.signal, self.peak_bytes = signal.Signals(-status).name, peak_bytes


def call(
    target: str,
    payload: Mapping[str, Any],
    timeout_s: float | None = None,
    environment: Mapping[str, str] | None = None,
) -> Any:
    """Call `module:function` with a JSON payload in a process of its own and return its JSON result.

    environment: variables set before the process starts, for settings that libraries read when they are loaded.
    InputError raised there is raised here again; anything else (an exception, the time limit) is JobError, a signal
    CrashError with the Python stack in its log.
    """
    with tempfile.TemporaryDirectory(prefix="vitbench-") as folder:
        result_file, log_file = Path(folder, "result.json"), Path(folder, "log")
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "convert.common.isolate", target, str(result_file)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )
            # wait(timeout=...) polls, which would disturb what the process measures: a timer lets this one sleep.
            expired = threading.Event()

            def expire() -> None:
                expired.set()
                process.kill()

            timer = threading.Timer(timeout_s or 0, expire)
            if timeout_s:
                timer.start()
            try:
                assert process.stdin is not None
                with suppress(BrokenPipeError), process.stdin:  # whoever is dead already reads nothing
                    process.stdin.write(json.dumps(payload).encode())
                peak = _wait(process)
            except BaseException:
                process.kill()
                process.wait()
                raise
            finally:
                timer.cancel()
        text = log_file.read_text(encoding="utf-8", errors="replace")
        if expired.is_set():
            raise JobError(f"took longer than {timeout_s:g} s and was stopped", text)
        if not result_file.exists():
            if process.returncode < 0:
                raise CrashError(process.returncode, text, peak)
            raise JobError(death(process.returncode), text)
        outcome = json.loads(result_file.read_text(encoding="utf-8"))
    if "input_error" in outcome:
        raise InputError(outcome["input_error"])
    if "failure" in outcome:
        raise JobError(outcome["failure"], text)
    return outcome["result"]


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    """Sleep until it has ended. The most bytes of resident memory that it had; None where the system does not tell."""
    with suppress(AttributeError, ChildProcessError):  # not on Windows; or the timer's kill() has seen its end first
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    process.wait()
    return None


def death(status: int) -> str:
    """Why a process gave no result, from its exit status: negative for a signal, as `subprocess` has it."""
    if status < 0:
        name = signal.Signals(-status).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"the process was ended by {name}{hint}"
    return f"the process ended with status {status} and no result"


def die_with_parent() -> None:
    """Have Linux end this process when the one that started it dies: nobody would take its result, and while it went
    on computing it would disturb whatever is measured next."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _main(target: str, result_file: str) -> None:
    die_with_parent()
    faulthandler.enable()
    payload = json.load(sys.stdin)
    try:
        module, _, function = target.partition(":")
        outcome = {"result": getattr(importlib.import_module(module), function)(payload)}
    except InputError as error:
        outcome = {"input_error": error.message}
    except Exception as error:
        traceback.print_exc()
        first_line = (str(error).strip() or "no message").splitlines()[0]
        outcome = {"failure": f"{type(error).__name__}: {first_line}"}
    write_text(Path(result_file), json.dumps(outcome))
    sys.stdout.flush()
    sys.stderr.flush()
    # The result is safe: do not give native libraries the chance to crash while they are torn down.
    os._exit(0)


if __name__ == "__main__":
    _main(*sys.argv[1:])
