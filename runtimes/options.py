"""The command-line options of whatever runs models, and what they come to."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from convert.artifact import Artifact
from convert.cli import Command
from convert.common.disk.folders import FolderToWrite
from convert.common.errors import InputError, listing
from convert.precision.table import NAMES, SMOOTH
from runtimes import registry
from runtimes.base import Options, Runtime, UnavailableError, usable_cores

# The runtimes by their names (None: all that there are), each of which finds a device and is given settings.
Available = Callable[[list[str] | None, str | None, registry.Settings], list[Runtime]]


@dataclass(frozen=True)
class Selection:
    """The runtimes that a command runs models on, and what it asks of each.

    settings: `--option runtime.key=value` by runtime. named: whether the user named the runtimes.
    """

    runtimes: list[Runtime]
    named: bool
    device: str | None = None
    threads: int | None = None
    streams: int | None = None
    cache: Path | None = None
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def having(self, precision: str, artifact: Artifact | None = None) -> list[Runtime]:
        """The runtimes to run in a precision: those that have it, but for Paddle of an ONNX file alone, and whatever
        was named. InputError where Paddle was named for such a file, before anything is computed for it."""
        if artifact is None or not artifact.manifest.unvouched:
            return self.runtimes if self.named else self.able(precision)
        if self.named and (reason := next(filter(None, (one.cannot_load(artifact) for one in self.runtimes)), None)):
            raise InputError(f"--runtime: {reason}: leave it out, or name the Paddle model with --model")
        return self.runtimes if self.named else [one for one in self.able(precision) if one.reads != "paddle"]

    def able(self, precision: str) -> list[Runtime]:
        return [runtime for runtime in self.runtimes if precision in runtime.precisions]

    def options(self, runtime: Runtime, precision: str, batches: Iterable[int] = ()) -> Options:
        """What a session of one of the runtimes is asked for."""
        return Options(
            precision,
            self.device or runtime.default_device,
            self.threads,
            self.streams,
            tuple(batches),
            str(self.cache) if self.cache else None,
            self.settings.get(runtime.name, {}),
        )

    def arguments(self, runtimes: Iterable[Runtime]) -> dict[str, Any]:
        """The command-line options that ask for the same on some of the runtimes, for `records.command`."""
        chosen = [runtime.name for runtime in runtimes]
        pairs = [
            f"{name}.{key}={value}" for name in chosen for key, value in sorted(self.settings.get(name, {}).items())
        ]
        return {
            "runtime": ",".join(chosen),
            "device": self.device,
            "threads": self.threads,
            "streams": self.streams,
            "cache": self.cache,
            "option": pairs,
        }


def lacking(asked: Iterable[tuple[Selection, str]]) -> tuple[str, ...]:
    """What was asked for, as runtimes and a precision, and can be no cell: the precisions that nobody has, and those
    that a named runtime lacks, in a clause each."""
    asked = tuple(asked)
    lack: dict[str, tuple[Runtime, dict[str, None]]] = {}
    for selection, precision in asked:
        for runtime in selection.having(precision):
            if precision not in runtime.precisions:
                lack.setdefault(runtime.name, (runtime, {}))[1][precision] = None
    nobodys = [
        f"no runtime here has {precision}"
        for precision in dict.fromkeys(precision for _, precision in asked)
        if not any(one.able(precision) or one.named for one, also in asked if also == precision)
    ]
    named = [
        f"{name} has no {' and no '.join(precisions)} here, only {', '.join(runtime.precisions)}"
        for name, (runtime, precisions) in lack.items()
    ]
    return (*nobodys, *named)


def select(
    named: str | None,
    device: str | None = None,
    threads: int | None = None,
    streams: int | None = None,
    cache: Path | None = None,
    pairs: Iterable[str] = (),
    available: Available | None = None,
) -> Selection:
    """What the values of the options come to. named: `--runtime`; pairs: each `--option`. InputError as they say.

    available: as `registry.available`, of runtimes that are elsewhere: more threads than here are none too many there.
    """
    if available is None:
        check_threads([threads])
    device = _device(device)
    settings = _settings(pairs)
    runtimes = (available or registry.available)(None if named is None else listed(named), device, settings)
    stray = sorted(set(settings) - {runtime.name for runtime in runtimes})
    if stray:
        raise InputError(f"--option {stray[0]}.…: {stray[0]} is not among the runtimes of this run")
    return Selection(runtimes, named is not None, device, threads, streams, cache, settings)


_THREADS = click.option(
    "--threads", type=click.IntRange(min=1), help="Threads inside one operator. [default: every core]"
)


def session_flags(command: Command, threads: Callable[[Any], Any] = _THREADS) -> Command:
    """`--runtime`, `--device`, `--threads`, `--streams`, `--cache`, `--option`, `--out`, as they were typed.

    The command gets `select`'s arguments, and `out`. threads: the option, for a command that takes several values.
    """
    options = [
        click.option(
            "--runtime",
            "named",
            help="Runtimes, comma-separated; `python -m runtimes` lists them. [default: every one available here]",
        ),
        click.option("--device", help="CPU, GPU (the first), GPU.1, NPU. [default: each runtime's own]"),
        threads,
        click.option(
            "--streams", type=click.IntRange(min=1), help="Inferences at once, on a runtime that can run several."
        ),
        click.option(
            "--cache",
            type=FolderToWrite(perhaps=True),
            help="Folder for engines and compiled models. [default: in the artifact's folder]",
        ),
        click.option(
            "--option",
            "pairs",
            metavar="RUNTIME.KEY=VALUE",
            multiple=True,
            help="A setting of one runtime alone, repeatable; `python -m runtimes` lists them.",
        ),
        click.option(
            "--out",
            type=FolderToWrite(),
            help="Results folder. [default: where records are made, a new one under results/]",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def session_options(command: Command) -> Command:
    """`session_flags` for commands that run models: the command gets what they come to as `selection`, and `out`."""

    @functools.wraps(command)
    def collected(**given: Any) -> Any:
        chosen = {name: given.pop(name) for name in inspect.signature(select).parameters if name in given}
        return command(selection=select(**chosen), **given)

    return session_flags(collected)  # type: ignore[return-value]


def resume_option(command: Command) -> Command:
    """`--resume`, for commands whose work is long."""
    text = "Only what the folder lacks; without --out, in the newest under results/."
    return click.option("--resume", is_flag=True, help=text)(command)


def fresh_option(command: Command) -> Command:
    """`--fresh`, beside `--resume`."""
    text = "Start again in a folder that holds an unfinished run; its records stay, and newer ones replace them."
    return click.option("--fresh", is_flag=True, help=text)(command)


def smooth_option(command: Command) -> Command:
    """`--smooth` of commands that try int8 with several strengths of the smoothing; they get `strengths`."""
    text = (
        "int8: strengths of the smoothing to try, comma-separated, 0 (nothing is smoothed) to 1, the preferred first."
        f"  [default: that of the artifact that is there, else {SMOOTH}; and 0, or {SMOOTH} where that is 0]"
    )
    return click.option("--smooth", "strengths", metavar="STRENGTHS", callback=_strengths, help=text)(command)


def _strengths(context: click.Context, option: click.Parameter, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    parts = listed(text)
    if not parts or not all(re.fullmatch(r"0(\.[0-9]{1,9})?|1(\.0{1,9})?", part) for part in parts):
        raise InputError(f"--smooth {text!r}: strengths from 0 (nothing is smoothed) to 1 are needed, as in 0.5,0")
    return tuple(dict.fromkeys(float(part) for part in parts))


def listed(text: str) -> list[str]:
    """The parts of a comma-separated list, each once."""
    return list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def check_threads(threads: Iterable[int | None]) -> None:
    """InputError for more threads than this process has cores: they would wait for each other, and no number hold."""
    most, cores = max((one for one in threads if one is not None), default=0), usable_cores()
    if most > cores:
        usable = f"{cores} core{'s' * (cores > 1)} usable"
        raise InputError(f"--threads {most}: this machine has {usable}; give {cores} at most, or leave --threads out")


def numbers(option: str, text: str) -> list[int]:
    """Whole numbers above zero, each once. InputError names the option."""
    parts = listed(text)
    if not parts or not all(re.fullmatch(r"[0-9]{1,18}", part) and int(part) > 0 for part in parts):
        raise InputError(f"{option} {text!r}: whole numbers above zero are needed, as in {option} 1,4,8")
    return list(dict.fromkeys(int(part) for part in parts))


def precisions(text: str) -> list[str]:
    """Precisions, in the order given. InputError for one that there is not."""
    parts = listed(text)
    unknown = [part for part in parts if part not in NAMES]
    if unknown or not parts:
        raise InputError(f"--precision {text!r}: {listing(unknown) or 'nothing'} is none of {', '.join(NAMES)}")
    return parts


def _device(text: str | None) -> str | None:
    if text is None:
        return None
    device = text.strip().upper()
    if not re.fullmatch(r"(CPU|GPU|NPU)(\.[0-9]+)?", device):
        raise InputError(f"--device {text!r}: CPU, GPU, NPU, or with a number as in GPU.1")
    return device


def _settings(pairs: Iterable[str]) -> dict[str, dict[str, str]]:
    """`runtime.key=value` pairs by runtime. InputError for what no runtime knows or takes."""
    found: dict[str, dict[str, str]] = {}
    for pair in pairs:
        left, equals, value = pair.partition("=")
        name, dot, key = left.rpartition(".")
        if not (equals and dot and name and key):
            raise InputError(f"--option {pair!r}: RUNTIME.KEY=VALUE is needed, as in paddle.kernels=plain")
        runtime = registry.get(name)
        try:
            runtime.check(Options(runtime.precisions[0], extra={key: value}))
        except UnavailableError as error:
            raise InputError(f"--option {pair!r}: {error}") from None
        found.setdefault(name, {})[key] = value
    return found
