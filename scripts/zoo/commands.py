"""A command run to its end, whatever that is: its status, what it printed, and what it cost."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """status: as `subprocess` has it, below zero for a signal. seconds: of processors, those of its children included,
    which says more than a clock does where others work on the machine too."""

    status: int
    printed: str
    errors: str
    seconds: float

    @property
    def reason(self) -> str:
        """Its last words: the line that a command of vitbench ends with, or the last that there is."""
        lines = [line.strip() for line in (self.errors or self.printed).splitlines() if line.strip()]
        ours = [line for line in lines if line.startswith(("error: ", "failed: "))]
        ended = f"signal {-self.status}" if self.status < 0 else f"exit status {self.status}"
        return (ours or [*lines[-1:], ended])[0]


def run(command: Sequence[str], limit_s: float, environment: Mapping[str, str] | None = None) -> Ended:
    """Run a command, which is killed with all that it started once the limit is over."""
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=errors,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(environment or {})},  # its last words are read here
            start_new_session=True,
        )
        timer = threading.Timer(limit_s, _end, [process.pid])
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            _end(process.pid)
            raise
        finally:
            timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        for stream in (printed, errors):
            stream.seek(0)
        said, told = (stream.read().decode(errors="replace") for stream in (printed, errors))
    return Ended(process.returncode, said, told, usage.ru_utime + usage.ru_stime)


def _end(group: int) -> None:
    with suppress(OSError):
        os.killpg(group, signal.SIGKILL)
