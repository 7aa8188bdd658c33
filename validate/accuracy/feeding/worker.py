"""A session in a process of its own: tensors come in through shared memory, the first five classes go out.

Whatever a runtime does to its process, be it a crash, a hang or a line on standard output, stays there and becomes a
reason. Both sides speak lines of JSON over a socket: a WorkerJob first, then numbers of slots; each is answered with a
WorkerAnswer.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert import artifact as artifacts
from convert.common import isolate, typed
from runtimes import registry
from runtimes.base import Options, UnavailableError
from runtimes.records.parts import Effective
from validate.accuracy.feeding.shared_memory import SharedBatches
from validate.accuracy.top5_file import rank

LOAD_TIMEOUT_S = 3600.0  # compiling a large model for a GPU takes many minutes
BATCH_TIMEOUT_S = 900.0


@dataclass(frozen=True)
class WorkerJob:
    """What a worker runs. artifact: its folder; slots, batch, side: of the shared memory; classes: of the model."""

    artifact: str
    runtime: str
    options: Options
    slots: int
    batch: int
    side: int
    classes: int


@dataclass(frozen=True)
class WorkerAnswer:
    """One line from the far side. effective: to the job. ranked: to a slot, as `rank` gives it.

    refused, failed: why there is neither.
    """

    effective: Effective | None = None
    ranked: list[list[int] | None] | None = None
    refused: str | None = None
    failed: str | None = None


class WorkerError(Exception):
    """The worker gave no answer; the message is the reason. log: the end of what its process printed, where it died."""

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.log = log


class Worker:
    """The near side of a worker. `ready` first; then each `submit` has its `result`, in order, and may run ahead of it.

    environment: variables that its process is started with. `ready`, `submit` and `result` raise WorkerError when it
    failed, died or took too long, and UnavailableError when the runtime refuses.
    """

    def __init__(self, job: WorkerJob, images: SharedBatches, environment: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair()
        self._process = start(theirs, images.descriptor, environment)
        self._stream = self._socket.makefile("rb")
        self._send(json.dumps(typed.table(job)))

    def ready(self) -> Effective:
        """Wait until the model is loaded and has run once. Returns what was effective, as records have it."""
        effective = self._answer(LOAD_TIMEOUT_S).effective
        assert effective
        return effective

    def submit(self, slot: int) -> None:
        self._send(str(slot))

    def result(self) -> list[list[int] | None]:
        """The first classes of each row of the oldest slot without a result; None for logits that are not finite."""
        ranked = self._answer(BATCH_TIMEOUT_S).ranked
        assert ranked
        return ranked

    def close(self) -> None:
        """End the process. What goes wrong while a runtime is torn down is of no interest any more."""
        self._stream.close()
        self._socket.close()
        self._process.end()

    def _send(self, line: str) -> None:
        with suppress(OSError):  # it is dead: the next answer is the reason
            self._socket.sendall(line.encode() + b"\n")

    def _answer(self, timeout_s: float) -> WorkerAnswer:
        self._socket.settimeout(timeout_s)
        try:
            line = self._stream.readline()
        except TimeoutError:
            self._process.kill()
            raise WorkerError(f"took longer than {timeout_s:g} s and was stopped", self._process.log()) from None
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            raise WorkerError(self._process.reason(), self._process.log())
        answer = typed.read(WorkerAnswer, json.loads(line))
        if answer.refused is not None:
            raise UnavailableError(answer.refused)
        if answer.failed is not None:
            raise WorkerError(answer.failed)
        return answer


class WorkerProcess:
    """The far side: a Python process whose output goes to a file."""

    def __init__(self, theirs: socket.socket, descriptor: int, environment: Mapping[str, str]) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - read after the process has ended
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "validate.accuracy.feeding.worker", str(theirs.fileno()), str(descriptor)],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(), descriptor),
                env={**os.environ, **environment},
            )

    def reason(self) -> str:
        """Why it ended without an answer."""
        self.end()
        return isolate.death(self._process.returncode)

    def log(self) -> str:
        """The end of what it printed."""
        self._output.seek(0)
        return self._output.read().decode(errors="replace")[-2000:].strip()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """Wait until it has ended, which it does when nobody listens any more; not for ever."""
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


start: Callable[[socket.socket, int, Mapping[str, str]], WorkerProcess] = WorkerProcess


def serve(connection: socket.socket, descriptor: int) -> None:
    """The far side's work: read a job and then slots, answer each with a line, until the near side is gone."""
    stream = connection.makefile("rwb")

    def answer(line: WorkerAnswer) -> None:
        stream.write(json.dumps(typed.table(line)).encode() + b"\n")
        stream.flush()

    try:
        job = typed.read(WorkerJob, json.loads(stream.readline()))
        images = SharedBatches(job.slots, job.batch, job.side, descriptor)
        with registry.get(job.runtime).open(artifacts.load(Path(job.artifact)), job.options) as session:
            # Read after one run on zeros, not at the end: until then some runtimes keep a profile of every run.
            session.run(np.zeros((job.batch, 3, job.side, job.side), dtype=np.float32))
            answer(WorkerAnswer(effective=session.effective()))
            for line in stream:
                logits = session.run(images.slots[int(line)])
                if logits.shape != (job.batch, job.classes):
                    raise ValueError(f"the logits are of shape {logits.shape}, not {(job.batch, job.classes)}")
                answer(WorkerAnswer(ranked=rank(logits)))
    except OSError:
        raise  # the near side is gone: there is nobody to answer to
    except UnavailableError as error:
        answer(WorkerAnswer(refused=str(error)))
    except Exception as error:  # whatever a runtime throws is the answer
        text = " ".join(str(error).split())
        answer(WorkerAnswer(failed=f"{type(error).__name__}: {text[:500]}"))


if __name__ == "__main__":
    try:
        serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Every answer is sent: do not give native libraries the chance to crash while they are torn down.
        os._exit(0)
