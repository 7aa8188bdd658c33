"""A lower precision of an FP32 artifact, beside it: found when it is there and whole, made when it is not."""

from __future__ import annotations

import dataclasses
import os
from functools import partial
from pathlib import Path

from convert import identity, making, preprocessing
from convert.artifact import ONNX_FILE, Artifact
from convert.common import typed, worker
from convert.common.errors import InputError
from convert.common.progress import bar
from convert.making import Say
from convert.manifest import FORMAT, BaseArtifact, Lowering, LoweringOptions, Manifest
from convert.precision.portability import FULL, Saturation
from convert.precision.table import INT8, PRECISIONS, SMOOTH

# What int8 is made with unless told otherwise.
INT8_RANGE = FULL


def lower(
    base: Artifact,
    precision: str,
    options: LoweringOptions,
    target: Path,
    say: Say,
    argument: str,
    name: str | None = None,
    classes: int | None = None,
) -> tuple[Artifact, bool]:
    """The variant of an FP32 artifact in a folder and whether it was there already.

    What the options leave open is taken from what is there. argument, name, classes: MODEL, `--name` and
    `--classes` as the user gave them.
    """
    present = making.present_in(target, say)
    settled, hashes = _settled_options(precision, options, present, say)
    wanted = dataclasses.replace(
        identity.of(base),
        precision=precision,
        tools=identity.wanted_tools(precision, present),
        base=base.sha256,
        keep_fp32=settled.keep_fp32,
        int8_range=settled.int8_range,
        smooth=settled.smooth,
        calibration=hashes,
        preprocessing=None if hashes is None else base.preprocessing,
        converter=identity.converter(precision),
    )
    make = partial(_lowered, base, precision, settled, target, argument, name, classes)
    describe = partial(_described, base.manifest, target)
    return making.find_or_make(target, present, wanted, make, describe, f"{base.model}: {precision}", say)


def strengths(present: Artifact) -> tuple[float, ...]:
    """The strengths of the smoothing that are worth a try beside an int8 artifact: its own one first, then without, or
    where it has none the usual one."""
    own = identity.smooth_of(present.manifest.recipe or LoweringOptions())
    return own, 0.0 if own else SMOOTH


def _described(base: Manifest, target: Path, manifest: Manifest) -> Manifest:
    """The manifest with what the FP32 artifact's says, and of an int8 one from before whether it is portable."""
    manifest = preprocessing.like_base(manifest, base)
    if manifest.precision != INT8 or manifest.saturation is not None:
        return manifest
    found = worker.call("convert.precision.saturation:run_job", {"onnx": str(target / ONNX_FILE)})
    return dataclasses.replace(manifest, saturation=typed.read(Saturation, found))


def _settled_options(
    precision: str, options: LoweringOptions, present: Artifact | None, say: Say
) -> tuple[LoweringOptions, tuple[str, ...] | None]:
    """Likewise, and the calibration files' sha256."""
    earlier = (present.manifest.recipe if present else None) or LoweringOptions()
    keep = earlier.keep_fp32 if options.keep_fp32 is None else options.keep_fp32
    if not PRECISIONS[precision].calibrated:
        return LoweringOptions(options.calibration, keep), None
    fit = options.int8_range or (identity.of(present).int8_range if present else INT8_RANGE)
    smooth = options.smooth
    if smooth is None:
        smooth = identity.smooth_of(earlier) if present else SMOOTH
    if options.calibration is not None:
        from convert.precision import calibration_images  # late: it imports OpenCV, which int8 alone needs

        chosen = calibration_images.choose(Path(options.calibration))
        for note in chosen.notes:
            say(f"--calibration {options.calibration}: {note}")
        return LoweringOptions(options.calibration, keep, fit, smooth), calibration_images.hashes(chosen)
    calibrated = present.manifest.calibration if present else None
    return LoweringOptions(earlier.calibration, keep, fit, smooth), calibrated.files_sha256 if calibrated else ()


def _lowered(
    base: Artifact,
    precision: str,
    options: LoweringOptions,
    target: Path,
    argument: str,
    name: str | None,
    classes: int | None,
    folder: Path,
) -> Manifest:
    """Make a lower precision into a folder, which will be `target`. JobError or InputError when that fails."""
    if options.calibration and not Path(options.calibration).exists():
        raise InputError(
            f"--calibration {options.calibration}: there is no such file or folder any more, and {target} has to be "
            "made again: name the images with `python -m convert --precision int8 --calibration`"
        )
    job = {"base": str(base.path), "precision": precision, "folder": str(folder), **typed.table(options)}
    with bar(f"{base.model} to {precision}", None):
        lowering = typed.read(Lowering, worker.call("convert.precision.make:run_job", job))
    wanted = dataclasses.replace(base.manifest, precision=precision)
    return dataclasses.replace(
        wanted,
        format=FORMAT,
        converter=identity.converter(precision),
        base=BaseArtifact(os.path.relpath(base.path, target), base.sha256),
        recipe=options,
        **vars(lowering),
        notes=(*base.manifest.notes, *_notes(precision, lowering)),
        tools=identity.tools(precision),
        command=making.command(argument, name, wanted, base.weights_option(), options, classes, base.path.parents[1]),
    )


def _notes(precision: str, lowering: Lowering) -> list[str]:
    """What the user must know of a lower precision."""
    from convert.precision import reach  # late: it imports onnx

    kept = [f"{entry.operator} ({entry.reason})" for entry in lowering.kept_fp32 or ()]
    notes = [f"kept in FP32: {', '.join(kept)}"] if kept else []
    if lowering.calibration and not lowering.calibration.files_sha256:
        notes.append(f"int8 was calibrated on {lowering.calibration.source}: fine for speed, not for accuracy")
    return [*notes, *reach.notes(precision, lowering)]
