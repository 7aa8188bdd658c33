"""An artifact is found in its folder or made there; whether it may be made; and the command that makes it."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from convert import artifact as artifacts
from convert import identity, preprocessing
from convert.artifact import Artifact
from convert.common import commands, worker
from convert.common.console import say_log
from convert.common.disk.files import new_folder
from convert.common.disk.lock import alone
from convert.common.errors import CheckFailed, GraphError, InputError
from convert.identity import Identity
from convert.manifest import LoweringOptions, Manifest

Say = Callable[[str], None]

DEFAULT_OPSET = 17

_MAY = ContextVar("may", default=True)


class NotConvertedError(InputError):
    """An artifact would have to be made, where nothing is to be made."""


@contextmanager
def nothing() -> Iterator[None]:
    """While the block runs, whatever would make an artifact raises NotConvertedError."""
    before = _MAY.set(False)
    try:
        yield
    finally:
        _MAY.reset(before)


def refuse(target: Path) -> None:
    """NotConvertedError inside a block of `nothing`."""
    if not _MAY.get():
        raise NotConvertedError(f"{target}: not converted yet")


def find_or_make(
    target: Path,
    present: Artifact | None,
    wanted: Identity | None,
    make: Callable[[Path], Manifest],
    describe: Callable[[Manifest], Manifest],
    what: str,
    say: Say,
) -> tuple[Artifact, bool]:
    """The artifact in `target` when it is the one that is wanted and whole, else a new one in its place.

    present: what is in `target` now. wanted: None when only making it can tell. make: fills a folder. describe: puts
    into a manifest what can change while the files stay the same, its preprocessing. what: is named where making fails.
    """
    if present and identity.of(present) == wanted:
        damage = present.damage()
        if not damage:
            return _redescribed(present, describe(present.manifest), say), True
        say(f"{target}: {damage}; converting again")
    elif present and (
        changes := identity.changes(present, wanted)
        if wanted
        else [f"its weights were {present.manifest.weights.source}"]
    ):
        say(f"{target}: {'; '.join(changes)}; converting again")
    refuse(target)
    with alone(target.with_name(f".{target.name}.lock"), str(target), wait=True) as waited:
        if waited:
            return find_or_make(target, present_in(target, say), wanted, make, describe, what, say)
        _make(target, make, describe, what)
    return artifacts.load(target), False


def _make(target: Path, make: Callable[[Path], Manifest], describe: Callable[[Manifest], Manifest], what: str) -> None:
    with new_folder(target, artifacts.refuse_others_files) as folder:
        try:
            manifest = describe(make(folder))
        except (worker.JobError, GraphError) as error:
            say_log(getattr(error, "log", ""))
            raise CheckFailed(f"{what} failed: {error}") from None
        artifacts.save(folder, dataclasses.replace(manifest, files=artifacts.entries(folder)))


def present_in(target: Path, say: Say) -> Artifact | None:
    """The artifact in a folder; None where there is none, or one that cannot be read, which is said."""
    if not target.exists():
        return None
    try:
        return artifacts.load(target)
    except artifacts.UnreadableError as error:
        say(f"{error.what}; converting again")
        return None


def _redescribed(present: Artifact, manifest: Manifest, say: Say) -> Artifact:
    """An artifact with another manifest: written where it differs, and said where images become something else."""
    if manifest == present.manifest:
        return present
    alike = manifest.preprocessing.agrees(present.preprocessing)
    if not alike:
        what = preprocessing.differences(manifest.preprocessing, present.preprocessing)
        say(f"{present.path}: the preprocessing is now that of {manifest.preprocessing_source}: {what}")
    if not _MAY.get():
        return Artifact(present.path, manifest)
    try:
        return artifacts.save(present.path, manifest)
    except OSError as error:
        if alike:
            return Artifact(present.path, manifest)  # nothing that others read there is wrong
        raise InputError(f"{present.path}: its manifest cannot be written ({error.strerror})") from None


def command(
    argument: str,
    name: str | None,
    manifest: Manifest,
    weights: str | None,
    options: LoweringOptions,
    classes: int | None,
    root: Path,
) -> str:
    """The command that makes the same artifact again, in a folder of artifacts."""
    opset, size = manifest.opset, manifest.image_size
    words = [*commands.words("convert"), argument, "--precision", manifest.precision]
    words += ["--artifacts", elsewhere] if (elsewhere := artifacts.root_option(root)) else []
    words += ["--image-size", str(size)] if size is not None else []
    words += ["--name", name] if name else []
    words += ["--classes", str(classes)] if classes is not None else []
    words += ["--weights", weights] if weights else []
    words += ["--weights-key", manifest.weights.key] if manifest.weights.key is not None else []
    words += ["--opset", str(opset)] if opset != DEFAULT_OPSET else []
    words += ["--calibration", options.calibration] if options.calibration else []
    words += ["--keep-fp32", ",".join(options.keep_fp32) or "none"] if options.keep_fp32 is not None else []
    words += ["--int8-range", options.int8_range] if options.int8_range is not None else []
    words += ["--smooth", f"{options.smooth:g}"] if options.smooth is not None else []
    return shlex.join(words)
