"""From a model and its weights to an artifact: found when it is there and whole, made when it is not."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Callable
from pathlib import Path

from convert import artifact as artifacts
from convert import identity
from convert.artifact import Artifact
from convert.common import isolate, typed
from convert.common.errors import CheckFailed, GraphError, InputError
from convert.common.files import new_folder, sha256_files, sha256_json
from convert.common.progress import bar
from convert.families.base import ModelSpec
from convert.identity import CONVERTER, FP32, Identity
from convert.manifest import FORMAT, BaseArtifact, Lowering, LoweringOptions, Manifest, RequestedWeights, WeightsOrigin
from convert.models import InferenceFolder, find
from convert.precision.recipe import INT8, PRECISIONS, Recipe, calibration_files
from convert.weights.resolve import fingerprint, resolve

DEFAULT_OPSET = 17
# Below 17 LayerNormalization is written out in primitives; above 21 Paddle2ONNX 2.1.0 aborts, which knows 7 to 21.
OPSETS = range(17, 22)
ARTIFACTS = Path("artifacts")

Say = Callable[[str], None]
Model = ModelSpec | InferenceFolder


@dataclasses.dataclass(frozen=True)
class Request:
    """What an artifact is asked to be. weights: as for `--weights`.

    weights and opset may be None: then they are those of the artifact that is there, else `auto` and DEFAULT_OPSET.

    calibration and keep_fp32: as in `Recipe`, None for what the artifact that is there was made with.

    InputError for a precision or an opset that there is not, and for options that mean nothing in a precision.
    """

    model: str
    weights: str | None = None
    precision: str = FP32
    opset: int | None = None
    root: Path = ARTIFACTS
    calibration: Path | None = None
    keep_fp32: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.precision not in (FP32, *PRECISIONS):
            raise InputError(f"precision {self.precision}: choose from {FP32}, {', '.join(PRECISIONS)}")
        if self.calibration and self.precision != INT8:
            raise InputError(f"--calibration: {self.precision} needs no images, only {INT8} does")
        if self.keep_fp32 and self.precision == FP32:
            raise InputError("--keep-fp32: all of an fp32 artifact is FP32")
        if self.opset is not None and self.opset not in OPSETS:
            why = ", the last that Paddle2ONNX writes" if self.opset > OPSETS[-1] else ""
            raise InputError(f"opset {self.opset}: choose one from {OPSETS[0]} to {OPSETS[-1]}{why}")


def obtain(request: Request, say: Say) -> tuple[Artifact, bool]:
    """The artifact for a request and whether it was there already.

    It is found by all that goes into it (`identity.Identity`): architecture, weights, options, tools and this code; a
    damaged one is made again. say: told in a line what is going on. InputError: the model, the weights, the calibration
    images or names of operators are wrong; CheckFailed: Paddle2ONNX failed, what it gave is not the model, or the graph
    cannot be lowered.
    """
    model = find(request.model)
    target = request.root / model.name / request.precision
    if request.precision != FP32:
        return variant(request, target, say)
    present = _present(target, say)
    settled = _settled(request, model, present)
    weights = _fingerprint(request, settled, model, present)
    wanted = _identity(settled, model, weights) if weights else None

    def make(folder: Path) -> Manifest:
        return _converted(settled, model, folder)

    return _find_or_make(target, present, wanted, make, f"{model.name}: the conversion", say)


def variant(request: Request, target: Path, say: Say) -> tuple[Artifact, bool]:
    """`obtain` for a lower precision, in a folder of its own: several of them can be tried side by side."""
    plain = dataclasses.replace(request, precision=FP32, calibration=None, keep_fp32=None)
    base, _ = obtain(plain, say)
    recipe = Recipe(request.precision, request.calibration, request.keep_fp32)
    return lower(base, recipe, target, say, request.model)


def lower(base: Artifact, recipe: Recipe, target: Path, say: Say, argument: str) -> tuple[Artifact, bool]:
    """The variant of an FP32 artifact in a folder and whether it was there already.

    What the recipe leaves open is taken from what is there. argument: how the user named the model.
    """
    present = _present(target, say)
    settled, hashes = _settled_recipe(recipe, present)
    wanted = dataclasses.replace(
        identity.of(base),
        precision=settled.precision,
        tools=identity.foreign_tools(settled.precision),
        base=base.sha256,
        keep_fp32=settled.keep,
        calibration=hashes,
        converter=CONVERTER,
    )

    def make(folder: Path) -> Manifest:
        return _lowered(base, settled, target, folder, argument)

    return _find_or_make(target, present, wanted, make, f"{base.model}: {settled.precision}", say)


def _find_or_make(
    target: Path,
    present: Artifact | None,
    wanted: Identity | None,
    make: Callable[[Path], Manifest],
    what: str,
    say: Say,
) -> tuple[Artifact, bool]:
    """The artifact in `target` when it is the one that is wanted and whole, else a new one in its place.

    present: what is in `target` now. wanted: None when only making it can tell. make: fills a folder. what: is named
    where that fails.
    """
    if present and identity.of(present) == wanted:
        damage = present.damage()
        if not damage:
            return present, True
        say(f"{target}: {damage}; converting again")
    with new_folder(target) as folder:
        try:
            manifest = make(folder)
        except (isolate.JobError, GraphError) as error:
            say(getattr(error, "log", "").strip())
            raise CheckFailed(f"{what} failed: {error}") from None
        artifacts.save(folder, dataclasses.replace(manifest, files=artifacts.entries(folder)))
    return artifacts.load(target), False


def _present(target: Path, say: Say) -> Artifact | None:
    if not target.exists():
        return None
    try:
        return artifacts.load(target)
    except InputError as error:
        say(f"{error.message}; converting again")
        return None


def _settled(request: Request, model: Model, present: Artifact | None) -> Request:
    """The request with what it left open taken from the artifact that is there, else from the defaults."""
    if isinstance(model, InferenceFolder) and request.weights not in (None, "auto"):
        raise InputError(f"--weights {request.weights}: {request.model} is an inference model and brings its own")
    weights = request.weights or (present.manifest.weights.requested if present else "auto")
    opset = request.opset or (present.manifest.opset if present else DEFAULT_OPSET)
    return dataclasses.replace(request, weights=weights, opset=opset)


def _settled_recipe(recipe: Recipe, present: Artifact | None) -> tuple[Recipe, tuple[str, ...] | None]:
    """Likewise, and the calibration files' sha256."""
    earlier = (present.manifest.recipe if present else None) or LoweringOptions()
    settled = dataclasses.replace(recipe, keep=earlier.keep_fp32 if recipe.keep is None else recipe.keep)
    if recipe.precision != INT8:
        return settled, None
    if recipe.calibration is not None:
        return settled, tuple(sha256_files([image.path for image in calibration_files(recipe.calibration)]))
    calibrated = present.manifest.calibration if present else None
    settled = dataclasses.replace(settled, calibration=Path(earlier.calibration) if earlier.calibration else None)
    return settled, calibrated.files_sha256 if calibrated else ()


def _identity(settled: Request, model: Model, weights: WeightsOrigin) -> Identity:
    return Identity(
        precision=settled.precision,
        opset=settled.opset or DEFAULT_OPSET,
        spec=model if isinstance(model, ModelSpec) else None,
        weights=(weights.kind, weights.sha256),
        tools=identity.foreign_tools(settled.precision),
    )


def _fingerprint(request: Request, settled: Request, model: Model, present: Artifact | None) -> WeightsOrigin | None:
    """What identifies the weights, as far as it is known without the network; None when only a download can tell."""
    if isinstance(model, InferenceFolder):
        return _folder_fingerprint(model)
    inside = present.manifest.weights if present else None
    if request.weights is None and inside:
        return inside
    assert settled.weights
    known = fingerprint(settled.weights, model)
    if known is None and inside and settled.weights == inside.requested == "auto":
        return inside  # an earlier `auto` found no network: do not wait for it each time; `pretrained` asks again
    return known


def _folder_fingerprint(model: InferenceFolder) -> WeightsOrigin:
    digest = sha256_json(sha256_files([model.program, model.params]))
    return WeightsOrigin(kind="file", source=str(model.program.parent), sha256=digest)


def _converted(settled: Request, model: Model, folder: Path) -> Manifest:
    """Convert a model into a folder. GraphError, JobError or InputError when that fails."""
    from convert.export import assemble

    weights, opset = settled.weights or "auto", settled.opset or DEFAULT_OPSET
    if isinstance(model, ModelSpec):
        state = resolve(weights, model)
        made, origin = assemble.from_spec(model, state, folder, opset), state.origin
    else:
        made, origin = assemble.from_folder(model, folder, opset), _folder_fingerprint(model)
    manifest = Manifest(
        format=FORMAT,
        converter=CONVERTER,
        model=model.name,
        precision=FP32,
        opset=opset,
        weights=RequestedWeights(**dataclasses.asdict(origin), requested=weights),
        inputs=made.inputs,
        outputs=made.outputs,
        preprocessing=made.preprocessing,
        macs=made.macs,
        parameters=made.parameters,
        notes=made.notes,
        spec=model.table() if isinstance(model, ModelSpec) else None,
        files={},
        tools=identity.tools(FP32),
    )
    option = Artifact(folder, manifest).weights_option(weights)
    return dataclasses.replace(manifest, command=_command(settled.model, FP32, opset, option, []))


def _lowered(base: Artifact, recipe: Recipe, target: Path, folder: Path, argument: str) -> Manifest:
    """Make a lower precision into a folder, which will be `target`. JobError or InputError when that fails."""
    if recipe.calibration and not recipe.calibration.exists():
        raise InputError(
            f"--calibration {recipe.calibration}: there is no such file or folder any more, and {target} has to be "
            "made again: name the images with `python -m convert --precision int8 --calibration`"
        )
    options = LoweringOptions(str(recipe.calibration) if recipe.calibration else None, recipe.keep)
    job = {"base": str(base.path), "precision": recipe.precision, "folder": str(folder), **typed.table(options)}
    with bar(f"{base.model} to {recipe.precision}", None):
        lowering = typed.read(Lowering, isolate.call("convert.precision.make:run_job", job))
    opset = base.manifest.opset
    return dataclasses.replace(
        base.manifest,
        format=FORMAT,
        converter=CONVERTER,
        precision=recipe.precision,
        base=BaseArtifact(os.path.relpath(base.path, target), base.sha256),
        recipe=options,
        **{one.name: getattr(lowering, one.name) for one in dataclasses.fields(Lowering)},
        notes=(*base.manifest.notes, *_notes(lowering)),
        tools=identity.tools(recipe.precision),
        command=_command(argument, recipe.precision, opset, base.weights_option(), recipe.words()),
    )


def _notes(lowering: Lowering) -> list[str]:
    """What the user must know of a lower precision."""
    kept = [f"{entry.operator} ({entry.reason})" for entry in lowering.kept_fp32 or ()]
    notes = [f"kept in FP32: {', '.join(kept)}"] if kept else []
    if lowering.calibration and not lowering.calibration.files_sha256:
        notes.append(f"int8 was calibrated on {lowering.calibration.source}: fine for speed, not for accuracy")
    return notes


def _command(argument: str, precision: str, opset: int, weights: str | None, more: list[str]) -> str:
    """The command that makes the same artifact again. more: what a precision needs besides."""
    words = ["python", "-m", "convert", argument, "--precision", precision]
    words += ["--weights", weights] if weights else []
    words += ["--opset", str(opset)] if opset != DEFAULT_OPSET else []
    return shlex.join(words + more)
