"""Batches of images in memory that two processes share: one fills them, the other runs on them, nothing is copied."""

from __future__ import annotations

import math
import mmap
import os

import numpy as np


class SharedBatches:
    """Slots of (batch, 3, height, width) float32 each, contiguous.

    The memory has no name anywhere: it is reached through `descriptor`, which a process can be started with, and is
    gone with the last process that has it, also when that one was killed. descriptor: None makes new memory.
    """

    def __init__(self, slots: int, batch: int, image: tuple[int, int], descriptor: int | None = None) -> None:
        shape = (batch, 3, *image)
        count = math.prod(shape)
        stride = -(-4 * count // mmap.PAGESIZE) * mmap.PAGESIZE  # each slot starts on a page, as kernels like it
        if descriptor is None:
            descriptor = os.memfd_create("vitbench")
            os.ftruncate(descriptor, slots * stride)
        self.descriptor = descriptor
        memory = mmap.mmap(descriptor, slots * stride)
        self.slots = [np.frombuffer(memory, np.float32, count, i * stride).reshape(shape) for i in range(slots)]

    def close(self) -> None:
        """Let go of the memory. The arrays must not be used any more."""
        self.slots = []  # the mapping goes with the last array on it
        os.close(self.descriptor)
