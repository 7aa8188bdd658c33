"""A model in a runtime's own form, made in a process of its own and kept: whole, or made again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convert.artifact import Artifact
from convert.common import worker
from convert.common.disk.files import new_folder, write_json
from convert.common.errors import is_full
from runtimes.base import UnavailableError

MADE = "made.json"  # in the folder: what whoever made it says of it, and the bytes of each file


def make(
    folder: Path, target: str, job: Mapping[str, Any], what: str, environment: Mapping[str, str] | None = None
) -> None:
    """Call `target` (`module:function`) with the job and the folder to fill, which takes its place when it is whole.

    what: whose form, for the message. environment: as `worker.call` takes it.
    worker.JobError as the function ended; UnavailableError where it cannot be written.
    """
    try:
        with new_folder(folder) as work:
            worker.call(target, {**job, "folder": str(work)}, environment=environment)
    except OSError as error:
        if is_full(error):
            raise
        raise UnavailableError(f"the model as {what} needs it cannot be written: {error}") from None


def seal(folder: Path, made: Mapping[str, Any]) -> None:
    """Write MADE, when every other file is there."""
    write_json(folder / MADE, {**made, "bytes": {file.name: file.stat().st_size for file in folder.iterdir()}})


def read(folder: Path) -> dict[str, Any]:
    """What MADE says of a folder that is whole."""
    found: dict[str, Any] = json.loads((folder / MADE).read_text(encoding="utf-8"))
    return found


def whole(folder: Path) -> bool:
    """Whether every file is there to the last byte: where weights are missing MNN, for one, computes with zeros."""
    try:
        return all((folder / name).stat().st_size == size for name, size in read(folder)["bytes"].items())
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return False


def shipped(artifact: Artifact, form: str) -> Path | None:
    """The folder of an artifact that was shipped in a form; None of any other artifact. UnavailableError when it is not
    whole."""
    if artifact.form != form:
        return None
    if not whole(artifact.path):
        raise UnavailableError(f"{artifact.path}: not every file of the model in {form}'s form is there")
    return artifact.path
