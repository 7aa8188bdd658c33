"""What this machine reaches at its best: a large matrix product in each precision, and memory bandwidth.

`python -m runtimes.bench.ceiling [--json]`. A ceiling is a best: the fastest repetition of the fastest library, over
all measurements that were ever made here. A report says what share of it a cell reaches, and no cell can exceed it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import platformdirs
import psutil

from convert.common import isolate
from convert.common.files import write_json
from convert.common.isolate import JobError
from runtimes.base import UnavailableError, usable_cores
from runtimes.bench.ceiling import bandwidth, peak
from runtimes.gpu import cuda
from runtimes.system import environment

PRECISIONS = ("fp32", "bf16", "fp16", "int8")
# Who multiplies on the processor, in which precisions.
_ON_CPU = {"openvino": PRECISIONS, "onnxruntime": ("fp32", "int8"), "numpy": ("fp32",)}
_ON_GPU = ("fp32", "tf32", "bf16", "fp16", "int8")
# For each precision of each library.
SECONDS = 0.4
# A virtual machine may be slowed down by its neighbours while it measures: the best of three occasions is kept.
OCCASIONS = 3
# One that is never quiet must not pay for it at each run.
MOST_TRIES = 6
# Of all cores, taken by others: a measurement beside them is kept, but counts as no occasion.
_TOLERABLE_LOAD = 0.1
_TIMEOUT_S = 120.0
# More than any GPU's cache, and room for it on the smallest.
_GPU_BYTES = 512 << 20
_FORMAT = 1

Measurement = dict[str, Any]


def measure(seconds: float = SECONDS, call: Callable[..., Any] = isolate.call) -> Measurement:
    """Measure now, for about 6 s. seconds: for each precision of each library. docs/formats.md has the fields.

    Each library multiplies in a process of its own, where nothing holds it back (`products._UNSET`).
    """
    description = environment.describe()
    before = _used()
    found, unmeasured = _products(call, _ON_CPU, "CPU", usable_cores(), seconds)
    for precision in PRECISIONS:
        unmeasured.setdefault(precision, "no library here multiplies in it")
    gflops, how = _best(found, PRECISIONS)
    speeds, size, doubt = _bandwidth(call, description)
    fastest = max(speeds, key=lambda name: speeds[name], default=None)
    if fastest:
        how["bandwidth_gb_s"] = f"numpy {fastest} of arrays of {size >> 20} MiB, {usable_cores()} threads"
    gpus, reason = _gpus(call, seconds)
    reasons = {name: why for name, why in unmeasured.items() if gflops.get(name) is None}
    return {
        "gflops": gflops,
        "bandwidth_gb_s": speeds[fastest] if fastest else None,
        "bandwidth": {"kernels_gb_s": speeds, "array_bytes": size},
        "how": how,
        "products": found,
        "peak": peak.describe(description["machine"]),
        "gpus": gpus,
        "unmeasured": {
            **reasons,
            **({"bandwidth_gb_s" if fastest is None else "bandwidth": doubt} if doubt else {}),
            **({"gpus": reason} if reason else {}),
        },
        "threads": usable_cores(),
        "foreign_load": (load := round(foreign_load(before, _used()), 3)),
        "occasions": 1 if load <= _TOLERABLE_LOAD else 0,
        "disturbed": None,
        "time_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def known(fresh: bool = False, seconds: float = SECONDS, file: Path | None = None) -> Measurement:
    """The ceiling of this machine: measured on the first three quiet occasions, or the first six of any kind, and then
    as the user's cache has it.

    fresh: measure in any case. file: where it is kept, by default by the machine's key.
    """
    file = file or _kept_file()
    kept = read(file)
    tries = kept.get("tries", 0) if kept else 0
    if kept and (kept["occasions"] >= OCCASIONS or tries >= MOST_TRIES) and not fresh:
        return kept
    merged = {**merge(kept, measure(seconds)), "tries": tries + 1}
    merged["disturbed"] = _doubt(merged)
    with contextlib.suppress(OSError):  # what cannot be kept is measured again
        write_json(file, {"format": _FORMAT, **merged})
    return merged


def forget(file: Path | None = None) -> None:
    """Begin anew: what was the best on this machine may be so no more (a new power limit, another cooler)."""
    (file or _kept_file()).unlink(missing_ok=True)


def read(file: Path) -> Measurement | None:
    """A measurement that `known` kept; None where there is none, or a damaged one."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(kept, dict) or kept.pop("format", None) != _FORMAT:
        return None
    return kept


def merge(kept: Mapping[str, Any] | None, new: Measurement) -> Measurement:
    """The better of both in each number, with how it was reached; all else is the new one's."""
    if not kept:
        return new
    merged = {**new, "gflops": dict(new["gflops"]), "how": dict(new["how"]), "unmeasured": dict(new["unmeasured"])}
    for name, value in kept["gflops"].items():
        if value is not None and value > (merged["gflops"].get(name) or 0.0):
            merged["gflops"][name], merged["how"][name] = value, kept["how"][name]
            merged["unmeasured"].pop(name, None)
    if (kept["bandwidth_gb_s"] or 0.0) > (new["bandwidth_gb_s"] or 0.0):
        merged["bandwidth_gb_s"], merged["bandwidth"] = kept["bandwidth_gb_s"], kept["bandwidth"]
        merged["how"]["bandwidth_gb_s"] = kept["how"]["bandwidth_gb_s"]
        merged["unmeasured"].pop("bandwidth_gb_s", None)
    merged["gpus"] = [
        {**gpu, **_better_gpu(next((old for old in kept["gpus"] if old["device"] == gpu["device"]), None), gpu)}
        for gpu in new["gpus"]
    ]
    merged["occasions"] = kept["occasions"] + new["occasions"]
    return merged


def _better_gpu(kept: Mapping[str, Any] | None, new: Mapping[str, Any]) -> dict[str, Any]:
    gflops, how = dict(new["gflops"]), dict(new["how"])
    for name, value in (kept or {"gflops": {}})["gflops"].items():
        if kept and value is not None and value > (gflops.get(name) or 0.0):
            gflops[name], how[name] = value, kept["how"][name]
    return {"gflops": gflops, "how": how}


def _products(
    call: Callable[..., Any], libraries: Mapping[str, tuple[str, ...]], device: str, threads: int, seconds: float
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """What every library reached on a device, and why a precision is missing, by the first library that was asked."""
    found: list[dict[str, Any]] = []
    unmeasured: dict[str, str] = {}
    for library, precisions in libraries.items():
        job = {"library": library, "precisions": precisions, "threads": threads, "seconds": seconds, "device": device}
        try:
            outcome = call("runtimes.bench.ceiling.products:run_job", job, timeout_s=_TIMEOUT_S)
        except JobError as error:
            outcome = {"found": [], "unmeasured": dict.fromkeys(precisions, f"{library}: {error}")}
        found += outcome["found"]
        for precision, reason in outcome["unmeasured"].items():
            unmeasured.setdefault(precision, reason)
    return found, unmeasured


def _best(found: list[dict[str, Any]], precisions: tuple[str, ...]) -> tuple[dict[str, float | None], dict[str, str]]:
    gflops: dict[str, float | None] = {}
    how: dict[str, str] = {}
    for precision in precisions:
        candidates = [one for one in found if one["precision"] == precision]
        best = max(candidates, key=lambda one: one["gflops"], default=None)
        gflops[precision] = round(best["gflops"], 1) if best else None
        if best:
            shape = " x ".join(map(str, best["shape"]))
            how[precision] = f"{best['how']}, {shape}, fastest of {best['count']}"
    return gflops, how


def _bandwidth(call: Callable[..., Any], description: Mapping[str, Any]) -> tuple[dict[str, float], int, str | None]:
    caches = description["machine"]["caches"] or {}
    last = max((name for name in caches if name[1:].isdigit()), default=None)
    last_bytes = caches[last]["bytes"] * caches[last]["instances"] if last else None
    size, doubt = bandwidth.array_bytes(last_bytes, psutil.virtual_memory().available)
    job = {"threads": usable_cores(), "bytes": size}
    try:
        speeds = call("runtimes.bench.ceiling.bandwidth:run_job", job, timeout_s=_TIMEOUT_S)
    except JobError as error:
        return {}, size, str(error)
    return {name: round(speed, 1) for name, speed in speeds.items()}, size, doubt


def _gpus(call: Callable[..., Any], seconds: float) -> tuple[list[dict[str, Any]], str | None]:
    """The GPUs that CUDA counts, each with its products; none, and why."""
    try:
        devices = cuda.devices()
    except UnavailableError as error:
        return [], str(error)
    gpus = []
    for device in devices:
        found, unmeasured = _products(call, {"onnxruntime": _ON_GPU}, device, 1, seconds)
        gflops, how = _best(found, _ON_GPU)
        reasons = {name: why for name, why in unmeasured.items() if gflops[name] is None}
        speed = None
        try:
            job = {"device": device, "bytes": _GPU_BYTES}
            speed = round(call("runtimes.bench.ceiling.bandwidth:run_gpu_job", job, timeout_s=_TIMEOUT_S)["copy"], 1)
            how["bandwidth_gb_s"] = f"copy of {_GPU_BYTES >> 20} MiB within its memory"
        except JobError as error:
            reasons["bandwidth_gb_s"] = str(error)
        gpus.append({"device": device, "gflops": gflops, "bandwidth_gb_s": speed, "how": how, "unmeasured": reasons})
    return gpus, None


def _doubt(found: Mapping[str, Any]) -> str | None:
    """Why cells may exceed this ceiling, in a sentence; None once it was measured on a quiet occasion."""
    if found["occasions"]:
        return None
    return f"never measured undisturbed: others took {found['foreign_load']:.0%} of the processor, so it is too low"


@dataclass(frozen=True)
class Used:
    """Seconds: the clock, what all processes computed on all cores, and what this one's ended children did."""

    clock_s: float
    busy_s: float
    children_s: float


def _used() -> Used:
    times, own = psutil.cpu_times(), os.times()
    # Time that waited or was idle is nobody's; guests' is contained in user time.
    idle = sum(getattr(times, name, 0.0) for name in ("idle", "iowait", "guest", "guest_nice"))
    return Used(time.perf_counter(), sum(times) - idle, own.children_user + own.children_system)


def foreign_load(before: Used, after: Used) -> float:
    """The share of all cores that others took between two readings, 0 to 1."""
    foreign = (after.busy_s - before.busy_s) - (after.children_s - before.children_s)
    cores = psutil.cpu_count() or 1
    return min(1.0, max(0.0, foreign / (cores * max(after.clock_s - before.clock_s, 1e-9))))


def _kept_file() -> Path:
    key = environment.machine_key(environment.describe())
    return platformdirs.user_cache_path("vitbench") / "ceiling" / f"{key}.json"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output instead of the table.")
@click.option("--fresh", is_flag=True, help="Measure once more, though it is known, and keep the better.")
@click.option("--forget", "anew", is_flag=True, help="Forget what is known of this machine first.")
@click.option(
    "--seconds",
    default=SECONDS,
    show_default=True,
    type=click.FloatRange(min=0, max=60),
    help="For each precision of each library.",
)
def main(as_json: bool, fresh: bool, anew: bool, seconds: float) -> None:
    """The machine's ceiling: GFLOP/s of a large matrix product in each precision, and memory bandwidth.

    Measured on the first three occasions, and then remembered: the best of them.
    """
    if anew:
        forget()
    found = known(fresh, seconds)
    if as_json:
        click.echo(json.dumps({"ceiling": found}, indent=2, ensure_ascii=False))
        return
    for line in summary(found):
        click.echo(line)


def summary(found: Measurement) -> list[str]:
    """The ceiling for people, a line for each number."""
    places = [("CPU", found), *((gpu["device"], gpu) for gpu in found["gpus"])]
    told = []
    for place, numbers in places:
        values = {
            **{name: (value, "GOP/s" if name == "int8" else "GFLOP/s") for name, value in numbers["gflops"].items()},
            "bandwidth_gb_s": (numbers["bandwidth_gb_s"], "GB/s"),
        }
        for name, (value, unit) in values.items():
            if value is None:
                text = f"- {numbers['unmeasured'][name]}"
            else:
                text = f"{value:,.1f} {unit}: {numbers['how'][name]}"
            told.append(f"{place} {name.removesuffix('_gb_s')} {text}")
    if not found["gpus"]:
        told.append(f"GPU - {found['unmeasured']['gpus']}")
    on_paper = found["peak"]["gflops"]
    paper = f"{on_paper['fp32']:,.1f} GFLOP/s" if on_paper else f"- {found['peak']['reason']}"
    told.append(f"theoretical fp32 {paper}")
    told.append(f"the best of {found['occasions']} quiet measurements")
    return [*told, found["disturbed"]] if found["disturbed"] else told


if __name__ == "__main__":
    main(prog_name="python -m runtimes.bench.ceiling")
