"""The sessions of several runtimes, one after another: while one computes, the next one opens.

To import a runtime and to load a model takes one core for seconds; to compute takes all of them. So only the opening
overlaps: two that computed at once would wait for each other at every barrier of their threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from convert.common.errors import WriteError
from convert.common.worker import CrashError
from runtimes.bench.plan import estimate
from runtimes.bench.plan.matrix import Cell
from runtimes.infer import Opening, Pass
from runtimes.records.parts import Effective
from runtimes.system import capacity

# Of the model, in the memory of the process that computes the reference: Paddle has 2.1, and in float64 twice that.
_REFERENCE_COPIES = 4.2
_KILLED = "SIGKILL"  # what Linux does when memory runs out


class Openings:
    """Use it in a `with` block: no process outlives it.

    cells: what is to be opened, in the order in which `run` is called; batch: the largest. Where there is no memory for
    two of them beside the reference, or one is on a device that builds and times its kernels, none opens before its
    turn.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._cells, self._next = cells, 0
        self._begun: dict[int, Opening] = {}
        self._ahead = all(cell.options.device == "CPU" for cell in cells) and _fit(cells)

    def begin(self, count: int) -> None:
        """Have the next `count` open by now, if they may."""
        for index in range(self._next, min(self._next + count, len(self._cells))):
            if self._ahead and index not in self._begun:
                with suppress(WriteError, OSError):  # it is said when its turn comes, and loses nothing before
                    self._begun[index] = self._open(index)

    def run(self, images: np.ndarray, passes: Sequence[Pass]) -> tuple[list[np.ndarray], Effective]:
        """Of the next one: what `infer` returns and raises. The one behind it opens meanwhile."""
        index, self._next = self._next, self._next + 1
        with self._begun.pop(index, None) or self._open(index) as opening:
            self.begin(1)
            try:
                return opening.run(images, passes)
            except CrashError as error:
                if error.signal != _KILLED or not self._ahead:
                    raise
        # What shared the memory with it may be the reason: from here on one at a time, this one first.
        self._ahead = False
        self._close()
        with self._open(index) as opening:
            return opening.run(images, passes)

    def _open(self, index: int) -> Opening:
        cell = self._cells[index]
        return Opening(cell.artifact, cell.runtime.name, cell.options)

    def _close(self) -> None:
        while self._begun:
            self._begun.popitem()[1].stop()

    def __enter__(self) -> Openings:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()


def _fit(cells: Sequence[Cell]) -> bool:
    """Whether there is memory for any two of them, with their converters, and for the reference's process."""
    free = capacity.look().memory_bytes
    if free is None or len(cells) < 2:
        return False
    needed = sorted(map(_needed, cells))[-2:]
    return sum(needed) + _REFERENCE_COPIES * estimate.model_bytes(cells[0].artifact.base) < free


def _needed(cell: Cell) -> float:
    model = estimate.model_bytes(cell.artifact)
    return estimate.memory_bytes(cell) + cell.runtime.footprint.converter_copies * model
