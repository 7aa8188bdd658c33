"""One pass over a set on all nodes at once, each of which has a thread here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from convert.common.console import say_log
from convert.common.errors import InputError
from convert.common.worker import JobError
from runtimes.cluster.places import NodeLostError, Place, Talk
from validate.accuracy.cluster import node_side
from validate.accuracy.cluster.attendance import Attendance, FatalError
from validate.accuracy.cluster.merging import Merging
from validate.accuracy.cluster.nodes import ClusterNodes
from validate.accuracy.cluster.shards import ShardQueue
from validate.accuracy.evaluation import Settings
from validate.accuracy.feeding.passes import CHUNK_IMAGES, Listener, Measurement

_TRIES = 3  # a node whose process dies begins again so often
_LOOK_S, _LEAVE_S = 0.5, 15.0


@dataclass
class Spread:
    """The cluster that takes part in an accuracy. say: takes a line for the user."""

    nodes: ClusterNodes
    settings: Settings
    say: Callable[[str], None]

    def go(self, measurements: Sequence[Measurement], listener: Listener) -> None:
        """`passes.go` over the nodes. InputError also where no node is left before all is done."""
        merging = Merging(measurements, self.settings.max_unreadable, listener)
        able: dict[str, list[int]] = {place.node.node: [] for place in self.nodes.here}
        for number, one in enumerate(measurements):
            places, why = self.nodes.able(one.evaluation)
            for name, reason in why.items():
                self.say(f"{one.evaluation.title}: not on {name}: {reason}")
                merging.ended(number, name, "refused", reason)
            for place in places:
                able[place.node.node].append(number)
        shards = ShardQueue(able, batches := -(-CHUNK_IMAGES // measurements[0].evaluation.batch))
        running = _Running(self, merging, shards, batches)
        running.go([place for place in self.nodes.here if able[place.node.node]], able)
        for number, one in enumerate(measurements):
            if shards.finished(number):
                continue
            if why_lost := self.nodes.lost_for(one.evaluation):  # it says nothing of the runtime
                reason = why_lost[-1]
                raise InputError(
                    f"{one.evaluation.title}: no node is left for it ({reason}); --resume goes on from here"
                )
            merging.conclude(number)


@dataclass
class _Running:
    """A pass under way. talks: the processes on the nodes; failure: what ended all of it."""

    spread: Spread
    merging: Merging
    shards: ShardQueue
    batches: int
    talks: dict[str, Talk] = field(default_factory=dict)
    failure: BaseException | None = None

    def go(self, places: Sequence[Place], able: dict[str, list[int]]) -> None:
        """Until all is done, or nobody is left."""
        threads: dict[str, threading.Thread] = {}
        try:
            for place in places:
                name = place.node.node
                threads[name] = threading.Thread(target=self._attend, args=(place, able[name]), daemon=True)
                threads[name].start()
            while not self.shards.wait(_LOOK_S):
                pass
        finally:
            self.shards.close()
            for talk in list(self.talks.values()):
                talk.stop()
            for name, thread in threads.items():
                thread.join(_LEAVE_S)
                if thread.is_alive():
                    self.spread.nodes.lost[name] = "it does not answer"
        if self.failure:
            raise self.failure

    def _attend(self, place: Place, evaluations: list[int]) -> None:
        """Keep a node busy to the end."""
        try:
            if lost := self._lost(place, evaluations):
                self.spread.nodes.lost[place.node.node] = lost
                self.spread.say(f"{place.node.name} is lost: {lost}; what it had to do is done elsewhere")
        except FatalError as error:
            self.failure = error.error
            self.shards.close()
        except BaseException as error:
            self.failure = error
            self.shards.close()
        finally:
            self.shards.end(place.node.node)

    def _lost(self, place: Place, evaluations: list[int]) -> str | None:
        """Why a node did not come to the end, in a clause; None where it did, or nothing is left to do."""
        name, why = place.node.node, ""
        source = node_side.source(self.spread.settings.labelled)
        for _ in range(_TRIES):
            started = lambda talk: self.talks.__setitem__(name, talk)  # noqa: E731
            one = Attendance(
                place, evaluations, self.merging, self.shards, source, self.batches, self.spread.say, started
            )
            try:
                one.attend()
                return None
            except JobError as error:
                if self.shards.wait(0):
                    return None
                why = str(error)
                self.spread.say(f"{place.node.name}: {why}; it begins again")
                say_log(error.log)
                self.shards.give_back(name)
            except NodeLostError as error:
                return None if self.shards.wait(0) else str(error)
            except InputError as error:
                return error.message
        return why
