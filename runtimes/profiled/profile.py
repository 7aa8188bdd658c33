"""The layers of a model on a runtime and their times, beside its runs without the profiler, in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.common import typed, worker
from runtimes import registry
from runtimes.base import Effective, Options, Runtime, Session, UnavailableError
from runtimes.bench.worker.warmup import WarmUp
from runtimes.infer import Inference
from runtimes.profiled.layers import LayerTime, ProfiledSession

_WARM_S = 5.0  # at most
# The process is warm by then, and profilers keep whatever runs: means over all of it, or a million events at most.
_WARM_RUNS = 3
T = TypeVar("T")


@dataclass(frozen=True)
class LayerProfile:
    """What one cell's profile came to, in milliseconds.

    layers: means over the middle half of the runs by the sum of their layers, so that rows of any grouping add up and
    wild runs do not count; over all runs where the runtime tells only means. run_ms: the wall time of the same runs.
    plain_ms: of as many runs without the profiler, in the same process, before and after, likewise. runs: how many
    there were; kept: how many count.
    """

    layers: tuple[LayerTime, ...]
    run_ms: float
    plain_ms: float
    runs: int
    kept: int
    effective: Effective


@dataclass(frozen=True)
class _Wanted:
    wanted: Inference
    batch: int
    runs: int


def reason(runtime: Runtime) -> str | None:
    """Why there are no layer times of a runtime, in a sentence; None where there are."""
    return f"{runtime.name}: {runtime.profiled}" if isinstance(runtime.profiled, str) else None


def profile(artifact: Artifact, runtime: Runtime, options: Options, batch: int, runs: int) -> LayerProfile:
    """Profile a model in a process of its own. batch: images, random ones. runs: at least one.

    JobError when the runtime crashes, raises or is not available.
    """
    wanted = Inference(str(artifact.path), runtime.name, options)
    asked = typed.table(_Wanted(wanted, batch, runs))
    return typed.read(LayerProfile, worker.call("runtimes.profiled.profile:run_job", asked, None, wanted.environment))


def run_job(table: dict[str, Any]) -> Any:
    """The other side of `profile`."""
    asked = typed.read(_Wanted, table)
    runtime, options = registry.get(asked.wanted.runtime), asked.wanted.options
    artifact = artifacts.load(Path(asked.wanted.artifact))
    images = np.random.default_rng(0).standard_normal((asked.batch, 3, *artifact.image_shape), dtype=np.float32)
    if isinstance(runtime.profiled, str):
        raise UnavailableError(runtime.profiled)
    with runtime.open(artifact, options) as session:
        warmup, begin = WarmUp(_WARM_S), time.perf_counter()
        samples: list[float] = []
        while warmup.length(samples, time.perf_counter() - begin) is None:
            samples += _times(session, images, 1)
        # Half of the runs before the profiled ones and half behind, so that a drift of the machine is in both. Not in
        # turns: threads that spin after a run would disturb the other session.
        plain = _times(session, images, (asked.runs + 1) // 2)
        with replace(runtime, open_session=runtime.profiled).open(artifact, options) as profiled:
            assert isinstance(profiled, ProfiledSession), runtime.name
            _times(profiled, images, _WARM_RUNS)
            profiled.begin()
            times = _times(profiled, images, asked.runs)
            runs, effective = profiled.runs()[-asked.runs :], profiled.effective()
        _times(session, images, 1)
        plain += _times(session, images, asked.runs // 2)
    return typed.table(summed_up(runs, times, plain, effective))


def summed_up(
    runs: Sequence[Sequence[LayerTime]], run_ms: Sequence[float], plain_ms: Sequence[float], effective: Effective
) -> LayerProfile:
    """One profile of several runs. UnavailableError where the runs are not of the same layers."""
    names, count = [[layer.name for layer in run] for run in runs], len(run_ms)
    if len(runs) not in (1, len(run_ms)) or not names or not names[0] or any(one != names[0] for one in names):
        raise UnavailableError("its profiler does not tell the same layers in each run")
    if len(runs) == 1:
        run_ms, plain_ms = [_mean(run_ms)], [_mean(plain_ms)]
    kept = middle(list(zip(runs, run_ms, strict=True)), lambda pair: sum(layer.ms for layer in pair[0]))
    return LayerProfile(
        layers=tuple(
            replace(same[0], ms=_mean([layer.ms for layer in same]))
            for same in zip(*(run for run, _ in kept), strict=True)
        ),
        run_ms=_mean([wall for _, wall in kept]),
        plain_ms=_mean(middle(plain_ms, lambda ms: ms)),
        runs=count,
        kept=count if len(runs) == 1 else len(kept),
        effective=effective,
    )


def middle(values: Sequence[T], key: Callable[[T], float]) -> list[T]:
    """Those that are neither in the lowest nor in the highest quarter."""
    cut = len(values) // 4
    return sorted(values, key=key)[cut : len(values) - cut]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _times(session: Session, images: np.ndarray, runs: int) -> list[float]:
    """Milliseconds of so many runs."""
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        session.run(images)
        found.append(1e3 * (time.perf_counter() - start))
    return found
