"""Which runtimes there are. Adapters are imported when they are asked for, so a missing package costs nothing."""

from __future__ import annotations

import importlib

from convert.errors import InputError
from runtimes.base import Runtime

# The order is that of columns in reports: what a Paddle user has today comes first.
_ADAPTERS = {
    "paddle": "runtimes.paddle_inference:PADDLE",
    "ort-cpu": "runtimes.onnxruntime:ORT_CPU",
    "openvino": "runtimes.openvino:OPENVINO",
}


def names() -> list[str]:
    """Every runtime that has an adapter, available here or not."""
    return list(_ADAPTERS)


def get(name: str) -> Runtime:
    """The adapter of that name. InputError when there is none."""
    if name not in _ADAPTERS:
        raise InputError(f"unknown runtime {name}; there are {', '.join(names())}")
    module, _, attribute = _ADAPTERS[name].partition(":")
    runtime: Runtime = getattr(importlib.import_module(module), attribute)
    return runtime


def select(chosen: str | None) -> list[Runtime]:
    """The runtimes in a comma-separated list, each of which must be available; without a list, all that are.

    InputError when one is unknown or missing, with the reason, or when there is none at all.
    """
    if chosen is None:
        runtimes = [runtime for runtime in map(get, names()) if runtime.unavailable() is None]
        if not runtimes:
            raise InputError("no runtime is available here; `python -m runtimes` says why")
        return runtimes
    runtimes = [get(name.strip()) for name in chosen.split(",") if name.strip()]
    for runtime in runtimes:
        reason = runtime.unavailable()
        if reason:
            raise InputError(f"runtime {runtime.name} is not available: {reason}")
    if not runtimes:
        raise InputError(f"no runtime given; there are {', '.join(names())}")
    return list(dict.fromkeys(runtimes))
