"""The settings of the bench, each declared once: its option, its key in a plan file and its place in a recorded command
follow from the declaration."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from convert.artifact import ARTIFACTS
from convert.common.errors import InputError, listing
from convert.model_options import ModelOptions
from convert.models import find, find_all
from convert.precision.table import FP32
from convert.zoo import DEFAULT_MODEL
from runtimes.bench.worker.job import MODES, PERCENTILES, Effort
from runtimes.options import Selection, check_threads, listed, numbers, precisions, select

_PERCENTILES = " or ".join(map(str, reversed(PERCENTILES)))
_OF_MODEL = [field.name for field in dataclasses.fields(ModelOptions)]
_MOST_S = 60.0
_NO_END_S = 24 * 3600.0  # nobody waits so long for a rate
WHAT, HOW_HARD, SERVER, WHERE = "What to measure", "How hard to try", "Mode server", "Where, and how it is said"


def share(value: str | float) -> float:
    """A share from `1%` or `0.01`. ValueError, in a sentence, when it is none above 0 and below 1."""
    text = str(value).strip()
    try:
        found = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 1:
        raise ValueError(f"{value!r} is no share above 0 and below 1, as 1% or 0.01 are")
    return found


def _share_option(value: str) -> float:
    try:
        return share(value)
    except ValueError as error:
        raise InputError(f"--target: {error}") from None


@dataclass(frozen=True)
class ValueKind:
    """What a value must be. types: in TOML; words: in an error; option: as click has it, from the least allowed."""

    types: tuple[type, ...]
    words: str
    option: Callable[[float | None], Any]


TEXT = ValueKind((str,), "text in quotes", lambda least: str)
WHOLE = ValueKind((int,), "a whole number", lambda least: int if least is None else click.IntRange(min=int(least)))
NUMBER = ValueKind((int, float), "a number", lambda least: float if least is None else click.FloatRange(min=least))
SHARE = ValueKind((str, int, float), 'a share, as 0.01 or "1%"', lambda least: _share_option)


@dataclass(frozen=True)
class BenchSetting:
    """A declared setting.

    key: in a plan file; its option has `-` for `_`. several: a plan file may list values, and an option has commas
    between them. help: of the option; None where the commands share one that is declared elsewhere.
    """

    key: str
    kind: ValueKind
    group: str
    several: bool = False
    help: str | None = None
    least: float | None = None
    metavar: str | None = None

    @property
    def flag(self) -> str:
        return "--" + self.key.replace("_", "-")

    def option(self, default: object = None) -> Callable[[Any], Any]:
        kind = click.STRING if self.several else self.kind.option(self.least)
        shown = default is not None
        metavar = "SHARE" if self.kind is SHARE else self.metavar
        return click.option(self.flag, type=kind, default=default, show_default=shown, help=self.help, metavar=metavar)


def declared(kind: type) -> dict[str, BenchSetting]:
    """The settings that a dataclass declares, by its fields."""
    return {field.name: field.metadata["setting"] for field in dataclasses.fields(kind) if "setting" in field.metadata}


def _setting(key: str, kind: ValueKind, group: str, default: Any = None, help_: str | None = None, **more: Any) -> Any:
    setting = BenchSetting(key, kind, group, help=help_, **more)
    return dataclasses.field(default=default, metadata={"setting": setting})


def _effort(
    key: str, kind: ValueKind, default: float | None, help_: str, least: float | None = 0, shown: str = ""
) -> Any:
    return _setting(key, kind, HOW_HARD, default, f"{help_} [default: {shown or format(default, 'g')}]", least=least)


def _axis(key: str, kind: ValueKind, default: object, help_: str | None = None) -> Any:
    return _setting(key, kind, WHAT, default, help_, several=True)


@dataclass(frozen=True)
class Policy:
    """How hard to try, for all cells alike. Times in seconds; measured time is that of kept samples.

    processes: rounds that every cell gets at least. min_s, min_count: measured time and samples per cell over all its
    processes, at least. target: half width of the 95 % interval of the median relative to it, at which a cell is done.
    max_s: measured time per cell at most, None for the usual minute; one that is not done by then is unstable; of mode
    server at each rate, and only where it is asked for. patience_s: per run, for waiting while the machine is slowed
    down. repeats: how often a disturbed visit is repeated. minutes: of the whole run, after which no visit begins that
    is more than a cell gets at least; 0: no such end.
    """

    processes: int = _effort("processes", WHOLE, 2, "Fresh processes for each cell, at least.", least=1)
    min_s: float = _effort("min_seconds", NUMBER, 5.0, "Seconds that are measured of a cell, at least.")
    min_count: int = _effort("min_count", WHOLE, 10, "... and inferences, at least.", least=1)
    target: float = _effort(
        "target", SHARE, 0.01, "... until half of the median's 95 % interval is this share of it.", None, "1%"
    )
    max_s: float | None = _effort(
        "max_seconds",
        NUMBER,
        None,
        "... but no longer than this: then the cell is unstable. Mode server: at each rate.",
        shown="60; mode server: until the percentile is carried",
    )
    patience_s: float = _effort(
        "patience", NUMBER, 30.0, "Seconds of the run to wait while the machine is slowed down."
    )
    repeats: int = _effort("repeats", WHOLE, 1, "How often a disturbed visit is repeated.")
    minutes: float = _effort(
        "minutes", NUMBER, 0.0, "Minutes of the run, after which cells get only what they need at least; 0: no end."
    )

    def __post_init__(self) -> None:
        """InputError for what makes no sense."""
        for name, setting in declared(Policy).items():
            value = getattr(self, name)
            if setting.least == 1 and value < 1:
                raise InputError(f"{setting.flag} {value}: at least 1 is needed")
            if setting.least == 0 and value is not None and not value >= 0:
                raise InputError(f"{setting.flag} {value:g}: nothing below zero makes sense")
        if not 0 < self.target < 1:
            raise InputError(f"--target {self.target:g}: a share above 0 and below 1 is needed, as in 0.01 or 1%")
        if not self.most_s >= self.min_s:
            raise InputError(f"--max-seconds {self.most_s:g} is less than --min-seconds {self.min_s:g}")

    def arguments(self) -> dict[str, Any]:
        """The settings that are not the default, for `blank.command`."""
        given = {name: getattr(self, name) for name in declared(Policy)}
        return {declared(Policy)[n].key: value for n, value in given.items() if value != getattr(Policy, n)}

    @property
    def most_s(self) -> float:
        """Measured time (s) of a cell at most; what mode server measures has no end where none is asked for."""
        return _MOST_S if self.max_s is None else self.max_s

    def visit(self, mode: str) -> Effort:
        """What one visit measures of a cell; of mode server each of its rates, as long as its percentile needs where no
        maximum is asked for."""
        most_s = self.most_s / self.processes
        if mode == "server":
            most_s = _NO_END_S if self.max_s is None else self.max_s
        return Effort(self.min_s / self.processes, math.ceil(self.min_count / self.processes), most_s)


def policy(*givens: dict[str, Any]) -> Policy:
    """How hard to try, by keys of settings; a later table has the last word where it says something."""
    fields = {setting.key: name for name, setting in declared(Policy).items()}
    found = {fields[key]: value for given in givens for key, value in given.items() if value is not None}
    return Policy(**found)


@dataclass(frozen=True)
class Matrix:
    """What a [[matrix]] of a plan file says, or the command's options: every combination of the values is a cell.

    Names are the keys. runtime: None takes every one that is available. None elsewhere is each runtime's own, and of
    threads every core. where: which machines of a cluster (`bench/cluster/assign.py`). batches_given: whether the user
    chose them; mode throughput searches among them, mode server sends one image at a time. latency_bound, percentile:
    of mode server; None leaves the bound to it, and means 99.
    """

    model: tuple[str, ...] = _axis("model", TEXT, (DEFAULT_MODEL,))
    runtime: tuple[str, ...] | None = _axis("runtime", TEXT, None)
    precision: tuple[str, ...] = _axis("precision", TEXT, (FP32,))
    mode: tuple[str, ...] = _axis("mode", TEXT, ("latency",), f"Any of {', '.join(MODES)}.")
    device: tuple[str | None, ...] = _axis("device", TEXT, (None,))
    option: tuple[str, ...] = _axis("option", TEXT, ())
    batch: tuple[int, ...] = _axis("batch", WHOLE, (1, 4, 8), "Batch sizes, comma-separated.")
    threads: tuple[int | None, ...] = _axis(
        "threads", WHOLE, (None,), "Threads inside one operator, comma-separated. [default: every core]"
    )
    streams: tuple[int | None, ...] = _axis("streams", WHOLE, (None,))
    weights: str | None = _setting("weights", TEXT, WHAT)
    weights_key: str | None = _setting("weights_key", TEXT, WHAT)
    name: str | None = _setting("name", TEXT, WHAT)
    image_size: int | None = _setting("image_size", WHOLE, WHAT)
    preprocessing: str | None = _setting("preprocessing", TEXT, WHAT)
    onnx: str | None = _setting("onnx", TEXT, WHAT)
    artifacts: str | None = _setting("artifacts", TEXT, WHERE)
    cache: str | None = _setting("cache", TEXT, WHERE)
    where: str | None = _setting(
        "where", TEXT, WHERE, help_="With --cluster: gpu, a resource label of Ray or part of a processor's name."
    )
    latency_bound: float | None = _setting(
        "latency_bound",
        NUMBER,
        SERVER,
        help_="Milliseconds that a request may take. [default: three times the median of an idle machine]",
        metavar="MS",
    )
    percentile: int | None = _setting(
        "percentile",
        WHOLE,
        SERVER,
        help_=f"... and how many in a hundred must: {_PERCENTILES}. [default: {PERCENTILES[0]}]",
    )
    batches_given: bool = False

    def __post_init__(self) -> None:
        """InputError for what makes no sense, before runtimes are looked for, which takes seconds."""
        object.__setattr__(
            self, "model", tuple(dict.fromkeys(name for text in self.model or ("",) for name in find_all(text)))
        )
        object.__setattr__(self, "precision", tuple(precisions(",".join(self.precision))))
        for model in self.model:
            find(model, Path(self.artifacts or ARTIFACTS))
        unknown = [mode for mode in self.mode if mode not in MODES]
        if unknown or not self.mode:
            raise InputError(f"--mode {listing(unknown) or '(nothing)'}: choose from {', '.join(MODES)}")
        for option, values in (
            ("--batch", self.batch),
            ("--threads", [one for one in self.threads if one is not None]),
        ):
            if any(value < 1 for value in values):
                raise InputError(f"{option} {min(values)}: whole numbers above zero are needed")
        if "server" not in self.mode:
            for option, value in (("--latency-bound", self.latency_bound), ("--percentile", self.percentile)):
                if value is not None:
                    raise InputError(f"{option} {value:g}: only mode server has it; add --mode server")
        elif self.mode == ("server",) and self.batches_given and self.batch != (1,):
            raise InputError(f"--batch {','.join(map(str, self.batch))}: mode server sends one image at a time")
        if self.latency_bound is not None and not self.latency_bound > 0:
            raise InputError(f"--latency-bound {self.latency_bound:g}: milliseconds above zero are needed")
        if self.percentile is not None and self.percentile not in PERCENTILES:
            known = ", ".join(map(str, reversed(PERCENTILES)))
            raise InputError(f"--percentile {self.percentile}: choose from {known}")

    @classmethod
    def checked(cls, table: Mapping[str, Any]) -> Matrix:
        """What `typed.table` made of a matrix that was checked on another machine: what it names need not be here."""
        matrix = object.__new__(cls)
        for name, value in table.items():
            object.__setattr__(matrix, name, tuple(value) if isinstance(value, list) else value)
        return matrix

    @classmethod
    def from_options(cls, given: dict[str, Any], batches_given: bool) -> Matrix:
        """What the command's options say, by their keys. InputError for a list of numbers that is none."""
        return cls(
            model=(given["model"],),
            runtime=None if given["runtime"] is None else (given["runtime"],),
            precision=(given["precision"],),
            mode=tuple(listed(given["mode"])),
            device=(given["device"],),
            option=given["option"],
            batch=tuple(numbers("--batch", given["batch"])),
            threads=tuple(numbers("--threads", given["threads"])) if given["threads"] else (None,),
            streams=(given["streams"],),
            **{
                name: given[name] for name in (*_OF_MODEL, "artifacts", "cache", "where", "latency_bound", "percentile")
            },
            batches_given=batches_given,
        )

    @property
    def chosen(self) -> ModelOptions:
        """What is said of the models beside their names."""
        return ModelOptions(**{name: getattr(self, name) for name in _OF_MODEL})

    @functools.cached_property
    def selections(self) -> tuple[Selection, ...]:
        """What is asked of which runtimes: one for each device and number of streams. InputError for what there is
        not."""
        check_threads(self.threads)
        runtimes = None if self.runtime is None else ",".join(self.runtime)
        cache = Path(self.cache) if self.cache else None
        axes = itertools.product(self.device, self.streams)
        return tuple(select(runtimes, device, None, streams, cache, self.option) for device, streams in axes)

    def mode_options(self, mode: str) -> dict[str, Any]:
        """What a cell's job tells the mode. throughput: `batches` to search among, ascending. server:
        `latency_bound_ms` (None: its own choice) and `percentile`."""
        if mode == "throughput":
            return {"batches": sorted(self.batch)}
        if mode == "server":
            return {"latency_bound_ms": self.latency_bound, "percentile": self.percentile or PERCENTILES[0]}
        return {}
