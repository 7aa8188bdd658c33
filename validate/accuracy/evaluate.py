"""Running a labelled set through one session: images are decoded ahead of the inference, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from convert.errors import InputError
from convert.spec import Preprocessing
from runtimes.base import Session, usable_cores
from validate.accuracy.outcomes import UNREADABLE, Predictions, judge
from validate.imagenet import LabelledSet
from validate.preprocess import UnreadableImage, preprocess

# Batches in memory at a time: one that runs, the others decoded or being decoded.
IN_FLIGHT = 4


@dataclass(frozen=True)
class _Batch:
    positions: list[int]  # in the list
    images: np.ndarray  # (batch, 3, crop, crop) float32
    done: int  # images of the list dealt with once this batch has run, those that could not be read with them


def evaluate(
    session: Session,
    dataset: LabelledSet,
    preprocessing: Preprocessing,
    batch: int,
    on_progress: Callable[[int], None] = lambda done: None,
    on_unreadable: Callable[[UnreadableImage], None] = lambda error: None,
    max_unreadable: int = 0,
) -> Predictions:
    """Judge every image of the set.

    Batches are of `batch` images, the last of what is left. on_progress gets the number of images dealt with so far.
    Up to max_unreadable images that cannot be read go to on_unreadable and are left out; InputError names the one that
    is too many. ValueError when the logits do not fit the batch or the labels.
    """
    outcomes = [UNREADABLE] * len(dataset.entries)
    unreadable = 0

    def skip(error: UnreadableImage) -> None:
        nonlocal unreadable
        unreadable += 1
        if unreadable > max_unreadable:
            met = "" if unreadable == 1 else f" and is number {unreadable} of those that cannot be used"
            raise InputError(f"{error}{met}; `--max-unreadable N` goes on without up to N images")
        on_unreadable(error)

    labels = np.array([label for _, label in dataset.entries], dtype=np.int64)
    with closing(_batches(dataset, preprocessing, batch, skip)) as batches:
        for ready in batches:
            letters = judge(session.run(ready.images), labels[ready.positions])
            for position, letter in zip(ready.positions, letters, strict=True):
                outcomes[position] = letter
            on_progress(ready.done)
    on_progress(len(dataset.entries))
    return Predictions("".join(outcomes))


def _batches(
    dataset: LabelledSet, preprocessing: Preprocessing, batch: int, on_unreadable: Callable[[UnreadableImage], None]
) -> Generator[_Batch, None, None]:
    ahead = (IN_FLIGHT - 1) * batch
    pending: deque[tuple[int, Future[np.ndarray]]] = deque()
    positions: list[int] = []
    images: list[np.ndarray] = []
    entries = enumerate(dataset.entries)
    pool = ThreadPoolExecutor(_decoders(), thread_name_prefix="decode")
    try:
        for done in range(1, len(dataset.entries) + 1):
            while len(pending) < ahead and (entry := next(entries, None)):
                position, (path, _) = entry
                pending.append((position, pool.submit(preprocess, path, preprocessing)))
            position, future = pending.popleft()
            try:
                images.append(future.result())
                positions.append(position)
            except UnreadableImage as error:
                on_unreadable(error)
            if images and (len(images) == batch or done == len(dataset.entries)):
                stacked = np.stack(images)
                images.clear()
                yield _Batch(positions, stacked, done)
                positions = []
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _decoders() -> int:
    """Threads that decode: OpenCV releases the interpreter lock. More than eight would only wait for the inference."""
    return min(8, usable_cores())
