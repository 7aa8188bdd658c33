"""Which runtimes there are. Adapters are imported when they are asked for, so a missing package costs nothing."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from convert.common import worker
from convert.common.errors import InputError
from runtimes import adapters
from runtimes.base import Options, Runtime, UnavailableError, finds

ENTRY_POINTS = "vitbench.runtimes"

Settings = Mapping[str, Mapping[str, str]]  # of runtimes, by their names (`Options.extra`)


@functools.cache
def _found() -> dict[str, Runtime]:
    """Every adapter by its name: those of `runtimes/adapters/`, and those that other packages bring."""
    own = [importlib.import_module(f"{adapters.__name__}.{m.name}") for m in pkgutil.iter_modules(adapters.__path__)]
    runtimes = [(runtime, module.__name__) for module in own for runtime in module.RUNTIMES]
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        runtimes.append((_load(entry), entry.value))
    named: dict[str, tuple[Runtime, str]] = {}
    for runtime, source in runtimes:
        other = named.setdefault(runtime.name, (runtime, source))[1]
        if other != source:
            raise InputError(f"{source} and {other} both bring a runtime called {runtime.name}: uninstall one of them")
    return {name: runtime for name, (runtime, _) in sorted(named.items(), key=lambda item: item[1][0].order)}


def _load(entry: importlib.metadata.EntryPoint) -> Runtime:
    """What an entry point names. One that cannot be loaded is a runtime that is unavailable, with the reason."""
    try:
        runtime = entry.load()
        if not isinstance(runtime, Runtime):
            raise TypeError(f"{entry.value} is no runtimes.base.Runtime")
        return runtime
    except Exception as error:
        reason = f"its adapter {entry.value} cannot be loaded: {type(error).__name__}: {error}"

        def refuse() -> list[str]:
            raise UnavailableError(reason)

        return Runtime(entry.name, "runtimes", (entry.name,), (), refuse, lambda artifact, options: refuse())  # type: ignore[arg-type,return-value]


def names() -> list[str]:
    """Every runtime that has an adapter, available here or not, in the order of columns in reports."""
    return list(_found())


def get(name: str) -> Runtime:
    """The adapter of that name. InputError when there is none."""
    if name not in _found():
        raise InputError(f"unknown runtime {name}; there are {', '.join(names())}")
    return _found()[name]


def reference() -> Runtime:
    """The runtime that the others are held against."""
    return next(runtime for runtime in _found().values() if runtime.reference)


def examine(chosen: list[str], settings: Settings | None = None) -> dict[str, dict[str, Any]]:
    """The state of runtimes by name: name, available, reason (None when available), version, distribution (what pip
    calls what is installed), devices, precisions, lacks (those that this machine does not give it, and why), options
    (each setting in a line). settings: some are there only with them.

    They are imported in a process of its own: a broken one may crash, and Paddle takes seconds and changes logging.
    """
    try:
        states: dict[str, dict[str, Any]] = worker.call(
            "runtimes.registry:_examine", {"names": chosen, "settings": settings or {}}
        )
        return states
    except worker.JobError as error:
        if len(chosen) == 1:
            return {chosen[0]: {**_blank(chosen[0]), "reason": f"it cannot be loaded: {error}"}}
        return {name: examine([name], settings)[name] for name in chosen}  # one of them crashed: find out which


def _examine(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    states = {}
    for name in job["names"]:
        runtime = get(name)
        reason = runtime.unavailable(Options(extra=job["settings"].get(name, {})))
        found: dict[str, Any] = {
            "available": reason is None,
            "reason": reason,
            "devices": [] if reason else runtime.devices(),
        }
        lacks = {} if reason else dict(runtime.lacks())
        found |= {"lacks": lacks, "precisions": [one for one in runtime.precisions if one not in lacks]}
        states[name] = {**_blank(name), **found}
    return states


def _blank(name: str) -> dict[str, Any]:
    runtime = get(name)
    return {
        "name": name,
        "available": False,
        "reason": None,
        "version": runtime.version(),
        "distribution": runtime.distribution(),
        "devices": [],
        "precisions": list(runtime.precisions),
        "lacks": {},
        "options": {
            key: f"{s.choice} (default {s.default or 'none'}): {s.help}" for key, s in runtime.settings.items()
        },
    }


def available(
    chosen: Sequence[str] | None, device: str | None = None, settings: Settings | None = None
) -> list[Runtime]:
    """The chosen runtimes, each of which must be available (None: all that are), with this machine's precisions.

    device: one that they must find; None takes each one's own. settings: those that they are given. InputError when a
    runtime is unknown or missing, with the reason, or when there is none at all.
    """
    runtimes = [get(name) for name in (names() if chosen is None else chosen)]
    if not runtimes:
        raise InputError(f"no runtime given; there are {', '.join(names())}")
    states = examine([runtime.name for runtime in runtimes], settings)
    lacking = {name: reason for name, state in states.items() if (reason := missing(state, device))}
    if chosen is not None:
        for name, reason in lacking.items():
            raise InputError(f"runtime {name} is not available: {reason}")
    found = [
        replace(runtime, precisions=tuple(states[runtime.name]["precisions"]))
        for runtime in runtimes
        if runtime.name not in lacking
    ]
    if not found:
        raise InputError(
            f"no runtime is available here{f' on {device}' if device else ''}; `python -m runtimes` says why"
        )
    return found


def missing(state: Mapping[str, Any], device: str | None) -> str | None:
    """Why a machine whose `examine` says this has no such runtime, or not on a device, in a sentence."""
    if not state["available"]:
        return str(state["reason"])
    if device and not finds(state["devices"], device):
        return f"it finds no device {device}, only {', '.join(state['devices'])}"
    return None
