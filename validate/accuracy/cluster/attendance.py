"""One node at work: it is handed shards with their images, two at a time, and its answers are taken."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from convert.common import typed
from convert.common.console import say_log
from convert.common.errors import InputError
from convert.images.preprocess import UnreadableImage
from runtimes.cluster.places import Place, Talk
from runtimes.records.kinds import Status
from runtimes.records.parts import Effective
from validate.accuracy.cluster import node_side
from validate.accuracy.cluster.merging import Merging
from validate.accuracy.cluster.node_side import NodeEvaluation, NodeJob, NodeShard, ShardImage
from validate.accuracy.cluster.nodes import machine
from validate.accuracy.cluster.shards import BatchShard, ShardQueue
from validate.accuracy.feeding.crop_cache import digest

AHEAD = 2  # shards at a node: one under way, one that waits there
PIECE = 4 << 20  # bytes of encoded images in a message


class FatalError(Exception):
    """What no other node can do better: too many unreadable images, a full disk here. error: the InputError."""

    def __init__(self, error: InputError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass
class Attendance:
    """The work of one node. evaluations: the numbers of those that it may be able to do; source: of the images; say:
    takes a line for the user; started: is told of the process. sees: whether it has the images at the same place.
    flying: the shards that it has, and whether their images were sent."""

    place: Place
    evaluations: Sequence[int]
    merging: Merging
    shards: ShardQueue
    source: Mapping[str, Any]
    batches: int
    say: Callable[[str], None]
    started: Callable[[Talk], None]
    sees: bool = False
    waiting: set[int] = field(default_factory=set)
    loaded: set[int] = field(default_factory=set)
    flying: deque[tuple[BatchShard, bool]] = field(default_factory=deque)
    over: bool = False

    def attend(self) -> None:
        """Until there is nothing left for it. JobError where its process died, NodeLostError, InputError where this
        node cannot take part, FatalError."""
        self.waiting = set(self.evaluations)
        talk = Talk(self.place, node_side.SERVE, self._job())
        self.started(talk)
        for answer in talk.answers():
            self._take(answer)
            if not self.waiting:
                self._feed(talk)

    @property
    def _node(self) -> str:
        return self.place.node.node

    def _job(self) -> Any:
        """Its NodeJob, after giving it what it needs for that."""
        folders: dict[str, str] = {}
        found = []
        for number in self.evaluations:
            one = self.merging.measurements[number].evaluation
            if one.artifact.sha256 not in folders:
                folders[one.artifact.sha256] = self.place.give(one.artifact)
            found.append(NodeEvaluation(number, folders[one.artifact.sha256], one.runtime.name, one.options))
        dataset = self.merging.measurements[0].evaluation.dataset
        return typed.table(NodeJob(tuple(found), dataset.names, self.source, dataset.sha256, self.batches))

    def _take(self, answer: dict[str, Any]) -> None:
        kind = answer["kind"]
        if kind == node_side.ABOUT:
            self.sees = answer["sees"]
            for name, version in node_side.decoders().items():
                if (theirs := answer["decoders"].get(name)) != version:
                    raise InputError(
                        f"its {name} is {theirs}, and here it is {version}: it may decode an image to other pixels"
                    )
        elif kind == node_side.OPENED:
            self._opened(answer["evaluation"], typed.read(Effective, answer["effective"]))
        elif kind == node_side.ENDED:
            self._end(answer["evaluation"], answer["status"], answer["reason"], answer["log"])
        elif kind == node_side.DIFFER:
            self._differ(*self.flying.popleft(), answer["images"])
        else:
            shard, _ = self.flying.popleft()
            for number, found in zip(answer["evaluations"], answer["found"], strict=True):
                self._add(number, found)
            self.shards.done(BatchShard(shard.chunk, shard.batches, tuple(answer["evaluations"])))

    def _opened(self, number: int, effective: Effective) -> None:
        self.waiting.discard(number)
        wrong, lacking = self._fatal(lambda: self.merging.opened(number, effective))
        if wrong:
            self._end(number, "failed", wrong)
            return
        self.loaded.add(number)
        if lacking is not None:
            self.shards.begin(number, lacking)

    def _end(self, number: int, status: Status, reason: str, log: str = "") -> None:
        self.waiting.discard(number)
        self.loaded.discard(number)
        one = self.merging.measurements[number].evaluation
        self.say(f"{one.title}: {status} on {self.place.node.name}: {reason}")
        say_log(log)
        self.merging.ended(number, self.place.node.name, status, reason)
        self.shards.end(self._node, [number])

    def _differ(self, shard: BatchShard, sent: bool, images: Sequence[int]) -> None:
        """It sees other images than we do, which it was told the hash of."""
        name = self.merging.measurements[0].evaluation.dataset.names[images[0]]
        if sent:
            raise InputError(f"{name} does not arrive there as it was sent")
        if self.sees:  # else a shard that was on its way by then
            self.sees = False
            self.say(f"{self.place.node.name}: {name} is another image there; images are sent to it from now on")
        self.shards.give_back(self._node, shard.evaluations, shard.chunk)

    def _add(self, number: int, found: Mapping[str, Any]) -> None:
        where = machine(self.place.node, self.merging.measurements[number].evaluation)
        self._fatal(lambda: self.merging.add(number, found, where))

    def _fatal(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except InputError as error:
            raise FatalError(error) from None

    def _feed(self, talk: Talk) -> None:
        """Hand it shards; at the end, that it is the end."""
        while len(self.flying) < AHEAD:
            shard = self.shards.take(self._node, self.loaded, idle=not self.flying)
            if shard is None:
                break
            self.flying.append((shard, not self.sees))
            self._send(talk, shard)
        if not self.flying and not self.over:
            self.over = True
            talk.tell({"kind": node_side.END})

    def _send(self, talk: Talk, shard: BatchShard) -> None:
        """The images, where it does not see them, in pieces; then the shard with what each of them is known by."""
        images: list[ShardImage] = []
        piece: list[tuple[int, str]] = []
        size = 0
        for image, data in self._images(shard):
            images.append(image)
            if data and not self.sees:
                piece.append((image.position, base64.b64encode(data).decode("ascii")))
                size += len(data)
            if size > PIECE:
                talk.tell({"kind": node_side.IMAGES, "images": piece})
                piece, size = [], 0
        if piece:
            talk.tell({"kind": node_side.IMAGES, "images": piece})
        table = NodeShard(shard.chunk, shard.batches, shard.evaluations, tuple(images))
        talk.tell({"kind": node_side.SHARD, "shard": typed.table(table)})

    def _images(self, shard: BatchShard) -> Iterator[tuple[ShardImage, bytes]]:
        one = self.merging.measurements[shard.evaluations[0]].evaluation
        for number in shard.batches:
            for position in range(number * one.batch, min((number + 1) * one.batch, len(one.dataset.labels))):
                try:
                    data = one.dataset.read(position)
                    yield ShardImage(position, digest(data)), data
                except UnreadableImage as error:
                    self.merging.unreadable(position, error)
                    yield ShardImage(position, unreadable=error.reason), b""
