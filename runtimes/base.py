"""The one interface behind which every runtime stands: a `Runtime` says what it can do, a `Session` does it."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any

import numpy as np

from convert.artifact import Artifact

PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8")

# What runtimes call the types that layers compute in -> our name for the precision.
_PRECISION_OF = {
    "f32": "fp32", "float": "fp32", "float32": "fp32",
    "f16": "fp16", "float16": "fp16",
    "bf16": "bf16", "bfloat16": "bf16",
    "i8": "int8", "u8": "int8", "int8": "int8", "uint8": "int8",
}  # fmt: skip


class UnavailableError(Exception):
    """A runtime cannot do what was asked of it here; the message is the reason, in a sentence."""


@dataclass(frozen=True)
class TensorInfo:
    """An input or output as the runtime reports it. A free dimension is a string, or -1 where it has no name."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


def usable_cores() -> int:
    """Cores that this process may run on, which a container or taskset may have narrowed."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


def lowest_precision(types: Iterable[str]) -> str:
    """The lowest precision among the types that a model's layers compute in: one bf16 layer makes it no fp32 model.

    UnavailableError when there is no floating-point or int8 layer at all, so that nothing can be said.
    """
    found = {_PRECISION_OF[name] for name in types if name in _PRECISION_OF}
    if not found:
        raise UnavailableError("the runtime reports no precision for any layer")
    return max(found, key=PRECISIONS.index)


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
        """Precision and placement, read back. Call it after a first `run`: some runtimes cannot tell before."""

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

    package: the import name; distribution: what pip calls it. options: the keys of `Options.extra` that it knows.
    `open_session(artifact, options)` raises UnavailableError when the runtime cannot give what the options ask for.
    """

    name: str
    package: str
    distribution: str
    precisions: tuple[str, ...]
    devices: Callable[[], list[str]]
    open_session: Callable[[Artifact, Options], Session]
    options: tuple[str, ...] = ()
    default_device: str = "CPU"

    def unavailable(self) -> str | None:
        """Why this runtime cannot run here, in a sentence; None when it can."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Paddle's import warns of a compiler cache that nobody asked for
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
        unknown = sorted(set(options.extra) - set(self.options))
        if unknown:
            raise UnavailableError(f"{self.name} knows no option {', '.join(unknown)}")
        return self.open_session(artifact, options)
