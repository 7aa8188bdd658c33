"""A state dict from wherever `--weights` points: downloaded, a checkpoint file, or drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tensor:
    """One tensor of a state dict, read when it is needed so that a large model never lies in memory whole."""

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


@dataclass(frozen=True)
class StateDict:
    """PaddleClas' names to float32 tensors, Linear weights (in, out), and where they come from."""

    kind: str  # pretrained, file or seeded
    source: str  # URL, path or seeded:N
    sha256: str
    tensors: Mapping[str, Tensor]
