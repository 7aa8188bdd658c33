"""Runtimes that another package brings, for tests of real processes: they answer at once, and some misbehave.

Each answers with the class whose number an image shows (its red, see `make_numbered`), modulo the number of classes.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable

import numpy as np

from convert.artifact import Artifact
from runtimes.base import Effective, Options, Runtime, Session, TensorInfo

Step = Callable[[int], None]  # called with the number of the inference, from 0 on; the one on zeros is the first


class _Session(Session):
    def __init__(self, artifact: Artifact, step: Step) -> None:
        self._classes, self._step, self._count = artifact.classes, step, 0
        self.inputs = (TensorInfo("x", "float32", ("batch", 3, *artifact.image_shape)),)
        self.outputs = (TensorInfo("logits", "float32", ("batch", artifact.classes)),)

    def _run(self, images: np.ndarray) -> np.ndarray:
        self._step(self._count)
        self._count += 1
        shown = np.rint((images[:, 0].mean(axis=(1, 2)) + 1) * 127.5).astype(int) % self._classes
        logits = np.tile(-np.arange(self._classes, dtype=np.float32), (len(images), 1))
        logits[np.arange(len(images)), shown] = 1
        return logits

    def effective(self) -> Effective:
        return Effective("fp32", "CPU", {"variable": os.environ.get("THIRD_PARTY")})


def _runtime(name: str, step: Step, environment: Callable[[Options], dict[str, str]] = lambda options: {}) -> Runtime:
    return Runtime(
        name,
        "numpy",
        ("numpy",),
        ("fp32",),
        lambda: ["CPU"],
        lambda artifact, options: _Session(artifact, step),
        environment=environment,
    )


def _crash(count: int) -> None:
    if count == 3:
        ctypes.string_at(0)


def _print(count: int) -> None:
    os.write(1, b"a line of a native library on standard output\n")
    print("and one of Python's")


def _hang(count: int) -> None:
    if count == 2:
        time.sleep(60)


GOOD = _runtime("good", lambda count: None)
CRASHING = _runtime("crashing", _crash)
CHATTY = _runtime("chatty", _print)
HANGING = _runtime("hanging", _hang)
SLOW = _runtime("slow", lambda count: time.sleep(0.005))
NEEDY = _runtime("needy", lambda count: None, lambda options: {"THIRD_PARTY": f"{options.thread_count()} threads"})

RUNTIMES = (GOOD, CRASHING, CHATTY, HANGING, SLOW, NEEDY)
