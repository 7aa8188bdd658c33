"""Whether artifacts may be made: a plan is shown without making any."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from convert.common.errors import InputError

_MAY = ContextVar("may", default=True)


class NotConvertedError(InputError):
    """An artifact would have to be made, where nothing is to be made."""


@contextmanager
def nothing() -> Iterator[None]:
    """While the block runs, whatever would make an artifact raises NotConvertedError."""
    before = _MAY.set(False)
    try:
        yield
    finally:
        _MAY.reset(before)


def refuse(target: Path) -> None:
    """NotConvertedError inside a block of `nothing`."""
    if not _MAY.get():
        raise NotConvertedError(f"{target}: not converted yet")
