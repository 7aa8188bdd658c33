"""What processes of others computed for us."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from runtimes.system import helpers

_COMPUTES = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ninput()"


def test_what_a_process_computed_is_known_until_it_ends() -> None:
    command = [sys.executable, "-c", _COMPUTES]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        times = psutil.Process(process.pid).cpu_times()
        found = helpers.cpu_s([process.pid])
        assert found >= 0.3
        assert found == pytest.approx(times.user + times.system, abs=0.05)
        process.stdin.write(b"\n")
    assert helpers.cpu_s([process.pid]) == 0.0
