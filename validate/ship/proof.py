"""What travels with a folder to ship, so that it can be held against Paddle where no Paddle is.

A few inputs, what Paddle computes of them in float64 and in its own FP32, how far off one may be, and what was shown.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np

from convert.artifact import MANIFEST, PROOF, Artifact, UnreadableError, load
from convert.common import typed
from convert.common.disk import scratch
from convert.common.disk.files import write_json
from convert.common.errors import InputError, listing
from convert.common.progress import bar
from convert.common.typed import about
from convert.images.inputs import Inputs
from runtimes.records.kinds import Parity
from runtimes.records.parts import ToleranceInfo
from validate.parity.check import Case, check
from validate.parity.reference import Reference

FILE = "proof.json"
_INPUTS, _REFERENCE, _PADDLE = "inputs.npy", "reference.npy", "paddle_fp32.npy"


@dataclass(frozen=True)
class Shown:
    """A check that passed."""

    loaded: Annotated[str, about("artifact: what the folder was made from; folder: its own files")]
    runtime: str
    version: str | None
    device: str | None
    precision: Annotated[str | None, about("as read back from the runtime")]
    max_abs: Annotated[float | None, about("the largest error of a logit")]
    needed: Annotated[float | None, about("the smallest factor that would have passed; see `tolerance`")]
    top1_agreement: float | None
    inputs: Annotated[str, about("what they were, in words")]
    time_utc: str | None
    server: Annotated[str | None, about("what it was that the runtime asked, in words")] = None

    @classmethod
    def of(cls, record: Parity, loaded: str, server: str | None = None) -> Shown:
        """What a record says. loaded, server: see the fields."""
        return cls(
            loaded=loaded,
            runtime=record.runtime,
            version=record.runtime_version,
            device=record.effective.device if record.effective else None,
            precision=record.effective.precision if record.effective else None,
            max_abs=record.max_abs,
            needed=record.tolerance.needed if record.tolerance else None,
            top1_agreement=record.top1_agreement,
            inputs=record.inputs.source or "" if record.inputs else "",
            time_utc=record.time_utc,
            server=server,
        )


@dataclass(frozen=True)
class ProofFile:
    """`proof.json`."""

    artifact: Annotated[str, about("sha256 of the artifact that the folder was made from, as its records have it")]
    reference: Annotated[str, about("how the reference was computed")]
    source: Annotated[str, about("what the inputs are, in words")]
    names: Annotated[tuple[str, ...], about("of the inputs")]
    batches: Annotated[tuple[int, ...], about("batch sizes that were checked")]
    tolerance: ToleranceInfo
    shown: tuple[Shown, ...]


@dataclass(frozen=True)
class Proof:
    """What a folder carries. inputs: preprocessed images; reference: their logits."""

    said: ProofFile
    inputs: Inputs
    reference: Reference


def write(folder: Path, inputs: Inputs, reference: Reference) -> None:
    """Write the arrays into `proof/` of a folder: (count, 3, height, width) float32, (count, classes) float64, and
    Paddle's own as float32."""
    target = folder / PROOF
    target.mkdir()
    np.save(target / _INPUTS, np.ascontiguousarray(inputs.images, dtype="<f4"))
    np.save(target / _REFERENCE, reference.logits)
    np.save(target / _PADDLE, reference.paddle)


def write_said(folder: Path, said: ProofFile) -> None:
    """Write `proof/proof.json` of a folder."""
    write_json(folder / PROOF / FILE, typed.table(said))


def held(case: Case) -> Parity:
    """The record of a check, its command still empty. What a runtime makes of a shipped folder is not left in it."""
    with scratch.folder() as cache, bar(f"{case.artifact.model} on {case.runtime.name}", None):
        options = case.options
        if case.artifact.form and options.cache is None and case.runtime.writes_cache == "always":
            options = replace(options, cache=str(cache))
        return check(replace(case, options=options)).record


def opened(path: Path) -> Artifact:
    """The artifact that a shipped folder is; its files are not looked at yet. InputError when it is none."""
    try:
        found = load(path)
    except UnreadableError as error:
        raise InputError(f"{error.what}; a folder of `vitbench export` is needed, copied whole") from None
    if found.form is None:
        raise InputError(f"{path}: an artifact, which has no proof of its own: `vitbench export` makes a folder of it")
    return found


def read(artifact: Artifact) -> Proof:
    """What a shipped folder carries. InputError when something of it is missing or damaged."""
    folder = artifact.path / PROOF
    unhashed = [
        name for name in (FILE, _INPUTS, _REFERENCE, _PADDLE) if f"{PROOF}/{name}" not in artifact.manifest.files
    ]
    if unhashed:
        raise InputError(f"{folder}: {MANIFEST} has no sha256 of {listing(unhashed)}; copy the folder again")
    try:
        said = typed.read(ProofFile, json.loads((folder / FILE).read_text(encoding="utf-8")))
        images, logits, paddle = (np.load(folder / name, allow_pickle=False) for name in (_INPUTS, _REFERENCE, _PADDLE))
        inputs = Inputs(images, said.source, said.names)
        if images.dtype != np.float32 or images.shape[1:] != (3, *artifact.image_shape) or not len(images):
            raise ValueError(f"{_INPUTS} has {images.dtype} {list(images.shape)}")
        if not logits.shape == paddle.shape == (len(images), artifact.classes):
            raise ValueError(f"{len(images)} inputs, and logits {list(logits.shape)} and {list(paddle.shape)}")
        if not (np.isfinite(logits).all() and np.isfinite(paddle).all()):
            raise ValueError("logits that are not finite")
        if not said.batches or min(said.batches) < 1:
            raise ValueError(f"batches {list(said.batches)}")
    except FileNotFoundError as error:
        raise InputError(f"{folder}: {Path(error.filename).name} is missing; copy the folder again, whole") from None
    except (OSError, ValueError, TypeError, EOFError, AttributeError, RecursionError) as error:
        raise InputError(f"{folder}: damaged ({type(error).__name__}: {error}); copy the folder again") from None
    return Proof(said, inputs, Reference(logits.astype(np.float64), paddle.astype(np.float32)))
