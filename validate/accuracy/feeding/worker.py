"""A session in a process of its own: tensors come in through shared memory, the first five classes go out.

Whatever a runtime does to its process, be it a crash, a hang or a line on standard output, stays there and becomes a
reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert import artifact as artifacts
from convert.common import typed, worker
from convert.common.worker import JobError
from runtimes import registry
from runtimes.base import Options, UnavailableError
from runtimes.records.parts import Effective
from validate.accuracy.feeding.shared_memory import SharedBatches
from validate.accuracy.top5_file import rank

LOAD_TIMEOUT_S = 3600.0  # compiling a large model for a GPU takes many minutes
BATCH_TIMEOUT_S = 900.0


@dataclass(frozen=True)
class WorkerJob:
    """What a worker runs. artifact: its folder; slots, batch, descriptor: of the shared memory, with the shape of its
    images, height and width; classes: of the model."""

    artifact: str
    runtime: str
    options: Options
    slots: int
    batch: int
    shape: tuple[int, int]
    descriptor: int
    classes: int


class SessionWorker:
    """The near side. `ready` first; then each `submit` has its `result`, in order, and may run ahead of it.

    environment: variables that its process is started with. `ready` and `result` raise JobError when it failed, died or
    took too long, and UnavailableError when the runtime refuses.
    """

    def __init__(self, job: WorkerJob, environment: Mapping[str, str]) -> None:
        self._worker = worker.Worker(f"{__name__}:serve", typed.table(job), environment, (job.descriptor,))

    def ready(self) -> Effective:
        """Wait until the model is loaded and has run once. Returns what was effective, as records have it."""
        return typed.read(Effective, self._receive(LOAD_TIMEOUT_S))

    def submit(self, slot: int) -> None:
        self._worker.send(slot)

    def result(self) -> list[list[int] | None]:
        """The first classes of each row of the oldest slot without a result; None for logits that are not finite."""
        ranked: list[list[int] | None] = self._receive(BATCH_TIMEOUT_S)
        return ranked

    def close(self) -> None:
        """End the process. What goes wrong while a runtime is torn down is of no interest any more."""
        self._worker.close()

    def _receive(self, timeout_s: float) -> Any:
        try:
            return self._worker.receive(timeout_s)
        except JobError as error:
            if error.kind == UnavailableError.__name__:
                raise UnavailableError(error.said) from None
            if error.kind:  # whatever a runtime throws is the reason, in one line; its traceback is no news to the user
                raise JobError(f"{error.kind}: {' '.join(error.said.split())[:500]}") from None
            raise


def serve(table: dict[str, Any], slots: Iterator[int]) -> Iterator[Any]:
    """The far side: answers a WorkerJob with what was effective, and each slot's number as `rank` does its logits."""
    job = typed.read(WorkerJob, table)
    images = SharedBatches(job.slots, job.batch, job.shape, job.descriptor)
    with registry.get(job.runtime).open(artifacts.load(Path(job.artifact)), job.options) as session:
        # Read after one run on zeros, not at the end: until then some runtimes keep a profile of every run.
        session.run(np.zeros((job.batch, 3, *job.shape), dtype=np.float32))
        yield typed.table(session.effective())
        for slot in slots:
            logits = session.run(images.slots[slot])
            if logits.shape != (job.batch, job.classes):
                raise ValueError(f"the logits are of shape {logits.shape}, not {(job.batch, job.classes)}")
            yield rank(logits)
