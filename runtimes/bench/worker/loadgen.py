"""MLPerf's LoadGen in front of sessions: scenario Server, seconds long instead of minutes.

For use in a visit's own process: LoadGen has one global logger, and reads and writes files where the process stands.
What is known of its bindings, at version 6.0.17:

- `StartTestWithLogSettings` keeps Python's global lock for the whole test, so that no other Python thread could answer;
  `StartTest` gives it up, but takes its log folder from the working directory. Hence `StartTest` in a temporary folder.
- An exception must not leave a callback: it would unwind LoadGen's own frames. It is kept, the remaining queries are
  answered unanswered, and it is raised when the test is over.
- Latencies of single queries stand in its trace only, in ns since the moment for which a query was scheduled. So a
  callback may answer before it returns: a query that has to wait for it is charged with the waiting.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.common.disk import scratch
from convert.common.errors import CheckFailed, InputError

# Of MLPerf Inference's rules, as in LoadGen 6.0's mlperf.conf. They are changed with each round.
SEEDS = {
    "qsl_rng_seed": 2085463073848966840,
    "sample_index_rng_seed": 2747215439041700203,
    "schedule_rng_seed": 16159082839903944936,
}
_SAMPLE = re.compile(r'"sample_seq":(\d+),.*"complete_ns":(-?\d+)')
_LOG = ":::MLLOG "
_LIBRARY_SIZE = 16  # images that LoadGen thinks it chooses from; each of them is the visit's own

Infer = Callable[[], object]


@dataclass(frozen=True)
class Trial:
    """What LoadGen found. latencies_ms: of each image, in the order of issue.

    log: the keys and values of its detail log. valid: its own verdict, early stopping at 99 % confidence included.
    """

    latencies_ms: tuple[float, ...]
    valid: bool
    log: Mapping[str, Any]

    @property
    def version(self) -> str:
        return str(self.log["loadgen_version"]).split()[0]


def require() -> Any:
    """The package. InputError where it is missing."""
    try:
        import mlperf_loadgen
    except ImportError as error:
        raise InputError(
            f"MLPerf's LoadGen cannot be imported ({error}): pip install mlcommons-loadgen, "
            "which has wheels for Linux on x86-64"
        ) from error
    return mlperf_loadgen


def server(
    infers: Sequence[Infer], qps: float, min_s: float, min_count: int, bound_ms: float, percentile: float
) -> Trial:
    """Queries of one image at moments of a Poisson process, `qps` a second on average.

    infers: so many queries are answered at the same time, each by one of these; the others wait in line. The schedule
    is the same at every rate but for its scale, since its seed is. bound_ms, percentile: for LoadGen's verdict.
    CheckFailed where LoadGen reports an error of its own. InputError where it is missing.
    """
    lg = require()
    wanted = lg.TestSettings()
    wanted.scenario, wanted.mode = lg.TestScenario.Server, lg.TestMode.PerformanceOnly
    settings = {
        "min_duration_ms": max(1, round(1e3 * min_s)),
        "min_query_count": min_count,
        "server_target_qps": float(qps),
        "server_target_latency_ns": int(bound_ms * 1e6),
        "server_target_latency_percentile": percentile / 100,
    }
    for name, value in {**SEEDS, **settings}.items():
        setattr(wanted, name, value)
    failures: list[BaseException] = []
    with _answering(lg, infers, failures) as issue, _temporary_place() as folder:
        system = lg.ConstructSUT(issue, lambda: None)
        library = lg.ConstructQSL(_LIBRARY_SIZE, _LIBRARY_SIZE, lambda indices: None, lambda indices: None)
        try:
            lg.StartTest(system, library, wanted, "none.config")
        finally:
            lg.DestroyQSL(library)
            lg.DestroySUT(system)
        if failures:
            raise failures[0]
        return _read(folder)


@contextlib.contextmanager
def _answering(lg: Any, infers: Sequence[Infer], failures: list[BaseException]) -> Iterator[Callable[[Any], None]]:
    """LoadGen's callback. One session answers in the thread that asks, several in threads of their own."""
    free: queue.SimpleQueue[Infer] = queue.SimpleQueue()
    for infer in infers:
        free.put(infer)

    def answer(number: int) -> None:
        infer = free.get()
        try:
            if not failures:
                infer()
        except BaseException as error:  # also Ctrl-C: whatever leaves this callback ends the process
            failures.append(error)
        finally:
            free.put(infer)
            lg.QuerySamplesComplete([lg.QuerySampleResponse(number, 0, 0)])

    with ThreadPoolExecutor(len(infers)) as pool:

        def issue(samples: Any) -> None:
            for sample in samples:
                if len(infers) == 1:
                    answer(sample.id)
                else:
                    pool.submit(answer, sample.id)

        yield issue


@contextlib.contextmanager
def _temporary_place() -> Iterator[Path]:
    before = Path.cwd()
    with scratch.folder() as folder:
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)


def _read(folder: Path) -> Trial:
    """What LoadGen wrote."""
    log: dict[str, Any] = {}
    errors = []
    for line in (folder / "mlperf_log_detail.txt").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(_LOG):
            entry = json.loads(line[len(_LOG) :])
            log[entry["key"]] = entry["value"]
            if entry["metadata"]["is_error"]:
                errors.append(f"{entry['key']}: {entry['value']}")
    if errors:
        raise CheckFailed(f"LoadGen: {'; '.join(errors)}")
    trace = (folder / "mlperf_log_trace.json").read_text(encoding="utf-8", errors="replace")
    latencies = dict(sorted((int(one), int(ns) / 1e6) for one, ns in _SAMPLE.findall(trace)))
    issued = log["result_query_count"] * log["effective_samples_per_query"]
    if len(latencies) != issued:
        raise CheckFailed(f"LoadGen's trace has {len(latencies)} samples, its log {issued}")
    return Trial(tuple(latencies.values()), log["result_validity"] == "VALID", log)
