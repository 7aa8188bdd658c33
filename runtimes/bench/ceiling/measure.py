"""Measure what this machine reaches: each library in a process of its own, where nothing holds it back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import psutil

from convert.common import isolate, typed
from convert.common.isolate import JobError
from convert.precision.table import FP32
from runtimes import registry
from runtimes.base import UnavailableError, usable_cores
from runtimes.bench.ceiling import bandwidth, peak
from runtimes.bench.ceiling.products import Found, ProductJob
from runtimes.bench.ceiling.reach import BANDWIDTH, Ceiling, GpuReach, Kernels, Product
from runtimes.gpu import cuda
from runtimes.system import disturbance, environment

SECONDS = 0.4  # for each precision of each library
_TIMEOUT_S = 120.0
_GPU_BYTES = 512 << 20  # more than any GPU's cache, and room for it on the smallest

Call = Callable[..., Any]  # `isolate.call`


def measure(seconds: float = SECONDS, call: Call = isolate.call) -> Ceiling:
    """Measure now, for about 6 s. seconds: for each precision of each library."""
    description, threads = environment.describe(), usable_cores()
    before = disturbance.read()
    libraries = {"openvino": _precisions("openvino"), "onnxruntime": _precisions("ort-cpu"), "numpy": (FP32,)}
    found = _products(call, libraries, "CPU", threads, seconds)
    gflops, how, unmeasured = _best(found, libraries["openvino"])
    kernels, doubt = _kernels(call, description, threads)
    speeds = kernels.kernels_gb_s
    fastest = max(speeds, key=lambda name: speeds[name], default=None)
    if fastest:
        how[BANDWIDTH] = f"numpy {fastest} of arrays of {kernels.array_bytes >> 20} MiB, {threads} threads"
    if doubt:
        unmeasured["bandwidth" if fastest else BANDWIDTH] = doubt
    gpus: list[GpuReach] = []
    try:
        gpus = [_gpu(call, device, seconds) for device in cuda.devices()]
    except UnavailableError as error:
        unmeasured["gpus"] = str(error)
    load = disturbance.difference(before, disturbance.read()).foreign_load
    return Ceiling(
        gflops=gflops,
        bandwidth_gb_s=speeds[fastest] if fastest else None,
        how=how,
        unmeasured=unmeasured,
        bandwidth=kernels,
        products=found.found,
        peak=peak.describe(description["machine"]),
        gpus=tuple(gpus),
        threads=threads,
        foreign_load=None if load is None else round(load, 3),
        # A measurement beside others is kept, but counts as no occasion.
        occasions=int(load is not None and load <= disturbance.TOLERABLE_FOREIGN),
        time_utc=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def _precisions(runtime: str) -> tuple[str, ...]:
    return registry.get(runtime).precisions


def _products(call: Call, libraries: Mapping[str, Sequence[str]], device: str, threads: int, seconds: float) -> Found:
    """What every library reached on a device, and why a precision is missing, by the first library that was tried."""
    found: list[Product] = []
    unmeasured: dict[str, str] = {}
    for library, precisions in libraries.items():
        job = ProductJob(library, tuple(precisions), threads, seconds, device)
        try:
            table = call("runtimes.bench.ceiling.products:run_job", typed.table(job), timeout_s=_TIMEOUT_S)
            outcome = typed.read(Found, table)
        except JobError as error:
            outcome = Found((), dict.fromkeys(precisions, f"{library}: {error}"))
        found += outcome.found
        unmeasured = {**outcome.unmeasured, **unmeasured}
    return Found(tuple(found), unmeasured)


def _best(outcome: Found, precisions: Iterable[str]) -> tuple[dict[str, float | None], dict[str, str], dict[str, str]]:
    """GFLOP/s of the fastest library in each precision, how it got there, and why there is none."""
    gflops: dict[str, float | None] = dict.fromkeys(precisions)
    how = {}
    for one in sorted(outcome.found, key=lambda one: one.gflops):
        gflops[one.precision] = round(one.gflops, 1)
        how[one.precision] = f"{one.how}, {' x '.join(map(str, one.shape))}, fastest of {one.count}"
    return gflops, how, {name: why for name, why in outcome.unmeasured.items() if name not in how}


def _kernels(call: Call, description: Mapping[str, Any], threads: int) -> tuple[Kernels, str | None]:
    """Memory bandwidth, and why there is none or it is doubtful."""
    caches = description["machine"]["caches"] or {}
    last = max((name for name in caches if name[1:].isdigit()), default=None)
    last_bytes = caches[last]["bytes"] * caches[last]["instances"] if last else None
    size, doubt = bandwidth.array_bytes(last_bytes, psutil.virtual_memory().available)
    job = {"threads": threads, "bytes": size}
    try:
        speeds = call("runtimes.bench.ceiling.bandwidth:run_job", job, timeout_s=_TIMEOUT_S)
    except JobError as error:
        speeds, doubt = {}, str(error)
    return Kernels(kernels_gb_s={name: round(speed, 1) for name, speed in speeds.items()}, array_bytes=size), doubt


def _gpu(call: Call, device: str, seconds: float) -> GpuReach:
    libraries = {"onnxruntime": _precisions("ort-cuda")}
    gflops, how, unmeasured = _best(_products(call, libraries, device, 1, seconds), libraries["onnxruntime"])
    speed = None
    try:
        job = {"device": device, "bytes": _GPU_BYTES}
        speed = round(call("runtimes.bench.ceiling.bandwidth:run_gpu_job", job, timeout_s=_TIMEOUT_S)["copy"], 1)
        how[BANDWIDTH] = f"copy of {_GPU_BYTES >> 20} MiB within its memory"
    except JobError as error:
        unmeasured[BANDWIDTH] = str(error)
    return GpuReach(gflops=gflops, bandwidth_gb_s=speed, how=how, unmeasured=unmeasured, device=device)
