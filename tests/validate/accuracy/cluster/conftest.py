"""Nodes that are made up: what would run on each of them runs here, so that no Ray is needed."""

from __future__ import annotations

import copy
import json
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest

from convert.artifact import Artifact
from convert.common import worker
from convert.common.worker import JobError
from runtimes import registry
from runtimes.cluster import places
from runtimes.cluster.node import ClusterNode
from runtimes.cluster.places import NodeLostError
from runtimes.system import environment, variables
from validate.accuracy.cluster import attendance, node_side


@cache
def _here() -> dict[str, Any]:
    return environment.describe()


@dataclass
class MadeUpPlace:
    """A node. cpu: its processor; runtimes: changes of what the doctor says there; blind: it sees no images of ours;
    ends: after so many answers it does as it is told. talks: payloads of the processes that it had; sent: images."""

    name: str
    cpu: str = ""
    cores: int = 2
    runtimes: dict[str, dict[str, Any]] = field(default_factory=dict)
    blind: bool = False
    ends: dict[int, Exception] = field(default_factory=dict)
    change: Callable[[dict[str, Any]], dict[str, Any]] = lambda answer: answer
    answered: int = 0
    shards: int = 0
    sent: list[int] = field(default_factory=list)

    @cached_property
    def node(self) -> ClusterNode:
        states = registry._examine({"names": registry.names(), "settings": {}})
        states = {name: state | self.runtimes.get(name, {}) for name, state in states.items()}
        described = copy.deepcopy(_here()) | {"variables": variables.describe()}  # libraries set some as they load
        described["machine"] |= {"cpu": self.cpu or described["machine"]["cpu"], "cores_usable": self.cores}
        return ClusterNode(self.name, self.name, environment.setting_key(described), described, states)

    def give(self, artifact: Artifact) -> str:
        return str(artifact.path)


class TalkHere:
    """What `places.Talk` is, with the far side in this thread, and JSON between the two."""

    def __init__(self, place: MadeUpPlace, target: str, payload: Any) -> None:
        self._place, self._messages = place, queue.SimpleQueue[Any]()
        payload = json.loads(json.dumps(payload))
        if place.blind:
            payload["source"]["images"] = "/nowhere"
        self._answers = worker.answers(target, payload, iter(self._messages.get, None))
        self._stopped = False

    def tell(self, message: Any) -> None:
        message = json.loads(json.dumps(message))
        if message["kind"] == node_side.IMAGES:
            self._place.sent += [position for position, _ in message["images"]]
        self._place.shards += message["kind"] == node_side.SHARD
        self._messages.put(message)

    def answers(self) -> Iterator[Any]:
        for found in self._answers:
            if self._stopped:
                raise JobError("the process was ended by SIGKILL")
            if "kind" in found:
                raise JobError(f"{found['kind']}: {found['said']}")
            if error := self._place.ends.pop(self._place.answered, None):
                raise error
            self._place.answered += 1
            yield self._place.change(json.loads(json.dumps(found["answer"])))

    def stop(self) -> None:
        self._stopped = True


@pytest.fixture
def on_nodes(monkeypatch: pytest.MonkeyPatch, run: Any) -> Callable[..., Any]:
    """The command of the fixture `run` with `--cluster auto`, over nodes that are made up."""
    monkeypatch.setattr(attendance, "Talk", TalkHere)

    def invoke(nodes: list[MadeUpPlace], *arguments: str, **given: Any) -> Any:
        @contextmanager
        def reserved(address: str) -> Iterator[Any]:
            yield places.Reserved(nodes, ["node 99 is left out: it is in use"])  # type: ignore[arg-type]

        monkeypatch.setattr(places, "reserved", reserved)
        return run(*arguments, "--cluster", "auto", **given)

    return invoke


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of few images, so that small sets have several."""
    monkeypatch.setattr("validate.accuracy.cluster.spread.CHUNK_IMAGES", 4)


def lost(reason: str = "the actor died") -> Exception:
    return NodeLostError(reason)


def answers_file(folder: Path) -> list[str]:
    """The answers in the one file of a results folder, in the order of the images."""
    (file,) = folder.glob("accuracy/*.top5")
    lines = [line for line in file.read_text().splitlines()[1:] if not line.startswith("@")]
    return sorted(lines, key=lambda line: int(line.split(",")[0]))
