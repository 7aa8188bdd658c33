"""Folders that commands write into: looked at before the work begins, so that none is lost at its end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from convert.common.errors import InputError


class FolderToWrite(click.Path):
    """The type of an option. InputError where the folder is a file or below one, or may not be written to.

    perhaps: nothing may have to be written, so that a read-only folder will do.
    """

    def __init__(self, perhaps: bool = False) -> None:
        super().__init__(path_type=Path)
        self._perhaps = perhaps

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        refuse(path, f"{param.opts[0]} {path}" if param and param.opts else str(path), self._perhaps)
        return path


def refuse(path: Path, what: str, perhaps: bool = False) -> None:
    """InputError, beginning with `what`, where a folder can neither be nor be made at a path."""
    try:
        nearest = next(one for one in (path, *path.absolute().parents) if _is_there(one))
        folder = nearest.is_dir()
    except (OSError, ValueError) as error:  # too long a name, a null byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{what}: no folder can have this name ({str(reason).lower()})") from None
    if not folder:
        there = "that" if nearest == path else str(nearest)
        kind = "a link to nothing" if nearest.is_symlink() and not nearest.exists() else "a file"
        raise InputError(f"{what}: {there} is {kind}, and a folder is needed; choose another name")
    if not perhaps and not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"{what}: {nearest} cannot be written to; choose another folder, or change its permissions")


def _is_there(path: Path) -> bool:
    """Whether something has this name, be it a link to nothing. OSError for what can be no name."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
