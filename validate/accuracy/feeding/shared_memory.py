"""Batches of images in memory that two processes share: one fills them, the other runs on them, nothing is copied."""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path

import numpy as np

_PAGE = 4096


class SharedBatches:
    """Slots of (batch, 3, side, side) float32 each, contiguous.

    The memory has no name anywhere: it is reached through `descriptor`, which a process can be started with, and is
    gone with the last process that has it, also when that one was killed. descriptor: None makes new memory.
    """

    def __init__(self, slots: int, batch: int, side: int, descriptor: int | None = None) -> None:
        shape = (batch, 3, side, side)
        count = batch * 3 * side * side
        stride = -(-4 * count // _PAGE) * _PAGE  # each slot starts on a page, as kernels like their inputs
        if descriptor is None:
            descriptor = _anonymous(slots * stride)
        self.descriptor = descriptor
        memory = mmap.mmap(descriptor, slots * stride)
        self.slots = [np.frombuffer(memory, np.float32, count, i * stride).reshape(shape) for i in range(slots)]

    def close(self) -> None:
        """Let go of the memory. The arrays must not be used any more."""
        self.slots = []  # the mapping goes with the last array on it
        os.close(self.descriptor)


def _anonymous(size: int) -> int:
    """A descriptor of `size` zero bytes: memory without a name, or where there is no such thing, a deleted file."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("vitbench")
    else:
        descriptor, name = tempfile.mkstemp(prefix="vitbench-")
        Path(name).unlink()
    os.ftruncate(descriptor, size)
    return descriptor
