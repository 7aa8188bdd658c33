"""`python -m validate.check`: does a folder to ship compute here what Paddle computes? No Paddle is needed for it."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from convert.artifact import MANIFEST, Artifact
from convert.common import commands
from convert.common.boundary import BoundedCommand
from convert.common.console import say, say_json
from convert.common.errors import CheckFailed, InputError, listing
from convert.precision.table import PRECISIONS
from runtimes.base import Runtime
from runtimes.options import Selection, numbers, precisions, select, session_flags
from runtimes.records import store
from runtimes.records.blank import arguments
from runtimes.records.kinds import Parity
from runtimes.records.reading import to_table
from runtimes.system import environment
from validate.parity.check import Case
from validate.parity.run import conclude
from validate.parity.table import show
from validate.ship import proof, registry
from validate.ship.proof import Proof


@click.command(cls=BoundedCommand)
@click.argument("folder", type=click.Path(path_type=Path))
@session_flags
@click.option("--precision", help="As tf32, of an fp32 folder.  [default: the folder's]")
@click.option("--batch", help="Batch sizes, comma-separated.  [default: those that were proven]")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output, nothing else there.")
def main(
    folder: Path,
    named: str | None,
    precision: str | None,
    batch: str | None,
    as_json: bool,
    out: Path | None,
    **given: Any,
) -> None:
    """Hold a folder of `vitbench export` against the proof that it carries.

    First the sha256 of every file, then what a runtime of this machine computes of the inputs in proof/, against
    Paddle's logits in float64. It needs neither Paddle nor a network. Exit status: 0 it holds; 1 a file was changed or
    the logits are another model's; 2 the folder or the usage is wrong, or the runtime is missing.

    \b
    python -m validate.check shipped/vit/fp32/onnx
    python -m validate.check shipped/vit/fp32/onnx --runtime ort-cuda
    """
    if out:
        click.get_current_context().with_resource(store.alone(out))
    artifact = proof.opened(folder)
    if damage := artifact.damage():
        raise CheckFailed(f"{folder}: {damage}; copy it again")
    carried = proof.read(artifact)
    say(f"{folder}: {len(artifact.manifest.files)} files are as they were written")
    if others := _unknown(artifact):
        say(f"{folder}: {listing(others)}: nothing is known of it, it was not shipped with the folder")
    selection = select(named or _runtime(artifact), **given)
    for runtime in selection.runtimes:
        if reason := runtime.cannot_load(artifact):
            raise InputError(f"{folder}: {reason}; leave --runtime out for the one that does")
    asked = _precision(artifact, precision)
    batches = tuple(numbers("--batch", batch)) if batch else carried.said.batches
    if reason := artifact.no_batch(*batches):
        raise InputError(f"{folder}: {reason}")
    made = []
    for runtime in selection.runtimes:
        record = _checked(artifact, carried, selection, runtime, asked, batches)
        options = {**selection.arguments([runtime]), "precision": precision, "batch": batch}
        command = shlex.join([*commands.words("validate.check"), str(folder), *arguments(options)])
        made.append(replace(record, command=command))
    show(made)
    if out:
        environment.save(out)
        for record in made:
            store.append(out, record)
    if as_json:
        say_json({"records": [to_table(record) for record in made]})
    conclude(made, selection.named, str(folder))


# Where the options that other commands share mean something else here.
_HELP = {
    "named": "Runtimes, comma-separated.  [default: the one that the folder is for]",
    "cache": "Folder for engines and compiled models.  [default: a temporary one]",
    "out": "Results folder to store the records in.  [default: none]",
}
for _option in main.params:
    if isinstance(_option, click.Option):
        _option.help = _HELP.get(str(_option.name), _option.help)


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
    artifact: Artifact,
    carried: Proof,
    selection: Selection,
    runtime: Runtime,
    precision: str,
    batches: tuple[int, ...],
) -> Parity:
    """The record of one of the runtimes, its command still empty."""
    options = selection.options(runtime, precision, artifact.sizes(batches))
    record = proof.held(Case(artifact, runtime, options, carried.inputs, batches, carried.reference))
    bounds, proven = record.tolerance, carried.said.tolerance
    if precision == artifact.precision and bounds and bounds.factor != proven.factor:
        say(f"{artifact.path}: it was proven with a factor of {proven.factor}, and is held to {bounds.factor} here")
    return record


if __name__ == "__main__":
    main(prog_name="python -m validate.check")
