"""Parity of an artifact on some runtimes: checked, recorded, and kept where it fails.

What the command does, as a function: `run` takes a ParityRequest and a results folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from convert.artifact import Artifact, load
from convert.common.console import say
from convert.common.errors import CheckFailed, InputError
from convert.common.progress import bar
from convert.images.inputs import Inputs
from convert.model_options import ModelOptions
from convert.precision.table import FP32, INT8
from runtimes import registry
from runtimes.base import Runtime
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.schedule import parity
from runtimes.options import Selection
from runtimes.records import blank as blanks
from runtimes.records import remarks, store
from runtimes.records.kinds import Parity
from runtimes.system import environment
from validate.parity import failure_folder, reference
from validate.parity.check import Case, Checked, Run, check
from validate.parity.inputs import InputOptions
from validate.parity.openings import Openings
from validate.parity.took import Took
from validate.ship import proof

_PLAIN = "--option paddle.kernels=plain"


@dataclass(frozen=True)
class ParityRequest:
    """What is to be checked.

    argument, chosen: the model and its options as the user gave them, for the command of the record. selection: the
    runtimes, and what their sessions are asked for. batches: sizes to check; each image goes alone too.
    """

    argument: str
    chosen: ModelOptions
    artifact: Artifact
    precision: str
    selection: Selection
    batches: tuple[int, ...]
    images: InputOptions = field(default_factory=InputOptions)


def run(request: ParityRequest, folder: Path) -> Iterator[Parity]:
    """Check each of the runtimes that have the precision; yields its record, appended to the results folder.

    A failure leaves a folder there that reproduces it. Where Paddle with oneDNN does not run the model, its plain
    kernels are checked too, in a record of their own. CheckFailed when Paddle itself does not run the model.
    """
    artifact, selection, took = request.artifact, request.selection, Took()
    sizes = artifact.sizes(request.batches)
    cells = [
        Cell(request.argument, artifact, runtime, request.precision, options, max(sizes))
        for runtime in selection.having(request.precision, artifact)
        for options in [selection.options(runtime, request.precision, sizes)]
    ]
    with Openings(cells) as openings:
        openings.begin(2)
        with took.by("images"):
            inputs = images(request)
        with took.by("reference"):
            truth = proof.read(artifact).reference if artifact.form else reference.obtain(artifact, inputs)

        def checked(asked: ParityRequest, cell: Cell, infer: Run | None = None) -> Parity:
            case = Case(artifact, cell.runtime, cell.options, inputs, request.batches, truth)
            with (
                took.by(cell.runtime.name),
                bar(f"parity of {artifact.model} {request.precision} on {cell.runtime.name}", None),
            ):
                found = check(case, infer)
            record = replace(found.record, command=command(asked, found.record.runtime))
            if record.passed is False:
                record = replace(record, failure_folder=keep(folder, case, found))
            environment.save(folder)
            store.append(folder, record)
            return record

        for cell in cells:
            record = checked(request, cell, openings.run)
            for remark in remarks.of(record):
                say(f"{record.model} {record.precision} on {record.runtime}, its processor: {remark}")
            yield record
            plain = _with_plain_kernels(request, cell.runtime)
            if plain and record.nonfinite is None:
                say(f"{record.model}: {record.runtime} does not run it with oneDNN: tried with {_PLAIN} as well")
                options = plain.selection.options(cell.runtime, request.precision, sizes)
                yield checked(plain, replace(cell, options=options))
    say(f"parity of {artifact.model} {request.precision} took {took}")


def _with_plain_kernels(request: ParityRequest, runtime: Runtime) -> ParityRequest | None:
    """The same of Paddle without oneDNN, which lacks operators that Paddle has; None where that is no other check."""
    selection = request.selection
    settings = selection.settings.get(runtime.name, {})
    if not runtime.reference or settings.get("kernels") == "plain" or request.precision != FP32:
        return None
    changed = {**selection.settings, runtime.name: {**settings, "kernels": "plain"}}
    return replace(request, selection=replace(selection, settings=changed))


def prove(cells: Sequence[Cell], folder: Path) -> None:
    """Check cells of one model, precision and device, as the bench asks for it (`runtimes.bench.schedule.parity`).

    Why there is no record, where there is none, is said on standard error: the bench refuses the cell.
    """
    first = cells[0]
    wanted = parity.selection(cells)
    request = ParityRequest(
        first.argument, first.chosen, first.artifact, first.precision, wanted, first.options.batches
    )
    try:
        for record in run(request, folder):
            for hint in hints(request, record, folder) if record.passed is False else []:
                say(hint)
    except (CheckFailed, InputError) as error:
        say(error.message)


def refer(path: str) -> None:
    """Have the reference that `prove` needs of an artifact kept beside it, for machines that cannot compute it.

    path: the artifact's folder. InputError and CheckFailed as `reference.obtain`.
    """
    artifact = load(Path(path))
    try:
        reference.obtain(artifact, InputOptions().load(artifact, edge_cases=artifact.precision != INT8))
    except CheckFailed as error:
        raise InputError(error.message) from None  # it is told in another process


def images(request: ParityRequest) -> Inputs:
    """The images to check on, edge cases among them but for int8.

    Its scales end where the calibration images did, and no photo is a checkerboard. A folder to ship has its own.
    """
    if request.artifact.form:
        if request.images != InputOptions():
            raise InputError(f"{request.artifact.path}: it carries the images that it is held to: leave --inputs out")
        return proof.read(request.artifact).inputs
    return request.images.load(request.artifact, edge_cases=request.artifact.precision != INT8)


def command(request: ParityRequest, runtime: str, module: str = "validate.parity") -> str:
    """The command that checks one of the runtimes again; with module validate.bisect, that says where it breaks."""
    chosen = [one for one in request.selection.runtimes if one.name == runtime]
    images = request.images
    checked = {"batch": ",".join(map(str, request.batches)), "inputs": images.photos, "limit": images.limit}
    return blanks.command(
        module,
        request.argument,
        request.artifact,
        request.chosen,
        precision=request.precision,
        **request.selection.arguments(chosen),
        **(checked if module == "validate.parity" else {"inputs": images.photos}),
    )


def keep(folder: Path, case: Case, checked: Checked) -> str | None:
    """Where a failure can be reproduced, relative to the results folder. A record must not be lost for want of it."""
    try:
        return failure_folder.write(folder, case, checked).relative_to(folder).as_posix()
    except InputError as error:
        say(f"the failure is not kept: {error.message}")
        return None


def conclude(made: Sequence[Parity], named: bool, what: str = "parity") -> None:
    """CheckFailed when a check failed. InputError for what nobody has that was asked for by name, or where nothing else
    was checked. what: the beginning of the message of the first."""
    failed = [f"{r.model} {r.precision} on {r.runtime}: {r.reason}" for r in made if r.passed is False]
    if failed:
        raise CheckFailed(f"{what}: " + "; ".join(failed))
    refused = [f"{r.model} {r.precision}: {r.reason}" for r in made if r.status == "refused"]
    if refused and (named or len(refused) == len(made)):
        raise InputError("; ".join(dict.fromkeys(refused)))


def hints(request: ParityRequest, record: Parity, folder: Path) -> list[str]:
    """What to do about a failure: where it breaks, and the command that reproduces it alone."""
    subject = f"{record.model} on {record.runtime}"
    found = []
    ran = record.nonfinite is not None
    if ran and registry.get(record.runtime).reads != "neither":  # what a server has cannot be cut
        chosen = request.chosen  # beside --onnx its name is that of the file, and bisect's model is the Paddle one
        asked = replace(request, chosen=replace(chosen, name=None)) if chosen.onnx else request
        found.append(f"{subject}, where it breaks: {command(asked, record.runtime, 'validate.bisect')}")
    if record.failure_folder:
        found.append(f"{subject}, again: {failure_folder.command(folder / record.failure_folder)}")
    return found
