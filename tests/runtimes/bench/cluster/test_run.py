"""A plan carried out on nodes that are made up, and fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from convert.artifact import Artifact
from convert.common import worker
from convert.common.errors import InputError, WriteError
from convert.common.worker import JobError
from runtimes.base import Options
from runtimes.bench.cluster import assign
from runtimes.bench.cluster.merged import MergedFolder
from runtimes.bench.cluster.plan import ClusterPlan, Wanted
from runtimes.bench.cluster.run import ClusterRun
from runtimes.bench.cluster.share import CellOffer, Offer
from runtimes.bench.plan.settings import Policy
from runtimes.cluster.node import ClusterNode
from runtimes.cluster.places import NodeLostError, Place, Reserved
from runtimes.records import reading
from runtimes.records.blank import start
from runtimes.records.kinds import Latency
from tests.runtimes.bench.made_up import FAKES

Measure = Callable[[list[str]], Iterator[Any]]


def nothing(keys: list[str]) -> Iterator[Any]:
    """Come to an end without a record."""
    return iter(())


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened, in its order."""
    found: list[str] = []
    monkeypatch.setattr(worker, "call", lambda target, path: found.append("refer"))
    return found


class Toys:
    """Nodes by their names. of: node -> machine and what it does with keys that it is to measure."""

    def __init__(self, artifact: Artifact, folder: Path, events: list[str], of: dict[str, tuple[str, Measure]]) -> None:
        self.artifact, self.events, self.tries = artifact, events, list[tuple[str, list[str]]]()
        self.of = of
        nodes = {name: self._node(name, machine) for name, (machine, _) in of.items()}
        kinds: dict[str, list[ClusterNode]] = {}
        for node in nodes.values():
            kinds.setdefault(node.key, []).append(node)
        given: dict[str, list[assign.Errand]] = {}
        for key, those in kinds.items():
            offers = {node.node: self._offer(key) for node in those}
            given |= assign.assign(assign.errands(offers), list(offers))[0]
        plan = ClusterPlan(given, kinds, Policy(), 0)
        wanted = Wanted([], Policy(), 0, {(0, "fp32", "toy"): artifact})
        self.run = ClusterRun(plan, wanted, MergedFolder(folder), "run.0", "prover", (), frozenset({"b1"}))
        self.found = Reserved([self._place(node) for node in nodes.values()])

    def _node(self, name: str, machine: str) -> ClusterNode:
        return ClusterNode(name, name, machine * 16, {"machine": {"cpu": "EPYC"}, "gpus": []}, {})

    def _offer(self, machine: str) -> Offer:
        sha = self.artifact.sha256
        return Offer(tuple(CellOffer(f"p{n}", f"b{n}", f"toy {n}", f"r{n}", sha, {}, 1.0, 0) for n in (1, 2, 3, 4)))

    def _place(self, node: ClusterNode) -> Place:
        place = Place(None, None, node, threading.Lock())

        def carried(target: str, payload: Any) -> Iterator[Any]:
            self.tries.append((node.node, payload["keys"]))
            self.events.append(f"measure again {','.join(payload['again'])}")
            yield from self.of[node.node][1](payload["keys"])

        place.give = lambda artifact: str(artifact.path)  # type: ignore[method-assign]
        place.run = carried  # type: ignore[method-assign]
        return place

    def record(self, key: str) -> dict[str, Any]:
        made = start(Latency, self.artifact, FAKES["fake-a"], Options(), key=key, batch=int(key[1:]))
        return {"record": reading.to_table(made)}

    @property
    def measured(self) -> list[str]:
        return sorted(f"{one.machine and one.machine[0]} {one.key}" for one in self.run.made)


def test_a_process_that_died_costs_the_cell_that_it_had(
    toy_artifact: Artifact, tmp_path: Path, events: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    died: list[str] = []

    def once(keys: list[str]) -> Iterator[Any]:
        for number, key in enumerate(keys):
            if number and not died:
                died.append(key)
                raise JobError("died of signal 9", "its log")
            yield toys.record(key)

    toys = Toys(toy_artifact, tmp_path, events, {"one": ("a", once)})
    toys.run.carry_out(toys.found)
    assert toys.measured == ["a b1", "a b2", "a b3", "a b4"]
    assert toys.run.left == {}
    assert [keys for _, keys in toys.tries] == [["b1", "b2", "b3", "b4"], ["b2", "b3", "b4"]]
    assert events == ["refer", "measure again b1", "measure again "], "references first: this machine may be a node"
    assert "did not finish its share: died of signal 9" in capsys.readouterr().err


def test_a_full_disk_of_one_node_is_the_matter_of_its_equals(
    toy_artifact: Artifact, tmp_path: Path, events: list[str]
) -> None:
    def full(keys: list[str]) -> Iterator[Any]:
        raise InputError("no space left on the disk")
        yield

    def good(keys: list[str]) -> Iterator[Any]:
        yield from map(toys.record, keys)

    toys = Toys(toy_artifact, tmp_path, events, {"bad": ("a", full), "good": ("a", good), "alone": ("b", full)})
    toys.run.carry_out(toys.found)
    assert toys.measured == ["a b1", "a b2", "a b3", "a b4"]
    assert [name for name, _ in toys.tries].count("bad") == 1
    assert sorted(toys.run.left) == [f"toy {n} on EPYC [bbbbbbbb]" for n in (1, 2, 3, 4)]
    assert "no space left" in next(iter(toys.run.left.values()))


def test_machines_that_differ_each_leave_their_cells(toy_artifact: Artifact, tmp_path: Path, events: list[str]) -> None:
    toys = Toys(toy_artifact, tmp_path, events, {"one": ("a", nothing), "two": ("b", nothing)})
    toys.run.carry_out(toys.found)
    assert len(toys.run.left) == 8


def test_a_full_disk_of_ours_ends_the_run(
    toy_artifact: Artifact, tmp_path: Path, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    toys = Toys(toy_artifact, tmp_path, events, {"one": ("a", lambda keys: map(toys.record, keys))})

    def full(*_: Any) -> None:
        raise WriteError(tmp_path, OSError(28, "No space left"))

    monkeypatch.setattr(toys.run.merged, "add", full)
    with pytest.raises(WriteError):
        toys.run.carry_out(toys.found)


def test_nobody_speaks_of_a_node_that_was_given_back(
    toy_artifact: Artifact, tmp_path: Path, events: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    toys = Toys(toy_artifact, tmp_path, events, {"one": ("a", nothing)})

    def closed(target: str, payload: Any) -> Iterator[Any]:
        toys.found.places[0].closed.set()
        raise NodeLostError("it was given back")
        yield

    toys.found.places[0].run = closed  # type: ignore[method-assign]
    toys.run.carry_out(toys.found)
    assert capsys.readouterr().err == ""
