"""Images to a GPU and results back, through page-locked memory on one stream, timed by the device's own events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from runtimes.base import DeviceTimes
from runtimes.gpu import cuda


@dataclass(frozen=True)
class Tensors:
    """Inputs and outputs at fixed addresses, by name: page-locked arrays on the host and buffers on the device."""

    host: Mapping[str, np.ndarray]
    device: Mapping[str, cuda.Buffer]

    def close(self) -> None:
        for buffer in self.device.values():
            buffer.close()


def allocate(tensors: Mapping[str, tuple[tuple[int, ...], Any]]) -> Tensors:
    """Memory on both sides for tensors of the given shapes and dtypes."""
    host = {name: cuda.pinned(shape, dtype) for name, (shape, dtype) in tensors.items()}
    return Tensors(host, {name: cuda.Buffer(array.nbytes) for name, array in host.items()})


@dataclass
class Exchange:
    """A stream of the current device, and the events that time what is queued on it."""

    stream: cuda.Stream = field(default_factory=cuda.Stream)
    _events: list[cuda.Event] = field(default_factory=lambda: [cuda.Event() for _ in range(4)])
    _ran: bool = False

    def run(
        self, tensors: Tensors, source: str, images: np.ndarray, compute: Callable[[], object], results: Iterable[str]
    ) -> None:
        """Copy the images to the input `source`, call `compute`, which queues work on the stream, and copy the results.

        When it returns, all of it is done, and the results stand in `tensors.host` until the next run.
        """
        began, copied, computed, ended = self._events
        np.copyto(tensors.host[source], images, casting="same_kind")
        began.record(self.stream)
        cuda.copy_to_device(tensors.device[source], tensors.host[source], self.stream)
        copied.record(self.stream)
        compute()
        computed.record(self.stream)
        for name in results:
            cuda.copy_to_host(tensors.host[name], tensors.device[name], self.stream)
        ended.record(self.stream)
        self.stream.synchronize()
        self._ran = True

    def times(self) -> DeviceTimes | None:
        """Of the last run; None before the first."""
        if not self._ran:
            return None
        began, copied, computed, ended = self._events
        return DeviceTimes(began.elapsed_ms(copied), copied.elapsed_ms(computed), computed.elapsed_ms(ended))

    def close(self) -> None:
        for event in self._events:
            event.close()
        self.stream.close()
