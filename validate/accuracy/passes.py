"""One pass over a set: each image is decoded once, and every cell of the pass runs on it.

Each cell has a process of its own, and only one of them infers at a time, with all the threads that it was given: side
by side they would fight for the cores, and none would run as it does alone. They take turns of several batches, since
the threads of a runtime that has just run keep spinning for a while. For the same reason decoding rests while a runtime
computes on every core: one decoder on one of them would make all its threads wait at the next barrier. It has all cores
to itself in between. Beside an accelerator, or where the threads are fewer than the cores, both go on at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from convert.common.errors import InputError
from convert.families.spec import Preprocessing
from convert.images.preprocess import UnreadableImage
from runtimes.base import UnavailableError, usable_cores
from validate.accuracy.cells import Cell
from validate.accuracy.crops import CropCache
from validate.accuracy.feed import Batch, Feed
from validate.accuracy.ranked import Ranked
from validate.accuracy.shared import SharedBatches
from validate.accuracy.worker import Job, Worker, WorkerError

MIN_SLOTS = 4  # batches in memory: one that runs, one that waits behind it, two that are being decoded
TURN_IMAGES = 64  # that a cell gets in one turn, and that are decoded together
_AHEAD = 2  # batches that a worker is given before the first of them must be answered: it never waits for the next


@dataclass(eq=False)
class Run:
    """A cell in a pass and what comes of it.

    file: where its answers are kept; key: what they depend on; resume: whether those in the file count. ranked and
    effective: None until its model is loaded. status: failed or refused, with the reason, where it ended early.
    unreadable: numbers of images.
    """

    cell: Cell
    file: Path
    key: dict[str, Any]
    resume: bool = False
    ranked: Ranked | None = None
    effective: dict[str, Any] | None = None
    status: str = "ok"
    reason: str | None = None
    unreadable: list[int] = field(default_factory=list)
    worker: Worker | None = None

    @property
    def preprocessing(self) -> Preprocessing:
        return self.cell.preprocessing.used

    @property
    def takes_every_core(self) -> bool:
        options = self.cell.options
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
        """Load the model and see what is known of its images. WorkerError, UnavailableError."""
        cell = self.cell
        job = Job(
            str(cell.artifact.path),
            cell.runtime.name,
            cell.options,
            len(images.slots),
            cell.batch,
            self.preprocessing.crop,
            cell.artifact.classes,
        )
        self.worker = Worker(job, images, cell.runtime.environment(cell.options))
        self.effective = self.worker.ready()
        # Answers of a runtime that computed in another precision, or elsewhere, are another's.
        key = self.key | {"ran": [self.effective["precision"], self.effective["device"]]}
        self.ranked = Ranked(self.file, key, len(cell.dataset.labels), cell.artifact.classes, self.resume)
        self.ranked.forget_nonfinite()


@dataclass(frozen=True)
class Listener:
    """What is told of a pass. opened: a cell that is loaded; progress: one that got on; unreadable: an image that is
    left out; ended: a cell that did early, with the end of what its process printed."""

    opened: Callable[[Run], None] = lambda run: None
    progress: Callable[[Run], None] = lambda run: None
    unreadable: Callable[[UnreadableImage], None] = lambda error: None
    ended: Callable[[Run, str], None] = lambda run, log: None


def go(runs: Sequence[Run], max_unreadable: int, caches: Mapping[Preprocessing, CropCache], listener: Listener) -> None:
    """Take the cells, all on the same images in batches of the same size, through what they still lack.

    A cell whose runtime refuses, breaks or dies ends with its reason, and the others go on. InputError for more
    unreadable images than allowed; what was measured until then is kept.
    """
    dataset, batch = runs[0].cell.dataset, runs[0].cell.batch
    turn = -(-TURN_IMAGES // batch)
    slots = max(MIN_SLOTS, turn if len(runs) == 1 else 2 * turn)
    slots = min(slots, -(-len(dataset.labels) // batch))
    images = {one: SharedBatches(slots, batch, one.crop) for one in dict.fromkeys(run.preprocessing for run in runs)}
    try:
        for run in runs:
            try:
                run.open(images[run.preprocessing])
                listener.opened(run)
            except (UnavailableError, WorkerError) as error:
                _end(run, error, listener)
        running = [run for run in runs if run.status == "ok"]
        if running:
            lacking = np.flatnonzero(~np.logical_and.reduce([run.known for run in running]))
            numbers = sorted({int(position) // batch for position in lacking})
            with Feed(dataset, batch, numbers, images, caches) as feed:
                _Pass(running, feed, turn if len(running) > 1 else 1, max_unreadable, listener).go()
    finally:
        for run in runs:
            if run.worker:
                run.worker.close()
        for shared in images.values():
            shared.close()


def _end(run: Run, error: Exception, listener: Listener) -> None:
    run.status = "refused" if isinstance(error, UnavailableError) else "failed"
    run.reason = str(error)
    listener.ended(run, getattr(error, "log", ""))


class _Pass:
    def __init__(self, runs: list[Run], feed: Feed, turn: int, max_unreadable: int, listener: Listener) -> None:
        self._runs, self._feed, self._turn, self._listener = runs, feed, turn, listener
        self._max_unreadable = max_unreadable
        self._named: set[int] = set()  # images that could not be read and were said to be so
        self._waiting: list[tuple[Batch, list[Run]]] = []  # batches in memory, and who is not done with them
        self._submitted: deque[tuple[Run, Batch]] = deque()  # of one cell only, oldest first

    def go(self) -> None:
        try:
            while any(run.status == "ok" for run in self._runs):
                batches: list[Batch] = []
                for run in self._runs:
                    self._take_turn(run, batches)
                if not batches:
                    break
        finally:
            self._collect(0)  # what is on its way is measured, and must not be lost

    def _take_turn(self, run: Run, batches: list[Batch]) -> None:
        """Give a cell its turn. batches: those of the turn so far, which the first cell fetches for all."""
        for index in range(self._turn):
            if run.status != "ok":
                return
            if index == len(batches):
                batch = self._next()
                if batch is None:
                    return
                batches.append(batch)
            self._submit(run, batches[index])

    def _next(self) -> Batch | None:
        if not self._feed.ready and any(run.takes_every_core for run in self._runs):
            self._collect(0)
            self._feed.pause(False)
            self._feed.settle()
        batch = self._feed.next()
        if batch is None:
            return None
        self._waiting.append((batch, [run for run in self._runs if run.status == "ok"]))
        for run in self._runs:
            run.unreadable += batch.unreadable[run.preprocessing]
        for position, error in {p: e for found in batch.unreadable.values() for p, e in found.items()}.items():
            self._named.add(position)
            if len(self._named) > self._max_unreadable:
                count = len(self._named)
                met = "" if count == 1 else f" and is number {count} of those that cannot be used"
                raise InputError(f"{error}{met}; `--max-unreadable N` goes on without up to N images")
            self._listener.unreadable(error)
        return batch

    def _submit(self, run: Run, batch: Batch) -> None:
        if self._submitted and self._submitted[0][0] is not run:
            self._collect(0)  # one cell at a time
        if run.status != "ok":
            return
        if not run.lacking(batch):
            self._done(run, batch)
            return
        assert run.worker
        self._feed.pause(run.takes_every_core)
        run.worker.submit(batch.slot)
        self._submitted.append((run, batch))
        self._collect(_AHEAD - 1)

    def _collect(self, leave: int) -> None:
        """Store the answers of what was submitted, but for the last `leave`."""
        while len(self._submitted) > leave:
            run, batch = self._submitted.popleft()
            assert run.worker
            assert run.ranked
            try:
                answers = run.worker.result()
            except (UnavailableError, WorkerError) as error:
                self._submitted.clear()
                self._end(run, error)
                return
            rows = run.lacking(batch)
            run.ranked.add([batch.positions[row] for row in rows], [answers[row] for row in rows])
            self._done(run, batch)

    def _done(self, run: Run, batch: Batch) -> None:
        self._listener.progress(run)
        self._leave(run, [batch])

    def _end(self, run: Run, error: Exception) -> None:
        _end(run, error, self._listener)
        self._leave(run, [batch for batch, _ in self._waiting])

    def _leave(self, run: Run, batches: list[Batch]) -> None:
        """A cell is done with some batches; those that nobody waits for give their memory back."""
        for batch, runs in self._waiting:
            if batch in batches and run in runs:
                runs.remove(run)
        free = [batch for batch, runs in self._waiting if not runs]
        self._waiting = [(batch, runs) for batch, runs in self._waiting if runs]
        for batch in free:
            self._feed.release(batch)
