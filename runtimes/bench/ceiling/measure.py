"""Measure what this machine reaches, in processes of their own, where nothing holds a library back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from convert.common import typed, worker
from convert.common.worker import JobError
from runtimes import registry
from runtimes.base import UnavailableError, usable_cores
from runtimes.bench.ceiling.reach import BANDWIDTH, Ceiling, Number, Reach
from runtimes.gpu import cuda
from runtimes.system import disturbance

SECONDS = 0.4  # for each precision
_TIMEOUT_S = 120.0

Call = Callable[..., Any]  # `worker.call`


def measure(seconds: float = SECONDS, call: Call = worker.call) -> Ceiling:
    """Measure now, for about 5 s. seconds: for each precision."""
    before = disturbance.read()
    processor = _reach("CPU", "openvino", seconds, call)
    (bandwidth,) = _numbers("bandwidth", [BANDWIDTH], {"threads": usable_cores()}, call)
    gpus: list[Reach] = []
    no_gpus = {}
    try:
        gpus = [_reach(device, "ort-cuda", seconds, call) for device in cuda.devices()]
    except UnavailableError as error:
        no_gpus = {"gpus": str(error)}
    load = disturbance.difference(before, disturbance.read()).foreign_load
    told = {BANDWIDTH: bandwidth.how}
    return Ceiling(
        gflops=processor.gflops,
        bandwidth_gb_s=bandwidth.value,
        how={**processor.how, **(told if bandwidth.value else {})},
        unmeasured={**processor.unmeasured, **({} if bandwidth.value else told), **no_gpus},
        gpus=tuple(gpus),
        threads=usable_cores(),
        foreign_load=None if load is None else round(load, 3),
        # A measurement beside others is kept, but counts as no occasion.
        occasions=int(load is not None and load <= disturbance.TOLERABLE_FOREIGN),
        time_utc=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def _reach(device: str, runtime: str, seconds: float, call: Call) -> Reach:
    """How fast a device multiplies in the precisions that a runtime has."""
    precisions = registry.get(runtime).precisions
    job = {"device": device, "precisions": precisions, "threads": usable_cores(), "seconds": seconds}
    numbers = _numbers("products", precisions, job, call)
    return Reach(
        device=device,
        gflops={one.name: one.value for one in numbers},
        how={one.name: one.how for one in numbers if one.value is not None},
        unmeasured={one.name: one.how for one in numbers if one.value is None},
    )


def _numbers(module: str, names: Iterable[str], job: Mapping[str, Any], call: Call) -> list[Number]:
    """What a process of its own measured; the reason under each of the names where it did not come back."""
    try:
        told = call(f"runtimes.bench.ceiling.{module}:run_job", job, timeout_s=_TIMEOUT_S)
        return [typed.read(Number, one) for one in told]
    except JobError as error:
        return [Number(name, None, str(error)) for name in names]
