"""What an artifact that is there means for the next one of its name: that it is the same model, and whose weights.

Without `--weights` a model keeps the weights that it has: what is made again is made of the same, or nothing is made.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

from convert import artifact as artifacts
from convert.artifact import Artifact, UnreadableError
from convert.common.disk.files import sha256_file, sha256_files, sha256_json
from convert.common.errors import InputError, listing
from convert.families.base import ModelSpec
from convert.identity import weights_of
from convert.manifest import RequestedWeights, WeightsOrigin
from convert.models import ConvertedModel, InferenceFolder, Model
from convert.precision.table import CONVERTED, FP32
from convert.weights.resolve import fingerprint, resolve
from convert.weights.tensors import StateDict
from convert.zoo import MODELS

_ANOTHER = "give this one another name with --name, or a folder of artifacts of its own with --artifacts"


def find(folder: Path, model: Model, named: bool) -> Artifact | None:
    """The artifact in a model's folder that says which weights it has: in FP32, else in a lower precision.

    named: whether `--weights` says which are wanted. InputError where that is not so and the artifacts do not tell.
    """
    found, unreadable = [], []
    for precision in (FP32, *CONVERTED):
        try:
            one = _load(folder / precision)
        except UnreadableError as error:
            unreadable.append(error.what)
            one = None
        if one and precision == FP32:
            return one
        found += [one] if one else []
        if precision == FP32 and unreadable:
            break  # the lower precisions may have been made of earlier ones
    weights = {weights_of(one.manifest.weights): one for one in found}
    if unreadable and not named:
        way_out = f"or choose another --name; else remove {folder}"
        if isinstance(model, ModelSpec):
            raise InputError(
                f"{unreadable[0]}: whose weights are there is not known: name them with --weights, {way_out}"
            )
        raise InputError(f"{unreadable[0]}: which model is there is not known: remove it, {way_out}")
    if len(weights) > 1 and not named:
        several = listing(f"{one.manifest.weights.source} ({one.precision})" for one in weights.values())
        raise InputError(f"{folder}: no {FP32} artifact, and others of different weights, {several}: name --weights")
    return found[0] if found else None


def _load(path: Path) -> Artifact | None:
    return artifacts.load(path) if path.is_dir() and any(path.iterdir()) else None


def image_size(model: Model, size: int | None, known: Artifact | None) -> int | None:
    """The `--image-size` that a model has use for. size: as it was given. InputError where a spec says another."""
    if isinstance(model, InferenceFolder):
        return known.manifest.image_size if known and known.fits(size) else size
    if size not in (None, model.img_size):
        raise InputError(
            f"--image-size {size}: {model.name} takes {model.img_size} pixels; write img_size into a .toml spec"
        )
    return None


def fingerprint_of(
    model: Model, named: str | None, weights: str, known: Artifact | None, key: str | None = None
) -> WeightsOrigin | None:
    """What identifies the weights, as far as it is known without the network; None when only a download can tell.

    named: `--weights`; weights: what they come to. known: as `find` gives it. key: `--weights-key`.
    """
    if isinstance(model, InferenceFolder):
        return folder_fingerprint(model)
    inside = known.manifest.weights if known else None
    if named is None and inside:
        return inside
    found = fingerprint(weights, model, key)
    if found is None and inside and weights == inside.requested == "auto":
        return inside  # an earlier `auto` found no network: do not wait for it each time; `pretrained` asks again
    return found


def folder_fingerprint(model: InferenceFolder) -> WeightsOrigin:
    """What identifies the weights of an inference model: both its files."""
    digest = sha256_json(sha256_files([model.program, model.params]))
    return WeightsOrigin(kind="file", source=str(model.folder.absolute()), sha256=digest)


def as_it_is(named: ConvertedModel, present: Artifact | None, changed: bool) -> Artifact:
    """The artifact of an inference model whose folder is not here. InputError where it would have to be made.

    present: what is there. changed: whether something else is asked for.
    """
    reason = "it is asked for otherwise than it is" if changed else present.damage() if present else "it is not there"
    if present is None or reason:
        raise InputError(f"{named.name}: {reason}, and what it was made of, {named.argument}, is not here")
    return present


def refuse_another(
    found: Artifact, model: Model, defined_in: str | None, weights: WeightsOrigin | None, named: bool
) -> str | None:
    """InputError when an artifact is another model's that has the same name; else what is to be said, if anything.

    A model is known by the file or folder that it was read from, which may change. One from elsewhere is the same only
    where it is equal. defined_in: that of the model that is asked for. weights: its own, or those that are named.
    """
    before, had = found.manifest.defined_in, found.manifest.weights
    if isinstance(model, InferenceFolder) or found.spec is None:
        before = before or (had.source if found.spec is None and Path(had.source).is_absolute() else None)
        alike = isinstance(model, InferenceFolder) and found.spec is None
        same = alike and (_one_place(before, defined_in) or (weights and weights.sha256 == had.sha256))
        kept = True
    else:
        same = _one_source(found, model, defined_in) or found.spec == model
        kept = not named or (weights is not None and weights_of(weights) == weights_of(had))
    elsewhere = before is not None and not _one_place(before, defined_in) and Path(before).exists()
    if not same or (elsewhere and not kept):
        of = before or ("an inference folder" if found.spec is None else f"the {found.spec.name} with {had.source}")
        weights_too = f" with {had.source}" if before and found.spec is not None else ""
        raise InputError(f"{found.path.parent} holds another model of that name, {of}{weights_too}: {_ANOTHER}")
    if elsewhere and found.spec is not None and not named:
        return f"the same architecture as in {before}: its artifact is taken, with its weights {had.source}"
    return None


def _one_source(found: Artifact, model: ModelSpec, defined_in: str | None) -> bool:
    """Whether both were read from one file, or are of one name where there is none."""
    before, spec = found.manifest.defined_in, found.spec
    if before or not spec:
        return _one_place(before, defined_in)
    # A model of the zoo has no file, and artifacts of earlier versions do not say theirs.
    return spec.name == model.name and (defined_in is None or spec != MODELS.get(spec.name))


def _one_place(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and (one == other or os.path.realpath(one) == os.path.realpath(other))


def again(kept: Artifact, spec: ModelSpec, say: Callable[[str], None]) -> StateDict:
    """The weights of an artifact once more. InputError where they cannot be had."""
    had = kept.manifest.weights
    fault = _fault(had)
    if fault:
        raise InputError(
            f"{kept.path}: to be made again of its weights {had.source}, but that file {fault}: put it back, or name"
            " weights with --weights"
        )
    try:
        state = resolve("pretrained" if had.kind == "pretrained" else had.source, spec, had.key)
    except InputError as error:
        raise InputError(f"{kept.path}: to be made again of its weights {had.source}, but {error.message}") from None
    if had.kind == "pretrained" and state.origin.sha256 != had.sha256:
        raise InputError(
            f"{kept.path}: to be made again of its weights {had.source}, but what is published is another file by now:"
            " --weights pretrained takes that"
        )
    say(f"{kept.path.parent}: of the weights that it had, {had.source}")
    return dataclasses.replace(state, origin=dataclasses.replace(state.origin, source=had.source, note=had.note))


def changed_since(kept: Artifact) -> str | None:
    """What is to be said where a user's file of weights is another one by now; None where nothing is."""
    had = kept.manifest.weights
    if kept.manifest.spec is None or not Path(had.source).is_absolute() or not Path(had.source).is_file():
        return None
    if not _fault(had):
        return None
    return f"{had.source} has changed since; this is still of the file as it was (--weights takes the new one)"


def _fault(weights: RequestedWeights) -> str | None:
    """Why a file of weights does not serve again, in a clause; None where it does, or none is needed."""
    if weights.kind != "file":
        return None
    path = Path(weights.source)
    if not path.is_file():
        return "is not there any more"
    try:
        return None if sha256_file(path) == weights.sha256 else "has changed since"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"
