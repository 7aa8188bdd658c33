"""Which ways out there are: the files in `targets/`."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from convert.common.errors import InputError
from validate.ship import targets
from validate.ship.target import Target


@functools.cache
def found() -> dict[str, Target]:
    """Every target by its name, in the order of lists."""
    modules = [importlib.import_module(f"{targets.__name__}.{m.name}") for m in pkgutil.iter_modules(targets.__path__)]
    everyone: list[Target] = [target for module in modules for target in module.TARGETS]
    return {target.name: target for target in sorted(everyone, key=lambda one: (one.order, one.name))}


def get(name: str) -> Target:
    """The target of that name. InputError when there is none."""
    if name not in found():
        raise InputError(f"--to {name}: there are {', '.join(found())}")
    return found()[name]
