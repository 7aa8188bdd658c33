"""A check of a folder to ship as a function, which the command and `import vitbench` call."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from convert.artifact import MANIFEST, Artifact
from convert.common import commands
from convert.common.console import say
from convert.common.errors import CheckFailed, InputError, listing, told
from convert.precision.table import PRECISIONS
from runtimes.base import Runtime
from runtimes.options import Selection, precisions, select
from runtimes.records import store
from runtimes.records.blank import arguments
from runtimes.records.kinds import Parity
from runtimes.system import environment
from validate.parity.check import Case
from validate.parity.table import show
from validate.ship import proof, registry
from validate.ship.proof import Proof


def held(
    folder: Path,
    named: str | None = None,
    precision: str | None = None,
    batches: Sequence[int] | None = None,
    out: Path | None = None,
    **given: Any,
) -> list[Parity]:
    """Hold a folder against the proof that it carries: a record for each runtime, stored where `out` is given.

    named: runtimes, as `--runtime` has them; None for the one that the folder is for. precision: None for the folder's.
    batches: None for those that were proven. given: the rest of what `select` takes. CheckFailed where a file is not as
    it was written; InputError where the folder is none, or cannot be checked as it is asked for. Whether a record
    passed is left to `conclude`.
    """
    artifact = proof.opened(folder)
    if damage := artifact.damage():
        raise CheckFailed(f"{folder}: {told(damage)}; copy it again")
    carried = proof.read(artifact)
    say(f"{folder}: {len(artifact.manifest.files)} files are as they were written")
    if others := _unknown(artifact):
        say(f"{folder}: {listing(others)}: nothing is known of it, it was not shipped with the folder")
    selection = select(named or _runtime(artifact), **given)
    for runtime in selection.runtimes:
        if reason := runtime.cannot_load(artifact):
            raise InputError(f"{folder}: {reason}; leave --runtime out for the one that does")
    asked = _precision(artifact, precision)
    sizes = tuple(batches or carried.said.batches)
    if reason := artifact.no_batch(*sizes):
        raise InputError(f"{folder}: {reason}")
    made = []
    for runtime in selection.runtimes:
        record = _checked(artifact, carried, selection, runtime, asked, sizes)
        batch = ",".join(map(str, batches)) if batches else None
        options = {**selection.arguments([runtime]), "precision": precision, "batch": batch}
        command = shlex.join([*commands.words("validate.check"), str(folder), *arguments(options)])
        made.append(replace(record, command=command))
    show(made)
    if out:
        environment.save(out)
        for record in made:
            store.append(out, record)
    return made


def _unknown(artifact: Artifact) -> list[str]:
    """Files in the folder of which the manifest has no hash."""
    names = (path.relative_to(artifact.path).as_posix() for path in sorted(artifact.path.rglob("*")) if path.is_file())
    own = (MANIFEST, "parity.jsonl")
    return [one for one in names if one not in (*own, *artifact.manifest.files) and not one.startswith("cache/")]


def _runtime(artifact: Artifact) -> str:
    """The runtime that a folder's target names. InputError where there is none."""
    found = registry.found().get(str(artifact.form))
    if found is None:
        raise InputError(f"{artifact.path}: it is for {artifact.form}, which this vitbench does not know: update it")
    if found.runtime is None:
        raise InputError(f"{artifact.path}: {found.why_none}")
    return found.runtime


def _precision(artifact: Artifact, asked: str | None) -> str:
    """The precision to check in. InputError for one that the folder does not hold."""
    if asked is None:
        return artifact.precision
    (found, *more) = precisions(asked)
    if more or PRECISIONS[found].artifact != artifact.precision:
        raise InputError(f"--precision {asked}: {artifact.path} holds {artifact.precision}")
    return found


def _checked(
    artifact: Artifact, carried: Proof, selection: Selection, runtime: Runtime, precision: str, batches: tuple[int, ...]
) -> Parity:
    """The record of one of the runtimes, its command still empty."""
    options = selection.options(runtime, precision, artifact.sizes(batches))
    record = proof.held(Case(artifact, runtime, options, carried.inputs, batches, carried.reference))
    bounds, proven = record.tolerance, carried.said.tolerance
    if precision == artifact.precision and bounds and bounds.factor != proven.factor:
        say(f"{artifact.path}: it was proven with a factor of {proven.factor}, and is held to {bounds.factor} here")
    return record
