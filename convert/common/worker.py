"""A function in a fresh Python process, and the one protocol between the two: lines of JSON over a socket.

What the function allocates ends with its process, what it prints stays out of the caller's output, and a crash in
native code becomes a reason instead of the end of everything. The caller sleeps while it waits.

A function of a payload gives one answer. A generator of a payload and the messages that follow it yields several:

    def run_job(payload): return {...}                  # call("module:run_job", payload)
    def serve(payload, messages): yield "ready"; ...    # Worker("module:serve", payload), then `send` and `receive`
"""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import importlib
import inspect
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import psutil

from convert.common import commands, interruptible
from convert.common.errors import InputError, WriteError, is_full, shown

# The far side imports from where the near side does, and from nowhere else: with `-m` the current folder would come
# first, with whatever a user has there. `-m` in its arguments makes Ctrl-C quiet from the first import on.
_START = "import sys; sys.argv[0] = '-m'; sys.path[:] = {}; from {} import main; main(*sys.argv[1:])"
_PR_SET_PDEATHSIG = 1  # prctl(2)
_LOG = 1 << 20  # bytes kept of what a process printed: its end
_GRACE_S = 10.0  # for a process to end by itself once nobody listens


class JobError(Exception):
    """The function did not answer. The message is the reason; `log` is what the process printed.

    kind, said: name and text of the exception that it raised, `InputError` for its subclasses too; empty where its
    process ended otherwise.
    """

    def __init__(self, reason: str, log: str = "", kind: str = "", said: str = "") -> None:
        super().__init__(shown(reason))
        self.log, self.kind, self.said = log, kind, said


class CrashError(JobError):
    """A signal ended the process. `signal`: its name. `peak_bytes`: at most so much resident memory it had, that of its
    parent at the start included (Linux hands it on); None where the system does not tell."""

    def __init__(self, status: int, log: str, peak_bytes: int | None) -> None:
        super().__init__(death(status), log)
        self.signal, self.peak_bytes = signal.Signals(-status).name, peak_bytes


class Worker:
    """The near side. The process is gone at the end of a `with` block.

    target: `module:function`, which gets the payload, of JSON types; modules of vitbench as a checkout calls them.
    environment: variables set before the process starts, for settings that libraries read when they are loaded.
    descriptors: open files that it inherits under their own numbers.
    """

    def __init__(
        self, target: str, payload: Any, environment: Mapping[str, str] | None = None, descriptors: Sequence[int] = ()
    ) -> None:
        self._socket, theirs = socket.socketpair()
        self._stream = self._socket.makefile("rb")
        try:
            self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the worker
        except OSError as error:
            raise WriteError("temporary files", error) from None
        self._peak_bytes: int | None = None
        start = _START.format(sys.path, __name__)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", start, target, str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(), *descriptors),
                env={**os.environ, **(environment or {})},
            )
        self.send(payload)

    def send(self, message: Any) -> None:
        """Send a message of JSON types. One to a process that is dead is lost: `receive` says why."""
        with suppress(OSError):
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, timeout_s: float | None = None) -> Any:
        """The next answer.

        JobError for an exception, a process that ended and the time limit, all of which leave no process behind;
        CrashError, with the Python stack in its log, for a signal; WriteError for a disk that is full.
        """
        self._socket.settimeout(timeout_s)
        try:
            line = self._stream.readline()
        except TimeoutError:
            self._end(kill=True)
            raise JobError(f"took longer than {timeout_s:g} s and was stopped", self._printed()) from None
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            self._end()
            status = self.process.returncode
            if status < 0:
                raise CrashError(status, self._printed(), self._peak_bytes)
            raise JobError(death(status), self._printed())
        found = json.loads(line)
        if "kind" in found:
            self._end()
            if found["kind"] == WriteError.__name__:
                raise WriteError("", OSError(errno.ENOSPC, ""), found["said"])
            first_line = (found["said"].strip() or "no message").split("\n", 1)[0]
            raise JobError(f"{found['kind']}: {first_line}", self._printed(), **found)
        return found["answer"]

    def freeze(self) -> None:
        """Stop the process where it stands, threads that spin while they wait included, until `thaw`."""
        with suppress(psutil.Error):
            psutil.Process(self.process.pid).suspend()

    def thaw(self) -> None:
        """Let a frozen process go on."""
        with suppress(psutil.Error):
            psutil.Process(self.process.pid).resume()

    def close(self, kill: bool = False) -> None:
        """End the process and wait for it: only then its time counts as ours (os.times).

        It has a few seconds to end by itself, unless it is to be killed.
        """
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self.process.returncode is None and not kill:
            self.thaw()
        self._end(kill)
        self._stream.close()
        self._socket.close()
        self._log.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.close(kill=error is not None)

    def _end(self, kill: bool = False) -> None:
        if self.process.returncode is not None:
            return
        # wait(timeout=...) polls, and tells no peak: a timer lets this one sleep.
        timer = threading.Timer(0 if kill else _GRACE_S, self.process.kill)
        timer.start()
        try:
            _, status, usage = os.wait4(self.process.pid, 0)
            self.process.returncode = os.waitstatus_to_exitcode(status)
            self._peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        except ChildProcessError:  # the timer has seen its end first
            self.process.wait()
        finally:
            timer.cancel()

    def _printed(self) -> str:
        """What the process printed, the end of it. Its place in the file is that of ours too: nobody may seek."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), _LOG, max(0, size - _LOG)).decode(errors="replace")


def call(
    target: str, payload: Any, timeout_s: float | None = None, environment: Mapping[str, str] | None = None
) -> Any:
    """The one answer of `module:function` to a payload, in a process of its own.

    InputError raised there is raised here again; JobError and CrashError as from `Worker.receive`.
    """
    with Worker(target, payload, environment) as worker:
        return answer(worker, timeout_s)


def answer(worker: Worker, timeout_s: float | None = None) -> Any:
    """The next answer of a worker. InputError raised there is raised here; the rest as from `Worker.receive`."""
    try:
        return worker.receive(timeout_s)
    except JobError as error:
        if error.kind == InputError.__name__:
            raise InputError(error.said) from None
        raise


def death(status: int) -> str:
    """Why a process gave no answer, from its exit status: negative for a signal, as `subprocess` has it."""
    if status < 0:
        name = signal.Signals(-status).name
        hint = " (out of memory?)" if name == "SIGKILL" else ""
        return f"the process was ended by {name}{hint}"
    return f"the process ended with status {status} and no result"


def die_with_parent(parent: int) -> None:
    """Have Linux end this process when the one that started it, number `parent`, dies: nobody would take its result,
    and while it went on computing it would disturb whatever is measured next."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before that call, which then tells of nothing
        os._exit(1)


def answers(target: str, payload: Any, messages: Iterator[Any]) -> Iterator[dict[str, Any]]:
    """What the far side says: each `answer`, and at last `kind` and what was `said` where an exception ended it."""
    module, _, name = target.partition(":")
    try:
        function = getattr(importlib.import_module(commands.module(module)), name)
        if inspect.isgeneratorfunction(function):
            for answer in function(payload, messages):
                yield {"answer": answer}
        else:
            yield {"answer": function(payload)}
    except InputError as error:
        kind = WriteError if isinstance(error, WriteError) and is_full(error) else InputError
        yield {"kind": kind.__name__, "said": error.message}
    except Exception as error:
        if isinstance(error, OSError) and is_full(error):
            full = WriteError(error.filename or tempfile.gettempdir(), error)
            yield {"kind": WriteError.__name__, "said": full.message}
            return
        with suppress(OSError):  # there is no room for it
            traceback.print_exc()
        yield {"kind": type(error).__name__, "said": str(error)}


def main(target: str, descriptor: str, parent: str) -> None:
    """The far side's process."""
    die_with_parent(int(parent))
    faulthandler.enable()
    connection = socket.socket(fileno=int(descriptor))
    messages = map(json.loads, connection.makefile("rb"))
    with interruptible() as signalled:
        try:
            for answer in answers(target, next(messages), messages):
                connection.sendall(json.dumps(answer).encode() + b"\n")
        except KeyboardInterrupt:
            number = signalled() or signal.SIGINT
        else:
            number = 0
    if number:  # what was temporary is removed: end as the signal ends a process
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    with suppress(OSError):  # what was printed has no room
        sys.stdout.flush()
        sys.stderr.flush()
    # Every answer is sent: do not give native libraries the chance to crash while they are torn down.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
