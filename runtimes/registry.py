"""Which runtimes there are. Adapters are imported when they are asked for, so a missing package costs nothing."""

from __future__ import annotations

import importlib
from typing import Any

from convert import isolate
from convert.errors import InputError
from runtimes.base import Runtime
from runtimes.options import words

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


def examine(chosen: list[str]) -> dict[str, dict[str, Any]]:
    """The state of runtimes by name: name, available, reason (None when available), version, devices, precisions.

    They are imported in a process of its own: a broken one may crash, and Paddle takes seconds and changes logging.
    """
    try:
        states: dict[str, dict[str, Any]] = isolate.call("runtimes.registry:_examine", {"names": chosen})
        return states
    except isolate.JobError as error:
        if len(chosen) == 1:
            return {chosen[0]: {**_blank(chosen[0]), "reason": f"it cannot be loaded: {error}"}}
        return {name: examine([name])[name] for name in chosen}  # one of them crashed: find out which


def _examine(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    states = {}
    for name in job["names"]:
        runtime = get(name)
        reason = runtime.unavailable()
        found = {"available": reason is None, "reason": reason, "devices": [] if reason else runtime.devices()}
        states[name] = {**_blank(name), **found}
    return states


def _blank(name: str) -> dict[str, Any]:
    runtime = get(name)
    return {
        "name": name,
        "available": False,
        "reason": None,
        "version": runtime.version(),
        "devices": [],
        "precisions": list(runtime.precisions),
    }


def select(chosen: str | None) -> list[Runtime]:
    """The runtimes in a comma-separated list, each of which must be available; without a list, all that are.

    InputError when one is unknown or missing, with the reason, or when there is none at all.
    """
    runtimes = [get(name) for name in (names() if chosen is None else words(chosen))]
    if not runtimes:
        raise InputError(f"no runtime given; there are {', '.join(names())}")
    states = examine([runtime.name for runtime in runtimes])
    missing = {name: state["reason"] for name, state in states.items() if not state["available"]}
    if chosen is not None:
        for name, reason in missing.items():
            raise InputError(f"runtime {name} is not available: {reason}")
    available = [runtime for runtime in runtimes if runtime.name not in missing]
    if not available:
        raise InputError("no runtime is available here; `python -m runtimes` says why")
    return available
