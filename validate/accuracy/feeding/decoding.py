"""Images decoded in parallel into memory that the runtimes read from.

A set goes by in batches, each at fixed positions: an image is in the same batch with the same neighbours however often
the run was interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from convert.datasets import LabelledSet
from convert.families.spec import Preprocessing
from convert.images.preprocess import UnreadableImage, crop, decode, normalise
from runtimes.base import usable_cores
from validate.accuracy.feeding.crop_cache import CropCache, digest
from validate.accuracy.feeding.shared_memory import SharedBatches

# What an image came to under each preprocessing: None where its tensor is in place, else why it is not.
_Filled = dict[Preprocessing, "UnreadableImage | None"]


@dataclass(eq=False)
class Batch:
    """A batch in the shared memory. unreadable: for each preprocessing, the images that have no tensor.

    announced: whether the user was told of them.
    """

    slot: int
    positions: range
    announced: bool = False
    unreadable: dict[Preprocessing, dict[int, UnreadableImage]] = field(default_factory=dict)

    def rows(self, preprocessing: Preprocessing) -> list[int]:
        """The rows that hold an image of their own, in order."""
        missing = self.unreadable[preprocessing]
        return [row for row, position in enumerate(self.positions) if position not in missing]


class Decoder:
    """Decodes batches of a set on every core, each image once for all the preprocessings.

    images: the shared memory of each preprocessing; a batch has the same slot in all. caches: where decoded images are
    kept; may be empty. Use it in a `with` block, and from one thread.
    """

    def __init__(
        self,
        dataset: LabelledSet,
        batch: int,
        images: Mapping[Preprocessing, SharedBatches],
        caches: Mapping[Preprocessing, CropCache],
    ) -> None:
        self._dataset, self._batch, self._images, self._caches = dataset, batch, images, caches
        cv2.setNumThreads(1)  # one image a thread: several threads on one image would only wait for each other
        self._pool = ThreadPoolExecutor(usable_cores(), thread_name_prefix="decode")
        self._started: list[tuple[Batch, list[Future[_Filled]]]] = []

    def start(self, numbers: Sequence[int], first_slot: int) -> None:
        """Begin with the batches of these numbers, into slots from `first_slot` on."""
        total = len(self._dataset.labels)
        for slot, number in enumerate(numbers, first_slot):
            positions = range(number * self._batch, min((number + 1) * self._batch, total))
            filling = [self._pool.submit(self._fill, position, slot, row) for row, position in enumerate(positions)]
            self._started.append((Batch(slot, positions), filling))

    def finish(self) -> list[Batch]:
        """The batches that were started, once their images are in place. Rows without an image repeat another."""
        started, self._started = self._started, []
        for batch, filling in started:
            batch.unreadable = {one: {} for one in self._images}
            for position, future in zip(batch.positions, filling, strict=True):
                for preprocessing, error in future.result().items():
                    if error:
                        batch.unreadable[preprocessing][position] = error
            for preprocessing, shared in self._images.items():
                _repeat(shared.slots[batch.slot], batch.rows(preprocessing))
        return [batch for batch, _ in started]

    def _fill(self, position: int, slot: int, row: int) -> _Filled:
        name = self._dataset.names[position]
        try:
            data = self._dataset.read(position)
        except UnreadableImage as error:
            return dict.fromkeys(self._images, error)
        source = digest(data) if self._caches else ""
        pixels: np.ndarray | None = None
        filled: _Filled = {}
        for preprocessing, shared in self._images.items():
            cache = self._caches.get(preprocessing)
            planes = cache.get(source) if cache else None
            filled[preprocessing] = None
            if planes is None:
                try:
                    pixels = decode(data, name) if pixels is None else pixels
                    planes = crop(pixels, preprocessing, name)
                except UnreadableImage as error:
                    filled[preprocessing] = error
                    continue
                if cache:
                    cache.put(source, planes)
            normalise(planes, preprocessing, shared.slots[slot][row])
        return filled

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def _repeat(rows: np.ndarray, own: list[int]) -> None:
    """Fill the rows that have no image of their own with the others in turn, so that every batch has one shape."""
    missing = sorted(set(range(len(rows))) - set(own))
    if own:
        for index, row in enumerate(missing):
            rows[row] = rows[own[index % len(own)]]
