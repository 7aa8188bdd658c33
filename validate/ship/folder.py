"""A folder to ship: made from an artifact that passed parity, and loaded again before it takes its place."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.common.console import say
from convert.common.disk.files import new_folder, write_text
from convert.common.errors import CheckFailed, InputError
from convert.common.progress import bar
from convert.common.worker import JobError
from convert.images.inputs import Inputs
from convert.manifest import Manifest
from convert.model_options import ModelOptions
from runtimes import registry
from runtimes.base import Options, Runtime, UnavailableError
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.schedule import parity
from runtimes.options import Selection
from runtimes.records import blank as blanks
from runtimes.records.kinds import Latency, Parity
from runtimes.system import environment
from validate.parity import reference
from validate.parity.check import Case
from validate.parity.reference import Reference
from validate.parity.run import ParityRequest, command
from validate.parity.tolerances import tolerance
from validate.ship import proof, readme
from validate.ship.proof import ProofFile, Shown
from validate.ship.target import LABELS, README, Target

# An absolute path, to the end of a word that is no path any more; a URL has two slashes, which no path of ours has.
_PATH = re.compile(r"(?<![\w:/.-])/(?:[^/\n;,\"']+/)*([^/\s;,\"']+)")


@dataclass(frozen=True)
class Labels:
    """Class names in the order of the classes, and where they come from, in words."""

    names: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class Cargo:
    """What is shipped, whatever the target. argument, chosen: the model as the user named it.

    inputs, truth: what it is proven on. batches: sizes that are checked, upwards, 1 among them where the model takes
    it. photos: whether the user gave images, so that an earlier check on others does not do. labels: None where the
    class names are not known. proven: the artifact's own parity by runtime, as it becomes known.
    """

    argument: str
    chosen: ModelOptions
    artifact: Artifact
    inputs: Inputs
    truth: Reference
    batches: tuple[int, ...]
    photos: bool
    labels: Labels | None
    proven: dict[str, Parity] = field(default_factory=dict)

    @property
    def precision(self) -> str:
        return self.artifact.precision


@dataclass(frozen=True)
class Made:
    """A folder that was written. reloaded: the check of its own files; None where no runtime here loads them."""

    path: Path
    target: Target
    reloaded: Parity | None


def make(cargo: Cargo, target: Target, settings: Mapping[str, str], out: Path) -> Made:
    """Write the folder of a target. out: the folder that holds those of all models.

    CheckFailed when parity does not hold, before or of what was written, and then nothing is; InputError when the
    artifact cannot be shipped this way, or something else is in the folder's place.
    """
    artifact = cargo.artifact
    if cargo.precision not in target.precisions:
        raise InputError(f"--to {target.name}: it carries {', '.join(target.precisions)}, and no {cargo.precision}")
    if reason := target.refusal(artifact, settings):
        raise InputError(f"--to {target.name}: {reason}")
    place = out / artifact.model / artifact.precision / target.name
    with new_folder(place, lambda path: _refuse_others(path, target, artifact)) as folder:
        before = proven(cargo, target)
        with bar(f"{artifact.model} for {target.name}", None):
            _write(cargo, target, settings, folder)
        shown = [Shown.of(before, "artifact")]
        # From here on only what the folder takes: what is known of the artifact was shown of every size.
        cargo = dataclasses.replace(cargo, batches=target.sizes(artifact, settings, cargo.batches))
        reloaded, server = _reloaded(cargo, target, settings, folder)
        if reloaded:
            shown.append(Shown.of(reloaded, "folder", server and _bare(server)))
        _finish(cargo, target, settings, folder, shown)
    return Made(place, target, reloaded)


def _reloaded(
    cargo: Cargo, target: Target, settings: Mapping[str, str], folder: Path
) -> tuple[Parity | None, str | None]:
    """The check of the folder's own files, and what server had loaded them, if one had; None where nothing here loads
    them, which is said."""
    runtime, what = _loads_again(target, cargo.precision), f"{target.name}: what was written"
    if runtime is None:
        return None, None
    if not runtime.elsewhere:
        return _held(cargo, artifacts.load(folder), runtime, what), None
    with ExitStack() as stack:
        try:
            server = stack.enter_context(target.serving(folder, settings))
        except UnavailableError as error:
            say(f"{target.name}: not loaded again: {error}")
            return None, None
        return _held(cargo, artifacts.load(folder), runtime, what, server.settings), server.told


def _refuse_others(path: Path, target: Target, artifact: Artifact) -> None:
    """InputError where a folder is not one that this command made for the same model and target."""
    if not any(path.iterdir()):
        return
    try:
        found = artifacts.load(path)
    except InputError:
        found = None
    if found is None or (found.form, found.model, found.precision) != (target.name, artifact.model, artifact.precision):
        raise InputError(
            f"{path}: it holds something else than {artifact.model} {artifact.precision} for {target.name}, which is"
            " not replaced; move it away, or choose another --out"
        )
    artifacts.refuse_others_files(path)


def proven(cargo: Cargo, target: Target) -> Parity:
    """The parity of the artifact on the target's runtime, or on another where that is not here, which is said.

    One that is kept beside the artifact does, unless the user's images are to be looked at. CheckFailed when it fails;
    InputError where no runtime here has the precision.
    """
    runtime = _prover(target, cargo.precision)
    if runtime.name not in cargo.proven:  # once for all targets that it proves
        cargo.proven[runtime.name] = _parity(cargo, runtime)
    return cargo.proven[runtime.name]


def _parity(cargo: Cargo, runtime: Runtime) -> Parity:
    options = _options(cargo, runtime)
    cell = Cell(cargo.argument, cargo.artifact, runtime, cargo.precision, options, max(cargo.batches))
    machine = environment.setting_key(environment.describe())
    blank = blanks.start(Latency, cargo.artifact, runtime, options, batch=cell.batch)
    if not cargo.photos and (kept := parity.recall(cell, blank, machine)):
        return kept[-1]
    record = _held(cargo, cargo.artifact, runtime, "parity")
    if not cargo.photos:
        parity.keep([cell], [record], machine)
    return record


def _prover(target: Target, precision: str) -> Runtime:
    """The target's runtime where it is here and has the precision, else another one that reads ONNX."""
    names = [target.runtime] if target.runtime else []
    others = [name for name in registry.names() if registry.get(name).reads == "onnx" and name not in names]
    for name in (*names, *others):
        runtime = registry.get(name)
        if precision in runtime.precisions and _state(name)["available"]:
            if target.runtime and name != target.runtime:
                say(f"{target.name}: parity is shown on {name}, since {target.runtime} does not run {precision} here")
            return runtime
    raise InputError(f"--to {target.name}: no runtime here runs {precision}, so that parity cannot be shown")


def _loads_again(target: Target, precision: str) -> Runtime | None:
    """The runtime that loads a target's folder again; None where there is none here, which is said."""
    if target.runtime is None:
        say(f"{target.name}: not loaded again: {target.why_none}")
        return None
    runtime = registry.get(target.runtime)
    if runtime.elsewhere:  # the server that it asks is yet to be started
        return runtime
    state = _state(target.runtime)
    reason = state["reason"] if precision in runtime.precisions else f"it has no {precision}"
    if not state["available"] or reason:
        say(f"{target.name}: not loaded again, since {target.runtime} is not available here: {reason}")
        return None
    return runtime


@functools.cache
def _state(name: str) -> dict[str, Any]:
    """Of a runtime, by a process that imports it: once for all targets of a command."""
    return registry.examine([name])[name]


def _options(cargo: Cargo, runtime: Runtime) -> Options:
    return Selection([runtime], True).options(runtime, cargo.precision, cargo.batches)


def _held(
    cargo: Cargo, artifact: Artifact, runtime: Runtime, what: str, extra: Mapping[str, str] | None = None
) -> Parity:
    """The record of a check on the proof's inputs. extra: the runtime's own settings. CheckFailed, beginning with
    `what`, when it fails."""
    selection = Selection([runtime], True, settings={runtime.name: extra or {}})
    options = selection.options(runtime, cargo.precision, cargo.batches)
    record = proof.held(Case(artifact, runtime, options, cargo.inputs, cargo.batches, cargo.truth))
    request = ParityRequest(cargo.argument, cargo.chosen, cargo.artifact, cargo.precision, selection, cargo.batches)
    again = command(request, runtime.name)
    if not record.passed:
        raise CheckFailed(
            f"{what} of {cargo.artifact.model} {cargo.precision} on {runtime.name}: {record.reason}; nothing is"
            f" written. Where it comes from: {again}"
        )
    return dataclasses.replace(record, command=again)


def _write(cargo: Cargo, target: Target, settings: Mapping[str, str], folder: Path) -> None:
    try:
        target.write(cargo.artifact, folder, settings)
    except (UnavailableError, JobError) as error:
        raise CheckFailed(f"--to {target.name}: {error}") from None
    proof.write(folder, cargo.inputs, cargo.truth)
    if cargo.labels:
        write_text(folder / LABELS, readme.label_lines(cargo.labels.names))
    artifacts.save(folder, _manifest(cargo, target, folder))


def _finish(cargo: Cargo, target: Target, settings: Mapping[str, str], folder: Path, shown: list[Shown]) -> None:
    """What tells of the checks, and the manifest with the hashes of all files."""
    bounds = tolerance(cargo.precision, cargo.truth)
    said = ProofFile(
        artifact=cargo.artifact.sha256,
        reference=reference.NAME,
        source=cargo.inputs.source,
        names=cargo.inputs.names,
        batches=cargo.batches,
        tolerance=bounds.info(None),
        shown=tuple(shown),
    )
    proof.write_said(folder, said)
    labels = cargo.labels.source if cargo.labels else None
    write_text(folder / README, readme.text(cargo.artifact, target, settings, said, labels))
    artifacts.save(folder, _manifest(cargo, target, folder))


def _manifest(cargo: Cargo, target: Target, folder: Path) -> Manifest:
    """The artifact's, of these files, without the paths of the machine that it was made on."""
    own, weights = cargo.artifact.manifest, cargo.artifact.manifest.weights
    (folder / artifacts.MANIFEST).unlink(missing_ok=True)
    return dataclasses.replace(
        own,
        form=target.name,
        base=None,
        recipe=None,
        defined_in=None,
        weights=dataclasses.replace(weights, source=_bare(weights.source), requested=_bare(weights.requested)),
        preprocessing_source=own.preprocessing_source and _bare(own.preprocessing_source),
        notes=tuple(map(_bare, own.notes)),
        files=artifacts.entries(folder),
        command="",
    )


def _bare(text: str) -> str:
    """A text in which every absolute path is its last name only."""
    return _PATH.sub(lambda found: found[1], text)
