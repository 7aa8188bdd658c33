"""The one interface behind which every runtime stands: a `Runtime` says what it can do, a `Session` does it."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any

import numpy as np

from convert.artifact import Artifact

PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8")


class UnavailableError(Exception):
    """A runtime cannot do what was asked of it here; the message is the reason, in a sentence."""


@dataclass(frozen=True)
class TensorInfo:
    """An input or output as the runtime reports it. A free dimension is a string, or -1 where it has no name."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Options:
    """What a session is asked for.

    threads: inside one operator; None takes every core that this process may use.
    extra: settings that one runtime alone knows, validated by its adapter.
    """

    precision: str = "fp32"
    device: str = "CPU"
    threads: int | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def thread_count(self) -> int:
        return self.threads or len(
            os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
        )


@dataclass(frozen=True)
class Effective:
    """What really runs, as read back from the runtime: never an echo of what was asked.

    details: where it was read and what else was found there (providers, layer precisions, passes, threads).
    """

    precision: str
    device: str
    details: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Session(ABC):
    """A loaded model. Use it in a `with` block: what it holds is released at the end of it."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]

    def run(self, images: np.ndarray) -> np.ndarray:
        """One inference, start to end.

        images: (batch, 3, height, width) float32, contiguous. Returns logits (batch, classes) float32, an array of the
        caller's own that the next run leaves alone.
        """
        return self._run(images)

    @abstractmethod
    def _run(self, images: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def effective(self) -> Effective:
        """Precision and placement, read back. Complete only after a first `run`: some runtimes decide that late."""

    def close(self) -> None:  # noqa: B027 - most runtimes release with their last reference
        """Release what the runtime holds outside Python's memory."""

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Runtime:
    """The static side of an adapter: everything that can be said without loading a model.

    package: the import name; distribution: what pip calls it. `open_session(artifact, options)` raises
    UnavailableError when the runtime cannot give what the options ask for.
    """

    name: str
    package: str
    distribution: str
    precisions: tuple[str, ...]
    devices: Callable[[], list[str]]
    open_session: Callable[[Artifact, Options], Session]

    def unavailable(self) -> str | None:
        """Why this runtime cannot run here, in a sentence; None when it can."""
        try:
            importlib.import_module(self.package)
            return None if self.devices() else f"{self.distribution} is installed but finds no device"
        except ImportError as error:
            return f"{self.distribution} cannot be imported: {error}"
        except UnavailableError as error:
            return str(error)

    def version(self) -> str | None:
        """Version of the installed distribution, None where it is not installed."""
        try:
            return importlib.metadata.version(self.distribution)
        except importlib.metadata.PackageNotFoundError:
            return None

    def open(self, artifact: Artifact, options: Options) -> Session:
        """Load an artifact. UnavailableError says why not: import, precision, device or options."""
        reason = self.unavailable()
        if reason:
            raise UnavailableError(reason)
        if options.precision not in self.precisions:
            raise UnavailableError(f"{self.name} has no {options.precision}, only {', '.join(self.precisions)}")
        if options.device not in self.devices():
            raise UnavailableError(f"{self.name} finds no device {options.device}, only {', '.join(self.devices())}")
        return self.open_session(artifact, options)
