"""Images decoded ahead of the inference, in parallel, into memory that the runtimes read from.

A set goes by in batches, each at fixed places: an image is in the same batch with the same neighbours however often the
run was interrupted. There is room for a few batches only; one must be given back before another takes its place.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from convert.families.spec import Preprocessing
from convert.images.preprocess import UnreadableImage, crop, decode, normalise
from runtimes.base import usable_cores
from validate.accuracy.crops import CropCache, digest
from validate.accuracy.shared import SharedBatches
from validate.datasets import LabelledSet

# What an image came to under each preprocessing: None where its tensor is in place, else why it is not.
_Filled = dict[Preprocessing, "UnreadableImage | None"]


@dataclass(eq=False)
class Batch:
    """A batch in the shared memory. unreadable: for each preprocessing, the images that have no tensor."""

    number: int
    slot: int
    positions: range
    unreadable: dict[Preprocessing, dict[int, UnreadableImage]] = field(default_factory=dict)

    def rows(self, preprocessing: Preprocessing) -> list[int]:
        """The rows that hold an image of their own, in order."""
        missing = self.unreadable[preprocessing]
        return [row for row, position in enumerate(self.positions) if position not in missing]


class Feed:
    """The batches `numbers` of a set, one after another, each image decoded once for all the preprocessings.

    images: the shared memory of each preprocessing; a batch has the same slot in all. caches: where decoded images are
    kept; may be empty. Use it in a `with` block, and from one thread.
    """

    def __init__(
        self,
        dataset: LabelledSet,
        batch: int,
        numbers: Sequence[int],
        images: Mapping[Preprocessing, SharedBatches],
        caches: Mapping[Preprocessing, CropCache],
    ) -> None:
        self._dataset, self._batch, self._caches = dataset, batch, caches
        self._images, self._preprocessings = images, list(images)
        self._left = deque(numbers)
        self._ahead: deque[tuple[Batch, list[Future[_Filled]]]] = deque()
        cv2.setNumThreads(1)  # one image a thread: several threads on one image would only wait for each other
        self._pool = ThreadPoolExecutor(usable_cores(), thread_name_prefix="decode")
        self._decoding = threading.Event()
        self._decoding.set()
        for slot in range(min(len(shared.slots) for shared in images.values())):
            self._start(slot)

    @property
    def ready(self) -> bool:
        """Whether `next` would not have to wait."""
        return not self._ahead or all(future.done() for future in self._ahead[0][1])

    def pause(self, paused: bool) -> None:
        """Let the decoding rest, or go on. `next` waits for ever while it rests, unless it is `ready`."""
        if paused:
            self._decoding.clear()
        else:
            self._decoding.set()

    def settle(self) -> None:
        """Wait until all the memory is filled."""
        wait([future for _, futures in self._ahead for future in futures])

    def next(self) -> Batch | None:
        """The next batch, once its images are in place; None after the last. Rows without an image repeat another."""
        if not self._ahead:
            assert not self._left, "no memory was given back"
            return None
        batch, futures = self._ahead.popleft()
        batch.unreadable = {one: {} for one in self._preprocessings}
        for position, future in zip(batch.positions, futures, strict=True):
            for preprocessing, error in future.result().items():
                if error:
                    batch.unreadable[preprocessing][position] = error
        for preprocessing in self._preprocessings:
            _repeat(self._images[preprocessing].slots[batch.slot], batch.rows(preprocessing))
        return batch

    def release(self, batch: Batch) -> None:
        """The batch's memory may be filled again."""
        self._start(batch.slot)

    def _start(self, slot: int) -> None:
        if not self._left:
            return
        number = self._left.popleft()
        positions = range(number * self._batch, min((number + 1) * self._batch, len(self._dataset.labels)))
        futures = [self._pool.submit(self._fill, position, slot, row) for row, position in enumerate(positions)]
        self._ahead.append((Batch(number, slot, positions), futures))

    def _fill(self, position: int, slot: int, row: int) -> _Filled:
        self._decoding.wait()
        name = self._dataset.names[position]
        try:
            data = self._dataset.read(position)
        except UnreadableImage as error:
            return dict.fromkeys(self._preprocessings, error)
        source = digest(data) if self._caches else b""
        pixels: np.ndarray | None = None
        filled: _Filled = {}
        for preprocessing in self._preprocessings:
            cache = self._caches.get(preprocessing)
            planes = cache.get(position, source) if cache else None
            filled[preprocessing] = None
            if planes is None:
                try:
                    pixels = decode(data, name) if pixels is None else pixels
                    planes = crop(pixels, preprocessing, name)
                except UnreadableImage as error:
                    filled[preprocessing] = error
                    continue
                if cache:
                    cache.put(position, source, planes)
            normalise(planes, preprocessing, self._images[preprocessing].slots[slot][row])
        return filled

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._decoding.set()
        self._pool.shutdown(wait=True, cancel_futures=True)


def _repeat(rows: np.ndarray, own: list[int]) -> None:
    """Fill the rows that have no image of their own with the others in turn, so that every batch has one shape."""
    missing = sorted(set(range(len(rows))) - set(own))
    if own:
        for index, row in enumerate(missing):
            rows[row] = rows[own[index % len(own)]]
