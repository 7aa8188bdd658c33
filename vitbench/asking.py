"""From the arguments of functions to what commands are given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from convert import cli
from convert.artifact import Artifact
from convert.build import Request
from convert.cli import Asked
from convert.common.errors import InputError
from convert.model_options import ModelOptions

PathLike = str | os.PathLike[str]


def joined(name: str, values: Sequence[str] | None) -> str | None:
    """`a,b`, as an option has it; None for None. InputError for a text where a list is needed."""
    if isinstance(values, str):
        raise InputError(f"{name}: a list is needed, as [{values!r}]")
    return None if values is None else ",".join(values)


def path(given: PathLike | None) -> Path | None:
    """A path, or None for None."""
    return None if given is None else Path(given)


def several(artifacts: Artifact | Iterable[Artifact]) -> list[Artifact]:
    """One artifact or several as a list. InputError for none."""
    found = [artifacts] if isinstance(artifacts, Artifact) else list(artifacts)
    if not found:
        raise InputError("no artifact given")
    return found


def root(artifact: Artifact) -> Path:
    """The folder of artifacts that one is in."""
    return artifact.path.parents[1]


def asked(artifact: Artifact) -> Asked:
    """What a command has to be given to mean an artifact: MODEL, and what is said of it besides.

    InputError where nothing means it: it is not there any more, or was made again.
    """
    source = artifact.manifest.defined_in or (artifact.spec.name if artifact.spec else artifact.model)
    said = artifact.arguments(ModelOptions())["preprocessing"]
    for argument, name in ((source, None), (source, artifact.model), (artifact.model, None)):
        wanted = Request(argument, precision=artifact.precision, root=root(artifact), name=name, preprocessing=said)
        try:
            found = cli.there(wanted)
        except InputError:  # that is another model, or none
            continue
        if found and found.sha256 == artifact.sha256:
            return Asked(argument, ModelOptions(name=name, preprocessing=said), artifact)
    raise InputError(f"{artifact.path}: it is not there any more as it was: convert it again")
