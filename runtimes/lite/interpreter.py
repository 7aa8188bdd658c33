"""The Python that has Paddle Lite: named by a variable, since no wheel of it is for a Python that vitbench runs on."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from runtimes.base import UnavailableError

VARIABLE = "VITBENCH_PADDLE_LITE_PYTHON"
_CHILD = Path(__file__).with_name("child.py")
# Its wheel does not declare NumPy, which `child.py` needs.
_VERSION = "import numpy, pkg_resources, paddlelite.lite; print(pkg_resources.get_distribution('paddlelite').version)"
_SECONDS = 120
_LOG = 2000  # characters of what it printed


def path() -> str:
    """The interpreter. UnavailableError where none is named."""
    named = os.environ.get(VARIABLE)
    if not named:
        raise UnavailableError(f"{VARIABLE} names no Python 3.6 to 3.8 that has paddlelite")
    return named


@functools.cache
def version() -> str:
    """Of Paddle Lite there. UnavailableError where it is not."""
    command = [path(), "-c", _VERSION]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{VARIABLE}={path()} cannot be run: {error}") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [""])[-1]
        raise UnavailableError(f"{VARIABLE}={path()} has not both paddlelite and numpy: {said}")
    return done.stdout.split()[-1]


class Predictor:
    """A program loaded by Paddle Lite, in a process of its own that ends with `close`, or with this one."""

    def __init__(self, program: Path, params: Path, threads: int) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        self._process = subprocess.Popen(
            [path(), str(_CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
        )
        self._send({"model": str(program), "params": str(params), "threads": threads})
        self._receive()

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """The outputs, float32, in the program's order. UnavailableError when Paddle Lite fails."""
        self._send({"shape": list(images.shape)}, np.ascontiguousarray(images, "<f4"))
        shapes = self._receive()["shapes"]
        assert self._process.stdout
        return [
            np.frombuffer(self._process.stdout.read(4 * int(np.prod(shape))), "<f4").reshape(shape) for shape in shapes
        ]

    def _send(self, table: dict[str, object], array: np.ndarray | None = None) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(table).encode() + b"\n")
            if array is not None:
                self._process.stdin.write(array.data)
            self._process.stdin.flush()
        except OSError:
            pass  # it died: what it said comes with the answer

    def _receive(self) -> dict[str, list[list[int]]]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait(_SECONDS)
            self._log.seek(0)
            said = self._log.read().decode(errors="replace")[-_LOG:].split("\n")
            raise UnavailableError(f"Paddle Lite ended with status {status}: {' '.join(said[-3:]).strip()}")
        found: dict[str, list[list[int]]] = json.loads(line)
        if "error" in found:
            raise UnavailableError(f"Paddle Lite: {found['error']}")
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream:
                stream.close()
