"""Carry out a plan over a cluster: each node its share, at once; the records come back as they are made.

A node that is lost costs the visit that it was in: its cells are done by its equals, or with --resume.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from convert.artifact import Artifact
from convert.common import typed, worker
from convert.common.console import say, say_log
from convert.common.errors import InputError, WriteError
from convert.common.worker import JobError
from runtimes.bench.cluster import assign, plan, share
from runtimes.bench.cluster.assign import Errand
from runtimes.bench.cluster.merged import MergedFolder
from runtimes.bench.cluster.plan import ClusterPlan, Wanted
from runtimes.bench.cluster.share import Share
from runtimes.bench.plan.plan_file import Price
from runtimes.cluster.places import NodeLostError, Place, Reserved, at_once
from runtimes.records.kinds import TimedRecord
from runtimes.system import environment

# A cell whose nodes are lost again and again may be what they die of.
_TRIES = 3


@dataclass
class ClusterRun:
    """A plan while it is carried out.

    again: keys of cells of which the numbers that nodes have do not count (`share.Share`). made: the records of its
    cells. left: why others have none, by their names and machines. prover: the module that checks parity on the nodes
    and computes references here (`refer`).
    """

    plan: ClusterPlan
    wanted: Wanted
    merged: MergedFolder
    run: str
    prover: str
    prices: Sequence[Price]
    again: frozenset[str] = frozenset()
    made: list[TimedRecord] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    _troubles: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def carry_out(self, found: Reserved) -> None:
        """Have every node measure its share. Ctrl-C, and whatever else ends it, leaves nothing running there."""
        places = {place.node.node: place for place in found.places if place.node.node in self.plan.given}
        given = {name: list(errands) for name, errands in self.plan.given.items()}
        self._refer()
        for _ in range(_TRIES):
            undone = self._at_once(given, places)
            for name in [name for name, place in places.items() if place.lost]:
                del places[name]
            # Who was in trouble, as with a full disk, gets again what nobody else can do.
            given, rest = assign.assign(undone, [name for name in places if name not in self._troubles])
            again, nobody = assign.assign(rest, list(places))
            given = {name: [*given.get(name, ()), *again[name]] for name in places}
            self._leave(nobody, "no other machine can measure it")
            if not any(given.values()):
                return
        for name, errands in given.items():
            self._leave(errands, self._troubles.get(name) or "it was tried on several nodes")

    def _refer(self) -> None:
        """Compute the references that parity is held against, which nodes without Paddle cannot: before anything is
        measured, since this machine may be a node too."""
        wanted = {cell.artifact for _, cell in self.plan.cells()}
        for _, artifact in self._of(wanted):
            if artifact.form is None:
                try:
                    worker.call(f"{self.prover}:refer", str(artifact.path))
                except (JobError, InputError) as error:
                    reason = error.message if isinstance(error, InputError) else error
                    say(f"{artifact.model}: nodes without Paddle cannot check its parity: {reason}")

    def _at_once(self, given: dict[str, list[Errand]], places: dict[str, Place]) -> list[Errand]:
        """The errands, or what is left of them, of nodes that were lost or in trouble."""
        busy = [places[name] for name, errands in given.items() if errands]
        left = at_once(busy, lambda place: self._share(place, given[place.node.node]))
        return [errand for errands in left for errand in errands]

    def _share(self, place: Place, errands: Sequence[Errand]) -> list[Errand]:
        """Have a node measure; what is left of its errands where it is lost, or its process or its disk fails."""
        node = place.node
        cells = [cell for errand in errands for cell in errand.offers[node.node]]
        try:
            with place.lock:  # nodes of one machine take turns
                wanted = self._of({cell.artifact for cell in cells})
                folders = {sha: place.give(artifact) for sha, artifact in wanted}
                keys = tuple(cell.key for cell in cells)
                again = tuple(self.again.intersection(keys))
                asked = self.wanted.asked(node, self.run, folders)
                payload = typed.table(Share(asked, keys, self.prover, again))
                roots = plan.roots_of(self.wanted, folders)
                for message in place.run(share.CARRY_OUT, payload):
                    self._take(place, message, roots)
        except NodeLostError as error:
            place.lost = True
            if not place.closed.is_set():
                say(f"{node.name} is lost: {error}")
            return self._unfinished(node.key, errands)
        except WriteError:
            raise  # of our own disk: a node's comes as an InputError
        except (JobError, InputError) as error:
            if isinstance(error, JobError):
                say_log(error.log)
            reason = error.message if isinstance(error, InputError) else str(error)
            with self._lock:
                self._troubles[node.node] = f"{node.name}: {reason}"
            say(f"{node.name} did not finish its share: {reason}")
            return self._unfinished(node.key, errands)
        self._leave(self._unfinished(node.key, errands), f"{node.name} made no record of it")
        return []

    def _of(self, wanted: set[str]) -> list[tuple[str, Artifact]]:
        found = {artifact.sha256: artifact for artifact in self.wanted.artifacts.values()}
        return [(sha, found[sha]) for sha in sorted(wanted)]

    def _take(self, place: Place, message: dict[str, Any], roots: dict[str, str]) -> None:
        node = place.node
        if "said" in message:
            say(f"[{node.node[:8]}] {message['said']}")
        elif "environment" in message:
            self.merged.describe(node.key, message["environment"], plan.price_of(node, self.prices))
        else:
            record = self.merged.add(node.key, message["record"], roots)
            if isinstance(record, TimedRecord):
                with self._lock:
                    self.made.append(record)

    def _unfinished(self, machine: str, errands: Sequence[Errand]) -> list[Errand]:
        """What of some errands has no record that was made in this run."""
        with self._lock:
            done = {record.key for record in self.made if record.machine == machine}
        found = []
        for errand in errands:
            places = {cell.place for cells in errand.offers.values() for cell in cells if cell.key in done}
            offers = {
                name: tuple(cell for cell in cells if cell.place not in places) for name, cells in errand.offers.items()
            }
            if any(offers.values()):
                found.append(Errand(offers))
        return found

    def _leave(self, errands: Sequence[Errand], why: str) -> None:
        machines = {node.node: node for nodes in self.plan.kinds.values() for node in nodes}
        with self._lock:
            for errand in errands:
                for name, cells in errand.offers.items():
                    node = machines[name]
                    machine = f"{environment.label(node.environment)} [{node.key[:8]}]"
                    self.left |= {f"{cell.name} on {machine}": why for cell in cells}
