"""The near side: nodes that are ours for a while, and what is done on them.

    with reserved("auto") as found:
        for place in found.places:
            folder = place.give(artifact)
            for answer in place.run("module:function", {"folder": folder}): ...

Each node is reserved whole, so that one process at a time measures there. Places are used by a thread each.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from convert.artifact import Artifact
from convert.common import typed
from convert.common.errors import InputError, shown
from convert.common.worker import JobError
from runtimes.cluster import carry, connect
from runtimes.cluster.far_side import NodeWorker
from runtimes.cluster.node import ClusterNode, refusal
from runtimes.system import environment

T = TypeVar("T")

DESCRIBE = "runtimes.cluster.node:describe"
# A node that is reserved by somebody else, or does not start a process, is left out after so long.
_START_S = 120.0
# A node that has not answered for so long is lost: a network that is cut for a minute is not.
LOST_S = 180.0
_POLL_S, _ANSWER_S, _AGAIN_S = 5.0, 20.0, 1.0


class NodeLostError(Exception):
    """A node died, hangs, or cannot be reached any more; the message is the reason, in a clause."""


@dataclass
class Place:
    """A node that is ours. lock: held by who works on the machine that it runs on, where several nodes share one.
    lost: set by who has found out."""

    ray: Any
    actor: Any
    node: ClusterNode
    lock: threading.Lock = field(default_factory=threading.Lock)
    lost: bool = False
    closed: threading.Event = field(default_factory=threading.Event)

    def run(self, target: str, payload: Any) -> Iterator[Any]:
        """The answers of `module:function` in a process on the node, as they are made (`convert.common.worker`).

        InputError raised there is raised here; JobError for another exception and a process that died; NodeLostError
        for the node. What was answered before has been yielded then.
        """
        yield from Talk(self, target, payload).answers()

    def call(self, target: str, payload: Any) -> Any:
        """The one answer of `module:function` on the node; errors as `run`."""
        found = list(self.run(target, payload))
        if len(found) != 1:
            raise JobError(f"{target} gave {len(found)} answers instead of one")
        return found[0]

    def give(self, artifact: Artifact) -> str:
        """The folder of an artifact on the node, after sending what it lacks there.

        NodeLostError for the node, InputError where the node cannot write or what came is not what was sent.
        """
        parcel = carry.parcel(artifact)
        found = self._ask("look", typed.table(parcel))
        for name in found["lacking"]:
            for offset, piece in carry.pieces(Path(parcel.root) / name):
                self._ask("write", parcel.name, name, offset, self.ray.put(piece))
            if wrong := self._ask("arrived", parcel.name, name, parcel.files[name].sha256):
                raise InputError(f"{self.node.name}: {wrong}")
        return str(found["path"])

    def close(self) -> None:
        """Give the node back: whatever runs there for us ends."""
        self.closed.set()
        with suppress(Exception):
            self.ray.kill(self.actor)

    def _ask(self, method: str, *arguments: Any) -> Any:
        return ask(self.ray, self.actor, self.closed, method, *arguments)


class Talk:
    """A generator of a payload and of messages that follow it (`convert.common.worker`), at work on a node.

    Its methods are for one thread, but for `stop`. Errors as `Place.run`.
    """

    def __init__(self, place: Place, target: str, payload: Any) -> None:
        self._place, self._number, self._told = place, uuid.uuid4().hex, 0
        place._ask("start", self._number, target, payload)

    def tell(self, message: Any) -> None:
        """Send a message of JSON types. One to a process that is dead is lost: `answers` says why."""
        self._place._ask("tell", self._number, self._told, message)
        self._told += 1

    def answers(self) -> Iterator[Any]:
        """What it answers, as it comes, to its end."""
        known = 0
        while True:
            for one in self._place._ask("poll", self._number, known, _POLL_S):
                known += 1
                if "answer" in one:
                    yield one["answer"]
                elif "end" in one:
                    return
                elif "died" in one:
                    raise JobError(one["died"], one["log"])
                elif one["kind"] in (InputError.__name__, "WriteError"):
                    raise InputError(one["said"])
                else:
                    raise JobError(f"{one['kind']}: {shown(one['said'])}", kind=one["kind"], said=one["said"])

    def stop(self) -> None:
        """End its process, without waiting: `answers` tells of its death, unless it has come to its end."""
        with suppress(Exception):
            self._place.actor.stop.remote(self._number)


def ask(ray: Any, actor: Any, closed: threading.Event, method: str, *arguments: Any) -> Any:
    """What a method of an actor answers, asked again while it cannot be reached, but not when it is closed.
    NodeLostError as `Place.run`."""
    lost = ray.exceptions
    end = time.monotonic() + LOST_S
    under_way: Any = None
    while True:
        if closed.is_set():
            raise NodeLostError("it was given back")
        try:
            if under_way is None:
                under_way = getattr(actor, method).remote(*arguments)
            return ray.get(under_way, timeout=_POLL_S + _ANSWER_S)
        except (lost.ActorUnavailableError, lost.GetTimeoutError) as error:
            if isinstance(error, lost.ActorUnavailableError):
                under_way = None  # it may never have come there; one that is only slow is not begun a second time
            else:
                # Where the network was cut the node has closed the connection, and its answer with it. Ray notices when
                # it sends something, else after five minutes.
                actor.nudge.remote()
            if time.monotonic() > end:
                raise NodeLostError(f"it has not answered for {LOST_S:g} s") from error
            time.sleep(_AGAIN_S)
        except lost.RayTaskError as error:
            raise InputError(f"on the node: {shown(str(error.cause))}") from None
        except lost.RayError as error:
            raise NodeLostError(_reason(error)) from None


def at_once(places: Sequence[Place], work: Callable[[Place], T]) -> list[T]:
    """What comes of some work on each of some places, done at the same time. Ctrl-C, and an exception of any, gives all
    of them back and is raised."""
    with ThreadPoolExecutor(max(len(places), 1)) as pool:
        tasks = [pool.submit(work, place) for place in places]
        try:
            for task in wait(tasks, return_when=FIRST_EXCEPTION).done:
                task.result()
            return [task.result() for task in tasks]
        except BaseException:
            for place in places:
                place.close()  # the threads that wait for it end
            raise


@dataclass
class Reserved:
    """places: nodes that are ours. left_out: other nodes, and why, in sentences."""

    places: list[Place] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


@contextmanager
def reserved(address: str) -> Iterator[Reserved]:
    """Reserve every node of a cluster that may measure for us, each whole; they are given back when the block ends.

    address: as of `connect.connected`. A node of another vitbench, one that is in use and one that does not answer are
    left out by name. InputError where there is no cluster, or no node of it is left.
    """
    with connect.connected(address) as ray:
        found = Reserved()
        actors = {str(one["NodeID"]): _begin(ray, one) for one in ray.nodes() if one["Alive"] and _cpus(one)}
        try:
            _meet(ray, actors, found)
            if not found.places:
                raise InputError(f"{connect.CLUSTER} {address}: {'; '.join(found.left_out) or 'no node lends a CPU'}")
            yield found
        finally:
            for actor in actors.values():
                with suppress(Exception):
                    ray.kill(actor)


def _cpus(one: Mapping[str, Any]) -> float:
    return float(one["Resources"].get("CPU", 0.0))


def _begin(ray: Any, one: Mapping[str, Any]) -> Any:
    """An actor that has all CPUs and GPUs of a node."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    cpus, gpus = _cpus(one), float(one["Resources"].get("GPU", 0.0))
    facts = {"node": one["NodeID"], "labels": one.get("Labels") or {}, "cpus": cpus, "gpus": gpus}
    there = NodeAffinitySchedulingStrategy(one["NodeID"], soft=False)
    options = {"num_cpus": cpus, "num_gpus": gpus, "max_concurrency": 4, "scheduling_strategy": there}
    return ray.remote(**options)(NodeWorker).remote(facts)


def _meet(ray: Any, actors: Mapping[str, Any], found: Reserved) -> None:
    """Ask each node what it is."""
    ours = environment.describe()
    locks: dict[str, threading.Lock] = {}
    strangers = [Place(ray, actor, ClusterNode(name, "", "", {}, {})) for name, actor in actors.items()]
    for place, answer in zip(strangers, at_once(strangers, _introduced), strict=True):
        if isinstance(answer, str):
            found.left_out.append(f"node {place.node.node[:8]} is left out: {answer}")
        elif reason := refusal(answer, ours):
            found.left_out.append(f"{answer.name} is left out: {reason}")
        else:
            place.node, place.lock = answer, locks.setdefault(answer.host, threading.Lock())
            found.places.append(place)


def _introduced(place: Place) -> ClusterNode | str:
    """What a node is, or why it is not known, in a clause."""
    ray = place.ray
    try:
        facts = ray.get(place.actor.facts.remote(), timeout=_START_S)
        return typed.read(ClusterNode, place.call(DESCRIBE, facts))
    except ray.exceptions.GetTimeoutError:
        return f"it is in use, or starts no process within {_START_S:g} s"
    except (ray.exceptions.RayError, NodeLostError, JobError, InputError, ValueError) as error:
        return _reason(error)


def _reason(error: BaseException) -> str:
    """What an error says, in a line. Ray's of a process that did not start are stacks, with the reason at their end."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    found = [line for line in lines if re.match(r"[A-Za-z.]+Error: ", line)]
    if found and found[-1].startswith(("ModuleNotFoundError", "ImportError", "AttributeError")):
        return f"it has no vitbench that is installed as here, or another one ({shown(found[-1])})"
    return shown(found[-1] if found else lines[0] if lines else type(error).__name__)
