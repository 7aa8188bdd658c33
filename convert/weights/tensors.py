"""A state dict: named tensors that are read when they are needed, and where they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.manifest import WeightsOrigin

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Tensor:
    """One tensor of a state dict, read when it is needed so that a large model never lies in memory whole.

    read: a C-contiguous float32 array of `shape`, all finite, possibly read-only. InputError when the file holds
    something else there.
    """

    shape: Shape
    read: Callable[[], Array]


@dataclass(frozen=True)
class StateDict:
    """PaddleClas' names to float32 tensors, Linear weights (in, out), and where they come from.

    origin.sha256: of the file; for seeded weights that of the recipe (its version, N, the tensors' names and shapes).
    origin.note: a sentence for the console, the manifest and the report when other weights than the best were taken.
    notes: likewise, on what in a file was taken for the model and what was not.
    """

    origin: WeightsOrigin
    tensors: Mapping[str, Tensor]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stored:
    """One tensor as a checkpoint file holds it, before anything was checked.

    dtype: numpy's name of what is stored, bfloat16 being that of ml_dtypes. load: the array in that dtype; raises
    whatever a damaged file makes its reader raise.
    """

    shape: Shape
    dtype: str
    load: Callable[[], Array]

    def as_bfloat16(self) -> Stored:
        """What is stored as 16-bit integers, taken as the bfloat16 numbers of the same bits."""
        return Stored(self.shape, "bfloat16", lambda: self.load().view("bfloat16"))
