"""The one interface behind which every runtime stands: a `Runtime` says what it can do, a `Session` does it."""

from __future__ import annotations

import importlib
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from convert.artifact import Artifact
from convert.common import commands
from convert.common.disk.files import sha256_json
from convert.precision import table
from convert.precision.table import FP32
from runtimes.footprint import MEASURED as MEASURED
from runtimes.footprint import Footprint as Footprint
from runtimes.quiet import stdout_to
from runtimes.records import arithmetic
from runtimes.records.parts import NOT_REPORTED
from runtimes.records.parts import Effective as Effective  # what adapters give belongs to their interface
from runtimes.served.counts import ServerCounts
from runtimes.setting import Setting as Setting
from runtimes.system import conflicts


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
    """What a session is asked for. Each field means the same on every runtime; one that cannot do it refuses.

    device: CPU, GPU (the first), GPU.0, GPU.1, NPU: OpenVINO's spelling. threads: inside one operator; None takes every
    core that this process may use. streams: inferences that the runtime may work on at the same time. batches: sizes
    that will come, the first one first, for runtimes that compile for them; empty means any. cache: folder for engines
    and compiled models; None means `cache/` in the artifact's folder. extra: settings that one runtime alone knows
    (`Runtime.settings`).
    """

    precision: str = FP32
    device: str = "CPU"
    threads: int | None = None
    streams: int | None = None
    batches: tuple[int, ...] = ()
    cache: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def thread_count(self) -> int:
        return self.threads or usable_cores()


@dataclass(frozen=True)
class DeviceTimes:
    """Milliseconds of one inference by the device's own events: copy to it, computation, copy from it."""

    h2d_ms: float
    compute_ms: float
    d2h_ms: float


def discrepancy(runtime: str, effective: Effective, options: Options) -> str | None:
    """Why what ran is not what was asked for, in a sentence; None when it is.

    Where a server does not report its precision, parity tells that it is FP32: the bounds of the others would take FP32
    for them. Its device nobody can tell.
    """
    if effective.precision == NOT_REPORTED and options.precision != FP32:
        return (
            f"{runtime} does not report its precision, and nothing else shows that it computed in {options.precision}"
        )
    if effective.precision not in (options.precision, NOT_REPORTED):
        return f"{runtime} computed in {effective.precision} instead of {options.precision}"
    if little := arithmetic.too_little(runtime, options.precision, effective.arithmetic):
        return little
    if effective.device != NOT_REPORTED and _numbered(str(effective.device)) != _numbered(options.device):
        return f"{runtime} ran on {effective.device} instead of {options.device}"
    return None


def finds(devices: Iterable[str], device: str) -> bool:
    """Whether a device is among those that a runtime names: GPU is GPU.0."""
    return _numbered(device) in map(_numbered, devices)


def _numbered(device: str) -> str:
    return device if "." in device else f"{device}.0"


def cache_folder(artifact: Artifact, options: Options, runtime: str, *key: str) -> Path:
    """Where a runtime keeps what it made of an artifact. key: whatever else it depends on (versions, device, options).

    The folder is not made. What goes into it must be written whole (convert/common/disk/files.py): others may read it.
    """
    root = Path(options.cache) if options.cache else artifact.path / "cache"
    return root / runtime / f"{artifact.model}-{sha256_json([artifact.sha256, *key])[:16]}"


def lowest_precision(types: Iterable[str]) -> str:
    """The lowest precision among the types that a model's layers compute in: one bf16 layer makes it no fp32 model.

    UnavailableError when there is no floating-point or int8 layer at all, so that nothing can be said.
    """
    found = table.lowest(types)
    if not found:
        raise UnavailableError("the runtime reports no precision for any layer")
    return found


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

    def run_all(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Every output of the model by its name, for models with several. UnavailableError where a runtime cannot."""
        return self._run_all(images)

    @abstractmethod
    def _run(self, images: np.ndarray) -> np.ndarray: ...

    def _run_all(self, images: np.ndarray) -> dict[str, np.ndarray]:
        raise UnavailableError("this runtime gives one output only")

    @abstractmethod
    def effective(self) -> Effective:
        """Precision and placement, read back.

        Call it after a first `run`, since some runtimes cannot tell before, and after all that is timed: it may run the
        model again, and leave the session slower.
        """

    def device_times(self) -> DeviceTimes | None:
        """Of the last `run`; None where there is no device beside the processor."""
        return None

    def counts(self) -> ServerCounts | None:
        """What the server behind the session counted so far; None where there is none, or it counts nothing."""
        return None

    def twin(self) -> Session | None:
        """A session on the same loaded model that another thread may use at the same time.

        None where the runtime has no streams of its own: then a second session has to be opened.
        """
        return None

    def close(self) -> None:  # noqa: B027 - most runtimes release with their last reference
        """Release what the runtime holds outside Python's memory."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class Elsewhere:
    """Of a runtime that computes in a process of somebody else, which may have another model tomorrow.

    ready: UnavailableError, in a sentence, where nobody answers whom the options name. processes: those of this machine
    that compute for it, by their numbers; none where it is another machine, or they cannot be seen.
    """

    ready: Callable[[Options], None]
    processes: Callable[[Options], tuple[int, ...]]


@dataclass(frozen=True)
class Runtime:
    """The static side of an adapter: everything that can be said without loading a model.

    package: the import name.
    distributions: what pip calls it, any one of which will do.
    devices: finds the devices that it has here.
    lacks: the precisions that none of them gives, and why; asked only where the runtime is available.
    open_session: loads a model; UnavailableError when the runtime cannot give what the options ask for.
    profiled: loads it as a `ProfiledSession`, which has the time of each layer; or why there is none, in a clause.
    settings: the keys of `Options.extra` that it knows.
    streams: whether `Options.streams` means something to it.
    intermediate: whether its sessions have `run_all`.
    environment: variables that a process must be started with for these options.
    reference: whether the others are held against it.
    reads: the ONNX graph, the Paddle program that it was exported from, or neither, when a server has the model.
    loads: forms of folders to ship that it opens as they are (`Artifact.form`); one that reads ONNX opens `onnx` too.
    holds_lock: whether it holds the interpreter's lock while it computes, so that streams need processes of their own.
    writes_cache: whether it writes the model in a form of its own, of about its size: always, or into a given cache.
    footprint: how much time and memory it takes.
    elsewhere: where it computes, when that is no process of ours.
    order: its place among the columns of reports.
    colour: its number in the palette of reports' charts; None for one of those that are left.
    """

    name: str
    package: str
    distributions: tuple[str, ...]
    precisions: tuple[str, ...]
    devices: Callable[[], list[str]]
    open_session: Callable[[Artifact, Options], Session]
    profiled: Callable[[Artifact, Options], Session] | str = "it has no profiler that can be asked from Python"
    settings: Mapping[str, Setting] = field(default_factory=dict)
    default_device: str = "CPU"
    lacks: Callable[[], Mapping[str, str]] = dict
    streams: bool = False
    intermediate: bool = False
    environment: Callable[[Options], dict[str, str]] = lambda options: {}
    reference: bool = False
    reads: Literal["onnx", "paddle", "neither"] = "onnx"
    loads: tuple[str, ...] = ()
    holds_lock: bool = False
    writes_cache: Literal["never", "always", "where given"] = "never"
    footprint: Footprint = field(default_factory=Footprint)
    elsewhere: Elsewhere | None = None
    order: int = 100
    colour: int | None = None

    def unavailable(self, options: Options | None = None) -> str | None:
        """Why this runtime cannot run here, in a sentence; None when it can. options: for one that needs some."""
        try:
            for problem in conflicts.problems():
                if self.name in problem.runtimes:
                    return problem.sentence
            # Paddle's import warns of a compiler cache that nobody asked for, MNN's prints what the processor has.
            with warnings.catch_warnings(), stdout_to(2):
                warnings.simplefilter("ignore")
                importlib.import_module(commands.module(self.package))
            if self.elsewhere:
                self.elsewhere.ready(options or Options())
            return None if self.devices() else f"{self.distributions[0]} is installed but finds no device"
        except ImportError as error:
            return f"{self.distributions[0]} cannot be imported: {error}"
        except UnavailableError as error:
            return str(error)

    def processes(self, options: Options) -> tuple[int, ...]:
        """Processes of this machine, beside ours, that compute for its sessions."""
        return self.elsewhere.processes(options) if self.elsewhere else ()

    def version(self) -> str | None:
        """Version of the first of the distributions that is installed, None where none is."""
        found = self.distribution()
        return conflicts.version(found) if found else None

    def distribution(self) -> str | None:
        """The first of the distributions that is installed, None where none is."""
        return next((name for name in self.distributions if conflicts.version(name)), None)

    def check(self, options: Options) -> None:
        """UnavailableError, in a sentence, when the options ask for what this runtime has not, whatever the machine."""
        if options.precision not in self.precisions:
            raise UnavailableError(f"{self.name} has no {options.precision}, only {', '.join(self.precisions)}")
        if options.streams and not self.streams:
            raise UnavailableError(f"{self.name} has no streams: leave --streams out")
        unknown = sorted(set(options.extra) - set(self.settings))
        if unknown:
            known = f"it knows {', '.join(sorted(self.settings))}" if self.settings else "it has none"
            raise UnavailableError(f"{self.name} knows no option {', '.join(unknown)}: {known}")
        for key, value in options.extra.items():
            if not self.settings[key].accepts(value):
                raise UnavailableError(f"{self.name}.{key}={value}: {self.settings[key].choice} is needed")

    def cannot_load(self, artifact: Artifact) -> str | None:
        """Why it does not open a folder of that form, in a sentence; None where it does, as it does an artifact."""
        if self.reads == "paddle" and artifact.manifest.unvouched:
            return f"{self.name} reads a Paddle program, and {artifact.model} is an ONNX file alone"
        if artifact.form in (None, *self.loads) or (artifact.form == "onnx" and self.reads == "onnx"):
            return None
        return f"{self.name} does not load a folder for {artifact.form}"

    def setting(self, options: Options, key: str) -> str:
        """The value given for one of the settings, else its default."""
        return options.extra.get(key, self.settings[key].default)

    def open(self, artifact: Artifact, options: Options) -> Session:
        """Load an artifact. UnavailableError says why not: import, precision, device, options or environment."""
        reason = self.unavailable(options)
        if reason:
            raise UnavailableError(reason)
        self.check(options)
        devices = self.devices()
        if not finds(devices, options.device):
            raise UnavailableError(f"{self.name} finds no device {options.device}, only {', '.join(devices)}")
        for name, value in self.environment(options).items():
            if os.environ.get(name) != value:
                raise UnavailableError(f"{self.name} needs {name}={value} in the environment when its process starts")
        if reason := self.cannot_load(artifact):
            raise UnavailableError(reason)
        if reason := artifact.no_batch(*options.batches):
            raise UnavailableError(reason)
        return self.open_session(artifact, options)
