"""What a target is."""

from __future__ import annotations

import contextlib
import io
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

HOSTILE_MARK = "hostile"  # a file beside those of `Target.hostile`


def _everything(file: Path) -> bool:
    return True


def _never(folder: Path) -> bool:
    return False


@dataclass(frozen=True)
class Target:
    """A kind of input.

    make: given an empty folder, writes good inputs into it, each a folder of its own. look: has vitbench read the one
    in a folder, and returns what it came to; InputError or CheckFailed where it refuses. mutable: which of its files
    are changed. told: whether a changed input has something by which vitbench knows that it was changed; then it must
    refuse it, or come to the same as before; same: whether it did, given both. hostile: names of whole files, and what
    they hold, in place of `single`. memory_gb: above what the process has when it begins; its children have as much.
    """

    name: str
    make: Callable[[Path], None]
    look: Callable[[Path], Any]
    mutable: Callable[[Path], bool] = _everything
    told: Callable[[Path], bool] = _never
    hostile: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    single: str = ""
    same: Callable[[Any, Any], bool] = operator.eq
    memory_gb: float = 1.0


def run(command: click.Command, *words: str | Path) -> None:
    """A command of vitbench in this process, without what it prints. Raises what it ends with."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        status = command.main([str(word) for word in words], standalone_mode=False)
    if status:
        raise click.ClickException(f"exit status {status}")
