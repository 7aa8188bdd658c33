"""The best that this machine ever reached, kept in the user's cache.

A ceiling is a best: the fastest repetition of the fastest shape, over all measurements that were ever made here. A
report says what share of it a cell reaches, and no cell can exceed it.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import platformdirs

from convert.common import typed
from convert.common.disk.files import write_json
from runtimes.bench.ceiling.measure import SECONDS, measure
from runtimes.bench.ceiling.reach import Ceiling, merge
from runtimes.system import disturbance, environment

# A virtual machine may be slowed down by its neighbours while it measures: the best of three occasions is kept.
OCCASIONS = 3
# One that is never quiet must not pay for it at each run: after so many it is looked at for a moment, and measured
# where it is quiet at last.
MOST_TRIES = 6
_LOOK_S = 0.2
_FORMAT = 1


def known(fresh: bool = False, seconds: float = SECONDS, file: Path | None = None) -> Ceiling:
    """The ceiling of this machine: measured on the first three quiet occasions, or the first six of any kind and the
    first quiet one, and then as the user's cache has it.

    fresh: measure in any case. file: where it is kept, by default by the machine's key.
    """
    file = file or _file()
    kept = read(file)
    if kept and not fresh and not _due(kept):
        return kept
    new = measure(seconds)
    found = merge(kept, new) if kept else new
    found = replace(found, disturbed=_doubt(found))
    with contextlib.suppress(OSError):  # what cannot be kept is measured again
        write_json(file, {"format": _FORMAT, **typed.table(found)})
    return found


def forget(file: Path | None = None) -> None:
    """Begin anew: what was the best on this machine may be so no more (a new power limit, another cooler)."""
    (file or _file()).unlink(missing_ok=True)


def read(file: Path | None = None) -> Ceiling | None:
    """A measurement that `known` kept; None where there is none, or a damaged one."""
    try:
        table = json.loads((file or _file()).read_text(encoding="utf-8"))
        return typed.read(Ceiling, table) if table["format"] == _FORMAT else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def stated() -> dict[str, Any]:
    """What environment.json says of it, as far as it was measured."""
    found = read()
    return {"ceiling": typed.table(found)} if found else {}


def _due(kept: Ceiling) -> bool:
    if kept.tries < MOST_TRIES:
        return kept.occasions < OCCASIONS
    return not kept.occasions and _quiet()


def _quiet() -> bool:
    before = disturbance.read()
    time.sleep(_LOOK_S)
    load = disturbance.difference(before, disturbance.read()).foreign_load
    return load is not None and load <= disturbance.TOLERABLE_FOREIGN


def _doubt(found: Ceiling) -> str | None:
    if found.occasions:
        return None
    return f"never measured undisturbed: others took {found.foreign_load or 0:.0%} of the processor, so it is too low"


def _file() -> Path:
    key = environment.machine_key(environment.describe())
    return platformdirs.user_cache_path("vitbench") / "ceiling" / f"{key}.json"
