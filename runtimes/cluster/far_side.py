"""The far side: what runs on a node, as an actor of Ray that has the whole node for itself.

It measures nothing itself: each errand is a process of its own, with the environment, the priority and the import path
that the node's user would have, and not those that Ray gives its workers. What an errand answers is numbered and kept
until whoever asked has it, so that a network that is cut loses nothing. The process ends with the actor, and the actor
with whoever asked.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convert.common import worker
from convert.common.worker import JobError, Worker
from runtimes.cluster import carry

_RELAY = "runtimes.cluster.far_side:relay"
_NO_MORE = object()
_LOOK_S = 1.0
# What Ray sets in the environment of its workers, where the system does not tell what was there before.
_RAYS = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")


@dataclass
class _Kept:
    """The answers of an errand that nobody has acknowledged. first: the number of the first of them. told: how many
    messages it was sent, and messages those that wait for its process."""

    answers: deque[dict[str, Any]] = field(default_factory=deque)
    first: int = 0
    news: threading.Condition = field(default_factory=threading.Condition)
    told: int = 0
    messages: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)
    process: Worker | None = None
    stopped: bool = False

    def hear(self, number: int, message: Any) -> None:
        """A message for its process, unless it came before."""
        with self.news:
            if number == self.told:
                self.told += 1
                self.messages.put(message)

    def begin(self, process: Worker) -> None:
        """Its process is there: messages go to it, by a thread, since a process that computes does not read."""
        with self.news:
            self.process = process
            if self.stopped:
                process.process.kill()
        threading.Thread(target=self._hand_on, args=(process,), daemon=True).start()

    def _hand_on(self, process: Worker) -> None:
        while (message := self.messages.get()) is not _NO_MORE:
            process.send(message)

    def end(self) -> None:
        """Its process is gone."""
        with self.news:
            self.process = None
        self.messages.put(_NO_MORE)

    def stop(self) -> None:
        """End its process, at once."""
        with self.news:
            self.stopped = True
            if self.process:
                self.process.process.kill()

    def add(self, answer: dict[str, Any]) -> None:
        with self.news:
            self.answers.append(answer)
            self.news.notify_all()

    def after(self, number: int, wait_s: float) -> list[dict[str, Any]]:
        """The answers from a number on, waiting for one; those before it are known there and are forgotten."""
        with self.news:
            while self.answers and self.first < number:
                self.answers.popleft()
                self.first += 1
            if not self.answers:
                self.news.wait(wait_s)
            return list(self.answers)


class NodeWorker:
    """The actor. Its methods may be called again where the answer was lost: they do the same once."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        """facts: what `node.describe` is told."""
        self._facts = dict(facts)
        self._errands: dict[str, _Kept] = {}
        _as_a_user()
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()

    def start(self, number: str, target: str, payload: Any) -> None:
        """Begin an errand: `module:function` with a payload, as `convert.common.worker` has it."""
        if number not in self._errands:
            kept = self._errands[number] = _Kept()
            threading.Thread(target=_carry_out, args=(target, payload, kept), daemon=True).start()

    def tell(self, number: str, count: int, message: Any) -> None:
        """A message for an errand, the one after `count` others."""
        self._errands[number].hear(count, message)

    def stop(self, number: str) -> None:
        """End an errand that nobody waits for."""
        if number in self._errands:
            self._errands[number].stop()

    def nudge(self) -> None:
        """Nothing: that it can be sent tells whether the connection holds."""

    def facts(self) -> dict[str, Any]:
        """What is known of the node, with the priority that a process gets here."""
        return {**self._facts, "nice": _in_thread(_priority)}

    def poll(self, number: str, after: int, wait_s: float) -> list[dict[str, Any]]:
        """What an errand has answered, from its answer `after` on: `answer`; `kind` and `said` of an exception; `died`
        and `log` of its process; `end`."""
        return self._errands[number].after(after, wait_s)

    def look(self, parcel: Mapping[str, Any]) -> dict[str, Any]:
        return carry.look(parcel)

    def write(self, parcel: str, name: str, offset: int, piece: bytes) -> None:
        carry.write(parcel, name, offset, piece)

    def arrived(self, parcel: str, name: str, sha256: str) -> str | None:
        return carry.arrived(parcel, name, sha256)


def relay(payload: Mapping[str, Any], messages: Iterator[Any]) -> Iterator[dict[str, Any]]:
    """An errand in its process: what its function answers, and that it came to its end."""
    yield from worker.answers(payload["target"], payload["payload"], messages)
    yield {"end": True}


def _carry_out(target: str, payload: Any, kept: _Kept) -> None:
    # The process is this thread's child: it inherits the thread's priority, and ends with it.
    _priority()
    try:
        with Worker(_RELAY, {"target": target, "payload": payload}) as process:
            kept.begin(process)
            answer: dict[str, Any] = {}
            while "end" not in answer:
                answer = process.receive()
                kept.add(answer)
    except JobError as error:
        kept.add({"died": str(error), "log": error.log[-carry.LOG :]})
    except BaseException as error:  # whoever asked would wait for ever
        kept.add({"died": f"{type(error).__name__}: {error}", "log": ""})
        raise
    finally:
        kept.end()


def _priority() -> int:
    """Give this thread the priority of a user's process, where the system lets us: Ray's workers are nice (15). Returns
    what it came to."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    return os.getpriority(os.PRIO_PROCESS, 0)


def _in_thread(function: Any) -> Any:
    """What a function returns in a thread of its own: Linux has a priority for each thread."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def _end_with(parent: int) -> None:
    """End when the node does, whose process started this one. Ray's own look takes a parent that nobody has waited for
    to be alive, and errands would go on for nobody."""
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(1)


def _as_a_user() -> None:
    """Environment and import path as they were when the node was started: Ray sets the number of threads, hides GPUs
    and puts packages of its own in front."""
    try:
        text = Path(f"/proc/{os.getppid()}/environ").read_bytes().decode("utf-8", "surrogateescape")
        before = dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)
    except OSError:
        before = {name: value for name, value in os.environ.items() if name not in _RAYS}
    before.pop("LD_PRELOAD", None)  # Ray has one for its own processes, and takes it from its workers
    own = {name: value for name, value in os.environ.items() if name.startswith("RAY_") or name == "LD_PRELOAD"}
    os.environ.clear()
    os.environ.update(before | own)
    sys.path[:] = [folder for folder in sys.path if f"{os.sep}ray{os.sep}" not in folder + os.sep]
