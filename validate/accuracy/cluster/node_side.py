"""On a node: models are loaded once, shards come in, and what each image is taken for goes back.

Images are those that this machine sees at the same place, where they are the same to the byte, or come with the shard,
encoded as they are. They are decoded here, in the batches of a local run, by its code.
"""

from __future__ import annotations

import base64
import importlib.metadata
import queue
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from convert import artifact as artifacts
from convert.common import typed
from convert.common.errors import InputError
from convert.datasets import LabelledSet
from convert.datasets.options import SetOptions
from convert.images.preprocess import UnreadableImage
from convert.model_options import ModelOptions
from runtimes import registry
from runtimes.base import Options
from validate.accuracy.evaluation import Evaluation
from validate.accuracy.feeding.crop_cache import digest
from validate.accuracy.feeding.decoding import Batch, Decoder
from validate.accuracy.feeding.passes import Listener, Measurement, in_turn, loaded, turn
from validate.accuracy.top5_file import NO_CLASS, Ranking

SERVE = f"{__name__}:serve"
IMAGES, SHARD, END = "images", "shard", "end"  # what a message is
ABOUT, OPENED, ENDED, DIFFER, ANSWERS = "about", "opened", "ended", "differ", "answers"  # what an answer is


@dataclass(frozen=True)
class NodeEvaluation:
    """An evaluation as a node gets it. number: by which it is known; artifact: its folder here."""

    number: int
    artifact: str
    runtime: str
    options: Options


@dataclass(frozen=True)
class NodeJob:
    """What a node is told first. names: of the images, by their numbers; source: the options of the set, with paths
    from the root; batches: in a shard at most."""

    evaluations: tuple[NodeEvaluation, ...]
    names: tuple[str, ...]
    source: Mapping[str, str | int | None]
    sha256: str
    batches: int


@dataclass(frozen=True)
class ShardImage:
    """An image of a shard. digest: of its encoded bytes; unreadable: why there are none, in a few words."""

    position: int
    digest: str = ""
    unreadable: str | None = None


@dataclass(frozen=True)
class NodeShard:
    """A shard as a node gets it; its images have come before it, or are seen at the same place."""

    chunk: int
    batches: tuple[int, ...]
    evaluations: tuple[int, ...]
    images: tuple[ShardImage, ...]


def source(options: SetOptions) -> dict[str, Any]:
    """The options of a set as a node is told of them."""
    return {name: str(v.absolute()) if isinstance(v, Path) else v for name, v in options.arguments().items()}


def decoders() -> dict[str, str]:
    """What decodes and resizes images: another version may give other pixels."""
    return {"OpenCV": cv2.__version__, "Pillow": importlib.metadata.version("pillow"), "NumPy": np.__version__}


def serve(table: dict[str, Any], messages: Iterator[Any]) -> Iterator[dict[str, Any]]:
    """Answer a NodeJob: `about` this node, each evaluation as `opened` or `ended`, then each shard, until the end."""
    job = typed.read(NodeJob, table)
    incoming = Incoming(messages)
    images = ShardImages(job)
    yield {"kind": ABOUT, "decoders": decoders(), "sees": images.own is not None}
    told: list[dict[str, Any]] = []
    numbers: dict[int, int] = {}  # of evaluations, by their measurements

    def ended(one: Measurement, log: str) -> None:
        told.append(
            {"kind": ENDED, "evaluation": numbers[id(one)], "status": one.status, "reason": one.reason, "log": log}
        )

    def opened(one: Measurement) -> None:
        told.append({"kind": OPENED, "evaluation": numbers[id(one)], "effective": typed.table(one.effective)})

    listener = Listener(opened=opened, ended=ended)
    measurements = {one.number: _measurement(one, images.dataset) for one in job.evaluations}
    numbers |= {id(one): number for number, one in measurements.items()}
    every = list(measurements.values())
    with loaded(every, 2 * job.batches, listener) as memory:
        yield from _drain(told)
        if any(one.status == "ok" for one in every):
            with Decoder(images.dataset, every[0].evaluation.batch, memory, {}) as decoder:
                yield from _Shards(incoming, images, decoder, measurements, listener, job.batches).answers(told)


def _measurement(one: NodeEvaluation, dataset: LabelledSet) -> Measurement:
    artifact = artifacts.load(Path(one.artifact))
    runtime = registry.get(one.runtime)
    evaluation = Evaluation(
        artifact, artifact.model, ModelOptions(), runtime, one.options.precision, dataset, one.options
    )
    return Measurement(evaluation, None, {})


def _drain(told: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    while told:
        yield told.pop(0)


@dataclass
class ShardImages:
    """The images of the shards that are here. own: the set as this machine sees it; None where it does not.

    differing: those of which it sees other bytes.
    """

    job: NodeJob
    own: LabelledSet | None = None
    known: dict[int, ShardImage] = field(default_factory=dict)
    sent: dict[int, bytes] = field(default_factory=dict)
    differing: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        names = self.job.names
        self.dataset = LabelledSet("images", (0,) * len(names), names, self.read, len(names), self.job.sha256, "shard")
        with suppress(InputError):  # it is not there, or is no such set
            found = _options(self.job.source).load(None)
            if (found.sha256, found.names) == (self.job.sha256, names):
                self.own = found

    def read(self, position: int) -> bytes:
        """The encoded bytes of an image. UnreadableImage for one that the sender cannot read, and one that differs."""
        expected, name = self.known[position], self.job.names[position]
        if expected.unreadable is not None:
            raise UnreadableImage(name, expected.unreadable)
        with suppress(UnreadableImage):
            data = self.seen(position)
            if digest(data) == expected.digest:
                return data
        self.differing.add(position)
        raise UnreadableImage(name, "is another one here")

    def seen(self, position: int) -> bytes:
        """The bytes that are here: those that were sent, else those of the set that this machine sees."""
        return self.sent[position] if position in self.sent else self.own.read(position) if self.own else b""

    def forget(self, shard: NodeShard, following: NodeShard | None) -> None:
        """Let go of a shard's images, but for those of the next one."""
        kept = {image.position for image in following.images} if following else set()
        for position in {image.position for image in shard.images} - kept:
            self.sent.pop(position, None)


def _options(table: Mapping[str, Any]) -> SetOptions:
    paths = {name: Path(str(table[name])) for name in ("images", "ground_truth", "synsets", "root") if table.get(name)}
    return SetOptions(**{**table, **paths})


class Incoming:
    """The messages, read by a thread, so that it is known whether a shard is there already."""

    def __init__(self, messages: Iterable[Any]) -> None:
        self._queue: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(messages,), daemon=True).start()

    def _read(self, messages: Iterable[Any]) -> None:
        for message in messages:
            if message["kind"] == END:
                break
            self._queue.put(message)
        self._queue.put(None)

    def shard(self, images: ShardImages, wait: bool) -> NodeShard | None:
        """The next shard; None at the end, and where none is there and nobody waits."""
        while True:
            try:
                message = self._queue.get(block=wait)
            except queue.Empty:
                return None
            if message is None:
                self._queue.put(None)
                return None
            if message["kind"] == IMAGES:
                images.sent.update((position, base64.b64decode(data)) for position, data in message["images"])
                continue
            shard = typed.read(NodeShard, message["shard"])
            images.known.update((image.position, image) for image in shard.images)
            return shard


@dataclass
class _Shards:
    incoming: Incoming
    images: ShardImages
    decoder: Decoder
    measurements: Mapping[int, Measurement]
    listener: Listener
    batches: int

    def answers(self, told: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Take shard after shard through its evaluations; the next one is decoded meanwhile where cores are free."""
        slots = cycle((0, self.batches))
        shard = self._begin(slots, wait=True)
        while shard:
            decoded = self.decoder.finish()
            following: NodeShard | None = None
            differing = [one.position for one in shard.images if one.position in self.images.differing]
            running = {number: self.measurements[number] for number in shard.evaluations}
            for one in in_turn([] if differing else running.values()):
                if not following and not one.takes_every_core:
                    following = self._begin(slots, wait=False)
                turn(one, decoded, self.listener)
            yield from _drain(told)
            if differing:
                yield {"kind": DIFFER, "chunk": shard.chunk, "evaluations": shard.evaluations, "images": differing}
                self.images.differing.difference_update(differing)
            else:
                found = {number: answered(one, decoded) for number, one in running.items() if one.status == "ok"}
                yield {"kind": ANSWERS, "chunk": shard.chunk, "evaluations": list(found), "found": list(found.values())}
            self.images.forget(shard, following)
            shard = following or self._begin(slots, wait=True)

    def _begin(self, slots: Iterator[int], wait: bool) -> NodeShard | None:
        shard = self.incoming.shard(self.images, wait)
        if shard:
            self.decoder.start(shard.batches, next(slots))
        return shard


def answered(one: Measurement, batches: Sequence[Batch]) -> dict[str, Any]:
    """What came of the images of some batches: `answers`, number and classes of each, and `unreadable`, number and
    reason. They are forgotten here, so that they can be asked for again."""
    assert one.ranked
    missing = {p: error for batch in batches for p, error in batch.unreadable[one.preprocessing].items()}
    positions = [p for batch in batches for p in batch.positions if p not in missing]
    answers = [(position, _ranking(one.ranked.top[position])) for position in positions]
    one.ranked.forget(positions)
    return {"answers": answers, "unreadable": [(p, error.reason) for p, error in missing.items()]}


def _ranking(top: np.ndarray) -> Ranking:
    return None if top[0] == NO_CLASS else [int(number) for number in top if number >= 0]
