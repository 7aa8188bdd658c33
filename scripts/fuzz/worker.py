"""Where inputs are looked at: a process with a limit of memory, which the next one replaces when it dies."""

from __future__ import annotations

import importlib
import os
import pkgutil
import random
import resource
import shutil
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from scripts.fuzz import mutations, targets
from scripts.fuzz.target import HOSTILE_MARK, Target

LIMIT_S = 5.0  # of the processor, above what the good input takes
OK, REFUSED = "ok", "refused"
BELIEVED, HANG, MEMORY, TRACEBACK, CRASH = FAULTS = "believed", "hang", "memory", "traceback", "crash"


def known() -> dict[str, Target]:
    """Every target by its name, in the order of the files."""
    modules = [
        importlib.import_module(f"{targets.__name__}.{one.name}") for one in pkgutil.iter_modules(targets.__path__)
    ]
    return {target.name: target for module in modules for target in module.TARGETS}


def serve(payload: Mapping[str, Any], messages: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Make good inputs, then look at one for each message, which is its name.

    payload: `target`, and the folders `good` and `work`; what is looked at stays in `work` until the next one.
    """
    target, good, work = known()[payload["target"]], Path(payload["good"]), Path(payload["work"])
    if not good.exists():
        good.mkdir(parents=True)
        target.make(good)
    first: dict[str, tuple[Any, float]] = {}
    for folder in sorted(good.iterdir()):
        said, found, seconds = _look(target, _copy(folder, work))
        if said != OK:
            raise AssertionError(f"{target.name}: the good input {folder.name} is {said}: {found}")
        first[folder.name] = found, seconds
    _limit_memory(target.memory_gb)
    yield {"hostile": list(target.hostile)}
    for name in messages:
        yield _one(target, good, work, name, first)


def _one(target: Target, good: Path, work: Path, name: str, first: Mapping[str, tuple[Any, float]]) -> dict[str, Any]:
    chance = random.Random(name)  # noqa: S311 - the same input for the same name
    folder = chance.choice(sorted(good.iterdir()))
    case = _copy(folder, work)
    if name in target.hostile:
        (case / target.single).write_bytes(target.hostile[name]())
        (case / HOSTILE_MARK).touch()
    else:
        files = [file for file in sorted(case.rglob("*")) if file.is_file() and target.mutable(file)]
        suffix = chance.choice(sorted({file.suffix for file in files}))  # of many photos and one list, often the list
        mutations.mutate(chance.choice([file for file in files if file.suffix == suffix]), chance)
    said, found, seconds = _look(target, case)
    value, usual = first[folder.name]
    if said == OK and target.told(case) and not target.same(found, value):
        said, found = BELIEVED, f"{found}\ninstead of\n{value}"
    if said in (OK, REFUSED) and seconds > LIMIT_S + 2 * usual:
        said, found = HANG, f"{seconds:.1f} s of the processor"
    return {"said": said, "found": str(found)[-6000:]}


def _copy(folder: Path, work: Path) -> Path:
    shutil.rmtree(work, ignore_errors=True)
    return Path(shutil.copytree(folder, work / folder.name))


def _look(target: Target, case: Path) -> tuple[str, Any, float]:
    """What came of an input, how, and the seconds of the processor that it took."""
    start = sum(os.times()[:4])
    try:
        said, found = OK, target.look(case)
    except MemoryError:
        said, found = MEMORY, traceback.format_exc()
    except (click.ClickException, OSError) as error:  # the boundary of the commands makes one line of either
        said, found = REFUSED, str(error)
    except Exception:
        said, found = TRACEBACK, traceback.format_exc()
    return said, found, sum(os.times()[:4]) - start


def _limit_memory(gigabytes: float) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
