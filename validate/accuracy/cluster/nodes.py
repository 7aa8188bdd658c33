"""Which nodes of a cluster can do which evaluation: those that have the runtime, all of them in one version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from convert.common.errors import InputError
from runtimes import registry
from runtimes.base import Runtime, usable_cores
from runtimes.cluster import connect, places
from runtimes.cluster.node import ClusterNode, usual_version
from runtimes.cluster.places import Place
from runtimes.system import environment
from validate.accuracy.evaluation import Evaluation


@contextmanager
def joined(address: str, say: Callable[[str], None]) -> Iterator[ClusterNodes]:
    """The nodes of a cluster, ours while the block lasts (`places.reserved`). say: takes lines for the user."""
    with places.reserved(address) as found:
        for line in found.left_out:
            say(line)
        names = ", ".join(place.node.name for place in found.places)
        say(f"{connect.CLUSTER} {address}: {names}")
        yield ClusterNodes(found.places)


@dataclass
class ClusterNodes:
    """The nodes that are ours, while the run lasts. lost: those that are not any more, and why."""

    places: Sequence[Place]
    lost: dict[str, str] = field(default_factory=dict)

    @property
    def here(self) -> list[Place]:
        """The nodes that are left."""
        return [place for place in self.places if place.node.node not in self.lost]

    def available(self, chosen: list[str] | None, device: str | None, settings: registry.Settings) -> list[Runtime]:
        """`registry.available` over the nodes: runtimes that one of them has, with the precisions that one has."""
        found = []
        for name in registry.names() if chosen is None else chosen:
            runtime = registry.get(name)
            why = [(place.node, lacks(place.node, name, None, device)) for place in self.places]
            having = [node for node, reason in why if reason is None]
            if having:
                known = {one for node in having for one in node.runtimes[name]["precisions"]}
                found.append(replace(runtime, precisions=tuple(one for one in runtime.precisions if one in known)))
            elif chosen is not None:
                reasons = "; ".join(dict.fromkeys(f"{node.name}: {reason}" for node, reason in why))
                raise InputError(f"runtime {name} is available on no node: {reasons}")
        if not found:
            raise InputError("no runtime is available on any node; `python -m runtimes` says there why")
        return found

    def versions(self, evaluations: Sequence[Evaluation]) -> list[Evaluation]:
        """The evaluations, each with the version of its runtime that most of the nodes have that could do it."""
        return [replace(one, elsewhere=self._version(one)) for one in evaluations]

    def _version(self, one: Evaluation) -> str | None:
        return usual_version(
            one.runtime.name,
            (
                place.node.runtimes[one.runtime.name]["version"]
                for place in self.places
                if lacks(place.node, one.runtime.name, one.precision, one.options.device, one.options.threads) is None
            ),
        )

    def threads(self, one: Evaluation) -> int | None:
        """The threads that an evaluation has on every node; None where they differ."""
        found = {one.options.threads or cores(place.node) for place in self.places if not unable(place.node, one)}
        return found.pop() if len(found) == 1 else None

    def lost_for(self, one: Evaluation) -> list[str]:
        """Why nodes are not ours any more that could do an evaluation."""
        return [self.lost[p.node.node] for p in self.places if p.node.node in self.lost and not unable(p.node, one)]

    def able(self, one: Evaluation) -> tuple[list[Place], dict[str, str]]:
        """The nodes that can do an evaluation, and by their names why the others cannot."""
        able, why = [], {}
        for place in self.here:
            if reason := unable(place.node, one):
                why[place.node.name] = reason
            else:
                able.append(place)
        return able, why


def lacks(
    node: ClusterNode, runtime: str, precision: str | None, device: str | None, threads: int | None = None
) -> str | None:
    """Why a node cannot run a runtime so, in a sentence; None where it can."""
    if reason := node.why_not(runtime):
        return reason
    state: dict[str, Any] = dict(node.runtimes[runtime])
    if reason := registry.missing(state, device):
        return reason
    if precision is not None and precision not in state["precisions"]:
        return str(state["lacks"].get(precision) or f"{runtime} has no {precision} there")
    if threads is not None and threads > cores(node):
        return f"it has {cores(node)} cores for --threads {threads}"
    return None


def unable(node: ClusterNode, one: Evaluation) -> str | None:
    """Why a node cannot do an evaluation as the others do, in a sentence; None where it can."""
    reason = lacks(node, one.runtime.name, one.precision, one.options.device, one.options.threads)
    version = node.runtimes.get(one.runtime.name, {}).get("version")
    if reason is None and version != one.runtime_version:
        return f"its {one.runtime.name} is {version}, and the others' is {one.runtime_version}"
    return reason


def cores(node: ClusterNode) -> int:
    """Cores that a process may use there."""
    return int(node.environment["machine"].get("cores_usable") or usable_cores())


def machine(node: ClusterNode, one: Evaluation) -> str:
    """A node as the answers of an evaluation name it: equal for machines of one kind."""
    return environment.answering(node.environment, one.options.threads or cores(node))


def memory(places: Sequence[Place]) -> int | None:
    """Bytes free for models on each node, the least of all; None where no node tells. Nodes of one machine share."""
    hosts = Counter(place.node.host for place in places)
    free = [place.node.memory_bytes // hosts[place.node.host] for place in places if place.node.memory_bytes]
    return min(free, default=None)
