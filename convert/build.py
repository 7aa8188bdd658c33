"""From a model and its weights to an artifact: found when it is there and whole, made when it is not."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from convert import earlier, identity, making, models, other_onnx, preprocessing
from convert.artifact import ARTIFACTS, Artifact
from convert.common import paddle
from convert.common.errors import InputError, listing
from convert.families.base import ModelSpec
from convert.families.spec import Preprocessing
from convert.identity import CONVERTER, READER, Identity
from convert.images import option
from convert.making import DEFAULT_OPSET, Say
from convert.manifest import FORMAT, LoweringOptions, Manifest, RequestedWeights
from convert.models import (
    ConvertedModel,
    InferenceFolder,
    Model,
    OnnxFile,
    ShippedFolder,
    called,
    defined_in,
    inference_folder,
)
from convert.paddleclas import export
from convert.precision import variant
from convert.precision.portability import INT8_RANGES
from convert.precision.table import CONVERTED, FP32, INT8, PRECISIONS
from convert.weights.resolve import resolve
from convert.zoo import HOSTED, HostedModel, inference_tar

# Below 17 LayerNormalization is written out in primitives; above 21 Paddle2ONNX 2.1.0 aborts, which knows 7 to 21.
OPSETS = range(17, 22)


@dataclasses.dataclass(frozen=True)
class Request:
    """What an artifact is asked to be. weights, weights_key, name, image_size, preprocessing: as in
    `ModelOptions`, as onnx. classes: of a model of the zoo with another head than its own.

    weights and opset may be None: then they are those of the artifact that is there, else `auto` and DEFAULT_OPSET.
    Only weights that are given here take the place of others.

    calibration, keep_fp32, int8_range, smooth: as in `LoweringOptions`, None for what the artifact that is there was
    made with.

    InputError for a precision or an opset that there is not, and for options that mean nothing in a precision.
    """

    model: str
    weights: str | None = None
    precision: str = FP32
    opset: int | None = None
    root: Path = ARTIFACTS
    calibration: Path | None = None
    keep_fp32: tuple[str, ...] | None = None
    int8_range: str | None = None
    smooth: float | None = None
    weights_key: str | None = None
    name: str | None = None
    image_size: int | None = None
    preprocessing: str | None = None
    classes: int | None = None
    onnx: str | None = None

    def __post_init__(self) -> None:
        if self.precision not in (FP32, *CONVERTED):
            raise InputError(f"precision {self.precision}: choose from {FP32}, {', '.join(CONVERTED)}")
        if self.calibration and not PRECISIONS[self.precision].calibrated:
            raise InputError(f"--calibration: {self.precision} needs no images, only {INT8} does")
        if self.keep_fp32 and self.precision == FP32:
            raise InputError("--keep-fp32: all of an fp32 artifact is FP32")
        if self.int8_range is not None and self.precision != INT8:
            raise InputError(f"--int8-range: it says how {INT8} rounds weights, and {self.precision} is asked for")
        if self.int8_range not in (None, *INT8_RANGES):
            raise InputError(f"--int8-range {self.int8_range}: choose from {', '.join(INT8_RANGES)}")
        if self.smooth is not None and self.precision != INT8:
            raise InputError(f"--smooth: it says how {INT8} treats outliers, and {self.precision} is asked for")
        if self.smooth is not None and not 0 <= self.smooth <= 1:
            raise InputError(f"--smooth {self.smooth:g}: choose from 0 (nothing is smoothed) to 1")
        if self.onnx is not None and self.precision != FP32:
            raise InputError(f"--onnx {self.onnx}: it is taken as it is, and not made into {self.precision}")
        if self.preprocessing:
            option.changes(self.preprocessing)
        if self.opset is not None and self.opset not in OPSETS:
            why = ", the last that Paddle2ONNX writes" if self.opset > OPSETS[-1] else ""
            raise InputError(f"opset {self.opset}: choose one from {OPSETS[0]} to {OPSETS[-1]}{why}")


def obtain(request: Request, say: Say) -> tuple[Artifact, bool]:
    """The artifact for a request and whether it was there already.

    It stands in ROOT/model/precision, and counts where its manifest says that all that goes into it is the same
    (`identity.Identity`): architecture, weights, options, tools and CONVERTER; another or a damaged one is made again,
    of its own weights where none are named (`earlier`).
    say: told in a line what is going on. InputError: the model, the weights, the calibration images or names of
    operators are wrong, another model has that name, or the weights that it had cannot be had again; CheckFailed:
    Paddle2ONNX failed, what it gave is not the model, or the graph cannot be lowered.
    """
    named = models.find(request.model, request.root)
    if isinstance(named, ShippedFolder):
        return _shipped(named.artifact, request), True
    if isinstance(named, OnnxFile):
        if request.precision != FP32:
            raise InputError(f"{named.path}: an ONNX file is taken as it is, and not made into {request.precision}")
        _as_it_is(request, f"{named.path}: an ONNX file", "name", "image_size", "preprocessing")
        place = request.root / called(named, request.name) / FP32
        return other_onnx.obtain_alone(named.path, place, request.image_size, request.preprocessing, say)
    if request.onnx is not None:
        name, file = request.name, Path(request.onnx)
        base, _ = obtain(dataclasses.replace(request, onnx=None, name=None), say)
        place = request.root / called(named, name or OnnxFile(file).name) / FP32
        return other_onnx.obtain(base, file, place, request.model, say)
    if request.classes is not None:
        named = models.with_classes(named, request.model, request.classes, request.name)
    target = request.root / called(named, request.name) / request.precision
    if request.precision != FP32:
        return obtain_variant(request, target, say)
    if isinstance(named, ConvertedModel):
        if named.remark:
            say(f"{target}: {named.remark}")
        request = _as_it_was(request, named)
        if named.model is None:
            asked = (request.weights, request.opset, request.image_size, request.preprocessing)
            return earlier.as_it_is(named, making.present_in(target, say), any(one is not None for one in asked)), True
        model = named.model
    else:
        model = _had(named, target) if isinstance(named, HostedModel) else named
    known = earlier.find(target.parent, model, request.weights is not None)
    if known and request.weights is None and request.weights_key is not None:  # another state dict of the same file
        request = dataclasses.replace(request, weights=known.weights_option())
    present = making.present_in(target, say)
    settled = _settled(request, model, known)
    weights = earlier.fingerprint_of(model, request.weights, settled.weights or "auto", known, request.weights_key)
    if known:
        same = earlier.refuse_another(known, model, defined_in(request.model), weights, request.weights is not None)
        if same:
            say(f"{target}: {same}")
    wanted = None
    if weights is not None:
        wanted = Identity(
            precision=FP32,
            opset=settled.opset or DEFAULT_OPSET,
            spec=identity.architecture(model) if isinstance(model, ModelSpec) else None,
            weights=identity.weights_of(weights),
            tools=identity.wanted_tools(FP32, present),
            image_size=settled.image_size,
            reader=None if isinstance(model, ModelSpec) else READER,
        )
    kept = known if request.weights is None else None
    said = preprocessing.said_by(model, request.model)
    describe = partial(preprocessing.settled, said=said, option=request.preprocessing, earlier=present)
    make = partial(_converted, settled, model, kept, say)
    what = f"{model.name}: the conversion"
    artifact, reused = making.find_or_make(target, present, wanted, make, describe, what, say)
    if reused and not paddle.installed() and (others := identity.other_tools(artifact)):
        by = listing(others)
        say(f"{target}: taken as it was made, by {by}; to make it again Paddle is needed: {paddle.INSTALL}")
    if reused and kept and (changed := earlier.changed_since(kept)):
        say(f"{target}: {changed}")
    return artifact, reused


def _as_it_was(request: Request, named: ConvertedModel) -> Request:
    """The request for a model that is known by its name, as it was when it was converted."""
    name = request.name or (named.name if named.classes or named.argument != named.name else None)
    return dataclasses.replace(request, model=named.argument, name=name, classes=named.classes)


def obtain_variant(request: Request, target: Path, say: Say) -> tuple[Artifact, bool]:
    """`obtain` for a lower precision, in a folder of its own: several of them can be tried side by side."""
    plain = dataclasses.replace(request, precision=FP32, calibration=None, keep_fp32=None, int8_range=None, smooth=None)
    base, _ = obtain(plain, say)
    if base.manifest.base or base.manifest.unvouched:
        raise InputError(f"{base.path}: an ONNX file from elsewhere is taken as it is, and not made into {target.name}")
    calibration = str(request.calibration) if request.calibration else None
    options = LoweringOptions(calibration, request.keep_fp32, request.int8_range, request.smooth)
    if isinstance(named := models.find(request.model, request.root), ConvertedModel):
        request = _as_it_was(request, named)
    return variant.lower(base, request.precision, options, target, say, request.model, request.name, request.classes)


def beside(request: Request, present: Artifact, smooth: float, say: Say) -> Artifact:
    """int8 as it is there with another strength of the smoothing, in a folder beside it; itself for its own strength.

    request: of the int8 artifact, for its model. present: that artifact. InputError and CheckFailed as `obtain`.
    """
    own = identity.of(present)
    if own.smooth == smooth:
        return present
    source = present.manifest.recipe.calibration if present.manifest.recipe else None
    wanted = dataclasses.replace(
        request,
        calibration=Path(source) if source else None,
        keep_fp32=own.keep_fp32,
        int8_range=own.int8_range,
        smooth=smooth,
    )
    return obtain_variant(wanted, present.path.with_name(f"{INT8}-smooth-{smooth:g}"), say)[0]


def _shipped(found: Artifact, request: Request) -> Artifact:
    """A folder to ship as it is. InputError when it is damaged, or is asked to be something else."""
    if found.precision != request.precision:
        raise InputError(f"{found.path}: it holds {found.precision}, and no {request.precision}")
    _as_it_is(request, f"{found.path}: a folder to ship")
    if damage := found.damage():
        raise InputError(f"{found.path}: {damage}; copy it again")
    return found


def _as_it_is(request: Request, what: str, *means: str) -> None:
    """InputError where a request has options beside those that mean something for what is taken as it is."""
    given = {name for name, value in vars(request).items() if value is not None}
    if given := given - {"model", "precision", "root", *means}:
        options = [f"--{name.replace('_', '-')}" for name in sorted(given)]
        raise InputError(f"{what} is taken as it is: leave {listing(options)} out")


def _had(named: HostedModel, target: Path) -> InferenceFolder:
    """The official inference model of a name, downloaded where it is not there. InputError where it cannot be had."""
    had = inference_tar.unpacked(named)
    if had is None:
        making.refuse(target)
        paddle.need(f"{named.name}: converting")
        had = inference_tar.fetch(named)
    return inference_folder(had[0], named.name)


def _settled(request: Request, model: Model, known: Artifact | None) -> Request:
    """The request with what it left open taken from the artifact that is there, else from the defaults."""
    if isinstance(model, InferenceFolder) and request.weights not in (None, "auto"):
        raise InputError(f"--weights {request.weights}: {request.model} is an inference model and brings its own")
    weights = request.weights or (known and known.weights_option()) or "auto"
    opset = request.opset or (known.manifest.opset if known else DEFAULT_OPSET)
    size = earlier.image_size(model, request.image_size, known)
    return dataclasses.replace(request, weights=weights, opset=opset, image_size=size)


@contextmanager
def _uncollected() -> Iterator[None]:
    """While the block runs Python looks for no garbage in cycles: a graph is hundreds of thousands of objects that
    stay, and looking through them again and again takes time and frees next to nothing."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@_uncollected()
def _converted(settled: Request, model: Model, kept: Artifact | None, say: Say, folder: Path) -> Manifest:
    """Convert a model into a folder. GraphError, JobError or InputError when that fails.

    kept: the artifact whose weights are to stay.
    """
    paddle.need(f"{settled.model}: converting")
    from convert.export import assemble  # late: it imports what only the extra `convert` has

    weights, opset = settled.weights or "auto", settled.opset or DEFAULT_OPSET
    if isinstance(model, ModelSpec):
        state = earlier.again(kept, model, say) if kept else resolve(weights, model, settled.weights_key)
        made, origin = assemble.from_spec(model, state, folder, opset), state.origin
        if origin.kind == "file":  # found again from wherever the next command is given
            origin = dataclasses.replace(origin, source=str(Path(origin.source).absolute()))
    else:
        made = assemble.from_folder(model, folder, opset, settled.image_size)
        made = dataclasses.replace(made, notes=(*made.notes, *export.notes(model.folder)))
        if settled.model in HOSTED and (had := inference_tar.unpacked(HOSTED[settled.model])):
            made = dataclasses.replace(made, notes=(*made.notes, f"the official inference model, of {had[1].url}"))
        origin = earlier.folder_fingerprint(model)
    size = int(made.inputs[0].shape[-1])
    manifest = Manifest(
        format=FORMAT,
        converter=CONVERTER,
        model=called(model, settled.name),
        precision=FP32,
        opset=opset,
        weights=RequestedWeights(**vars(origin), requested=kept.manifest.weights.requested if kept else weights),
        **vars(made),
        preprocessing=Preprocessing(size, size),  # until it is settled
        spec=model.table() if isinstance(model, ModelSpec) else None,
        defined_in=defined_in(settled.model),
        reader=None if isinstance(model, ModelSpec) else READER,
        files={},
        tools=identity.tools(FP32),
    )
    option = Artifact(folder, manifest).weights_option()
    command = making.command(
        settled.model, settled.name, manifest, option, LoweringOptions(), settled.classes, settled.root
    )
    return dataclasses.replace(manifest, command=command)
