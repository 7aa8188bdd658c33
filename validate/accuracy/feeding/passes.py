"""One pass over a set: each image is decoded once, and every evaluation of the pass runs on it.

The set goes by in chunks of several batches: a chunk is decoded on all cores, then each evaluation has its turn on it.
Each has a process of its own, and only one of them infers at a time, with all the threads that it was given: side by
side they would fight for the cores, and none would run as it does alone. For the same reason nothing is decoded while
a runtime computes on every core: one decoder on one of them would make all its threads wait at the next barrier.
Beside an accelerator, or where the threads are fewer than the cores, the next chunk is decoded meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from convert.common.errors import InputError
from convert.common.worker import JobError
from convert.families.spec import Preprocessing
from convert.images.preprocess import UnreadableImage
from runtimes.base import UnavailableError, usable_cores
from runtimes.records.kinds import Status
from runtimes.records.parts import Effective
from validate.accuracy.evaluation import Evaluation
from validate.accuracy.feeding.crop_cache import CropCache
from validate.accuracy.feeding.decoding import Batch, Decoder
from validate.accuracy.feeding.shared_memory import SharedBatches
from validate.accuracy.feeding.worker import SessionWorker, WorkerJob
from validate.accuracy.top5_file import Ranked

CHUNK_IMAGES = 64  # decoded images in memory where one evaluation is alone; twice as many for several
_LOG = 2000  # characters shown of what a process printed that died


@dataclass(eq=False)
class Measurement:
    """An evaluation in a pass and what comes of it.

    file: where its answers are kept; key: what they depend on; resume: whether those in the file count. ranked and
    effective: None until its model is loaded. status: failed or refused, with the reason, where it ended early.
    unreadable: numbers of images. machine: this one, as the file is told of it.
    """

    evaluation: Evaluation
    file: Path | None
    key: dict[str, Any]
    resume: bool = False
    ranked: Ranked | None = None
    effective: Effective | None = None
    status: Status = "ok"
    reason: str | None = None
    unreadable: list[int] = field(default_factory=list)
    worker: SessionWorker | None = None
    machine: str | None = None

    @property
    def preprocessing(self) -> Preprocessing:
        return self.evaluation.artifact.preprocessing

    @property
    def takes_every_core(self) -> bool:
        options = self.evaluation.options
        return options.device == "CPU" and options.thread_count() >= usable_cores()

    @property
    def known(self) -> np.ndarray:
        """(images,) bool: which ones have an answer."""
        assert self.ranked
        return self.ranked.known

    @property
    def done(self) -> int:
        """Images dealt with, those that could not be read with them."""
        assert self.ranked
        return self.ranked.count + len(self.unreadable)

    def lacking(self, batch: Batch) -> list[int]:
        """The rows of a batch whose images have no answer yet."""
        assert self.ranked
        return [row for row in batch.rows(self.preprocessing) if not self.ranked.knows(batch.positions[row])]

    def open(self, images: SharedBatches) -> None:
        """Load the model and see what is known of its images. JobError, UnavailableError."""
        one = self.evaluation
        job = WorkerJob(
            artifact=str(one.artifact.path),
            runtime=one.runtime.name,
            options=one.options,
            slots=len(images.slots),
            batch=one.batch,
            shape=self.preprocessing.shape,
            descriptor=images.descriptor,
            classes=one.artifact.classes,
        )
        self.worker = SessionWorker(job, one.runtime.environment(one.options))
        self.begin(self.worker.ready())

    def begin(self, effective: Effective) -> None:
        """See what is known of its images, now that it is known what answers."""
        self.effective = effective
        one = self.evaluation
        # Answers of a runtime that computed in another precision, or elsewhere, are another's.
        key = self.key | {"ran": [effective.precision, effective.device]}
        self.ranked = Ranked(self.file, key, len(one.dataset.labels), one.artifact.classes, self.resume)
        self.ranked.forget_nonfinite()


@dataclass(frozen=True)
class Listener:
    """What is told of a pass.

    opened: an evaluation that is loaded. progress: one that got on. unreadable: an image that is left out. ended: an
    evaluation that ended early, with the end of what its process printed.
    """

    opened: Callable[[Measurement], None] = lambda one: None
    progress: Callable[[Measurement], None] = lambda one: None
    unreadable: Callable[[UnreadableImage], None] = lambda error: None
    ended: Callable[[Measurement, str], None] = lambda one, log: None


def go(
    measurements: Sequence[Measurement],
    max_unreadable: int,
    caches: Mapping[Preprocessing, CropCache],
    listener: Listener,
) -> None:
    """Take evaluations, all on the same images in batches of the same size, through what they still lack.

    One whose runtime refuses, breaks or dies ends with its reason, and the others go on. InputError for more unreadable
    images than allowed; what was measured until then is kept.
    """
    dataset, batch = measurements[0].evaluation.dataset, measurements[0].evaluation.batch
    left_out = LeftOut(max_unreadable, listener)
    # Several take longer turns: a runtime's threads spin for a while after it has run.
    in_memory = CHUNK_IMAGES * min(2, len(measurements))
    chunk = min(max(2, -(-in_memory // batch)), -(-len(dataset.labels) // batch))
    ahead = not all(one.takes_every_core for one in measurements)
    if ahead:  # half of the memory is filled while they run on the other half
        chunk = -(-chunk // 2)
    slots = 2 * chunk if ahead else chunk
    with loaded(measurements, slots, listener) as images:
        running = [one for one in measurements if one.status == "ok"]
        if running:
            lacking = np.flatnonzero(~np.logical_and.reduce([one.known for one in running]))
            numbers = sorted({int(position) // batch for position in lacking})
            chunks = [numbers[i : i + chunk] for i in range(0, len(numbers), chunk)]
            with Decoder(dataset, batch, images, caches) as decoder:
                _Pass(running, decoder, left_out, listener).go(chunks, range(0, slots, chunk))


@contextmanager
def loaded(
    measurements: Sequence[Measurement], slots: int, listener: Listener
) -> Iterator[Mapping[Preprocessing, SharedBatches]]:
    """The memory that evaluations run on, of so many batches under each preprocessing, and their models, loaded."""
    batch = measurements[0].evaluation.batch
    used = dict.fromkeys(one.preprocessing for one in measurements)
    images = {preprocessing: SharedBatches(slots, batch, preprocessing.shape) for preprocessing in used}
    try:
        for one in measurements:
            try:
                one.open(images[one.preprocessing])
                listener.opened(one)
            except (UnavailableError, JobError) as error:
                _end(one, error, listener)
        yield images
    finally:
        for one in measurements:
            if one.worker:
                one.worker.close()
        for shared in images.values():
            shared.close()


def _end(one: Measurement, error: Exception, listener: Listener) -> None:
    one.status = "refused" if isinstance(error, UnavailableError) else "failed"
    one.reason = str(error)
    listener.ended(one, error.log[-_LOG:].strip() if isinstance(error, JobError) else "")


def turn(
    one: Measurement, batches: Sequence[Batch], listener: Listener, before: Callable[[Batch], None] = lambda batch: None
) -> None:
    """An evaluation on batches that lie in the memory, until it breaks. before: called with each batch."""
    for batch in batches:
        if one.status != "ok":
            return
        before(batch)
        if rows := one.lacking(batch):
            assert one.worker
            assert one.ranked
            try:
                one.worker.submit(batch.slot)
                answers = one.worker.result()
            except (UnavailableError, JobError) as error:
                _end(one, error, listener)
                return
            one.ranked.add([batch.positions[row] for row in rows], [answers[row] for row in rows], one.machine)
        listener.progress(one)


@dataclass
class LeftOut:
    """The images that cannot be read, of which so many are allowed."""

    most: int
    listener: Listener
    met: set[int] = field(default_factory=set)

    def add(self, position: int, error: UnreadableImage) -> None:
        """Say it, once. InputError when they are more than allowed by now."""
        if position in self.met:
            return
        self.met.add(position)
        if len(self.met) > self.most:
            count = len(self.met)
            met = "" if count == 1 else f" and is number {count} of those that cannot be used"
            raise InputError(f"{error}{met}; `--max-unreadable N` goes on without up to N images")
        self.listener.unreadable(error)


def in_turn(measurements: Iterable[Measurement]) -> list[Measurement]:
    """In the order of their turns: those that leave cores free come last, and the next chunk is decoded meanwhile."""
    return sorted(measurements, key=lambda one: not one.takes_every_core)


class _Pass:
    def __init__(
        self, measurements: list[Measurement], decoder: Decoder, left_out: LeftOut, listener: Listener
    ) -> None:
        self._measurements = in_turn(measurements)
        self._decoder, self._left_out, self._listener = decoder, left_out, listener

    def go(self, chunks: Sequence[Sequence[int]], first_slots: Sequence[int]) -> None:
        """Decode chunks of batch numbers, each while no runtime needs all cores, and run on them.

        first_slots: where a chunk may begin in the memory, in turn.
        """
        waiting = iter(zip(chunks, cycle(first_slots), strict=False))
        self._decoder.start(*next(waiting, ((), 0)))
        while (batches := self._decoder.finish()) and any(one.status == "ok" for one in self._measurements):
            ahead = False
            for one in self._measurements:
                if not ahead and not one.takes_every_core:
                    self._decoder.start(*next(waiting, ((), 0)))
                    ahead = True
                turn(one, batches, self._listener, self._announce)
            if not ahead:
                self._decoder.start(*next(waiting, ((), 0)))

    def _announce(self, batch: Batch) -> None:
        """Say, once, which images of a batch cannot be read. InputError when they are more than allowed by now."""
        if batch.announced:
            return
        batch.announced = True
        for one in self._measurements:
            one.unreadable += batch.unreadable[one.preprocessing]
        for position, error in {p: e for found in batch.unreadable.values() for p, e in found.items()}.items():
            self._left_out.add(position, error)
