"""What the commands that work on artifacts share: their options, and how an artifact is had and spoken of."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import click
from click.core import ParameterSource

from convert import making
from convert.artifact import ARTIFACTS, Artifact
from convert.build import Request, obtain
from convert.common.console import say
from convert.common.disk import lock, scratch
from convert.common.disk.folders import FolderToWrite
from convert.common.errors import CheckFailed, InputError
from convert.families.base import ModelSpec
from convert.images.option import HELP as PREPROCESSING_HELP
from convert.model_options import WEIGHTS_HELP, ModelOptions
from convert.models import (
    ConvertedModel,
    InferenceFolder,
    OnnxFile,
    ShippedFolder,
    all_called,
    find,
    find_all,
    onnx_alone,
)
from convert.precision.table import FP32, INT8, PRECISIONS
from convert.zoo import DEFAULT_MODEL

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Asked:
    """An artifact, and what a command is given to mean it: MODEL, and the options that say more of it."""

    argument: str
    chosen: ModelOptions
    artifact: Artifact


def model_options(command: Command, precision: str = "fp32", onnx: bool = True) -> Command:
    """`--model`, what ModelOptions has, `--precision`, `--artifacts` and `--json`, for commands that work on artifacts.

    The command gets the ModelOptions as `chosen`. precision: the default. onnx: whether `--onnx` is among them.
    """
    options: list[Callable[[Any], Any]] = [
        click.option(
            "--model",
            "models",
            default=DEFAULT_MODEL,
            show_default=True,
            help="Comma-separated: a name (of an artifact that is there, too), all (the seven), a .toml spec, a folder"
            " with a Paddle inference model.",
        ),
        functools.partial(chosen_options, onnx=onnx),
        click.option(
            "--precision",
            default=precision,
            show_default=True,
            help="Of the artifact: fp32, fp16, bf16 or int8; tf32 is fp32 as a GPU multiplies it.",
        ),
        click.option(
            "--artifacts",
            "root",
            type=FolderToWrite(perhaps=True),
            default=ARTIFACTS,
            show_default=True,
            help="Folder of the artifacts.",
        ),
        click.option(
            "--json", "as_json", is_flag=True, help="One JSON document on standard output, nothing else there."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def chosen_options(command: Command, onnx: bool = True) -> Command:
    """The options of ModelOptions; the command gets what they came to as `chosen`."""

    @functools.wraps(command)
    def collected(
        *args: Any,
        weights: str | None,
        weights_key: str | None,
        name: str | None,
        image_size: int | None,
        preprocessing: str | None,
        **rest: Any,
    ) -> Any:
        file = rest.pop("onnx") if onnx else None
        if file is not None and not any(map(named, ("model", "models"))):
            model: dict[str, Any] = {key: onnx_alone(file) for key in ("model", "models") if key in rest}
            click.get_current_context().params.update(model, onnx=None)  # where the bench reads what was given
            rest, file = rest | model, None
        chosen = ModelOptions(weights, weights_key, name, image_size, preprocessing, file)
        return command(*args, chosen=chosen, **rest)

    options = [
        click.option(
            "--weights", default=None, help=f"{WEIGHTS_HELP}  [default: those of the artifact that is there, else auto]"
        ),
        click.option(
            "--weights-key", metavar="KEY", help="Which of several state dicts in the file of --weights, as model_ema."
        ),
        click.option("--name", help="What the model is called.  [default: its own name]"),
        click.option(
            "--image-size",
            type=click.IntRange(min=1),
            metavar="PIXELS",
            help="Height and width of the input, for a model that leaves them open.",
        ),
        click.option(
            "--preprocessing",
            metavar="NAME|TABLE.toml|KEY=VALUE",
            multiple=True,
            callback=lambda _context, _option, given: ";".join(given) if given else None,
            help=PREPROCESSING_HELP,
        ),
        click.option(
            "--onnx",
            metavar="FILE",
            help="An ONNX file from elsewhere, held against the Paddle model that --model names, instead of what"
            " vitbench converts of that; without --model it is measured, and nothing vouches for it. --name says what"
            " it is called, else its own name does.",
        ),
    ]
    found: Any = collected
    for option in reversed(options if onnx else options[:-1]):
        found = option(found)
    return cast(Command, found)


def artifacts(
    models: str,
    chosen: ModelOptions,
    precision: str,
    root: Path = ARTIFACTS,
    missing: list[Request] | None = None,
    unmade: list[str] | None = None,
) -> dict[str, Artifact]:
    """The artifacts of a `--model` list by the names that the user gave, converted where they are not there yet.

    missing: given a list, nothing is converted; what would have to be is appended to it. unmade: given a list, an
    artifact whose making fails is left out, and the reason appended to it.

    tf32 is FP32 arithmetic of a GPU on the fp32 artifact. InputError when two models have the same name.
    """
    stored = PRECISIONS[precision].artifact if precision in PRECISIONS else precision
    requests = {model: Request(model, precision=stored, root=root, **vars(chosen)) for model in find_all(models)}
    all_called({model: find(model, root) for model in requests}, chosen.name)
    if chosen.onnx is not None and len(requests) > 1:
        raise InputError(f"--onnx {chosen.onnx}: one file for {len(requests)} models; name one of them")
    if missing is not None:
        found = {model: there(request) for model, request in requests.items()}
        missing += [requests[model] for model, artifact in found.items() if artifact is None]
        return {model: artifact for model, artifact in found.items() if artifact is not None}
    made = {}
    for model, request in requests.items():
        try:
            made[model] = obtain_loudly(request)[0]
        except CheckFailed as error:
            if unmade is None:
                raise
            unmade.append(error.message)
    return made


def there(request: Request) -> Artifact | None:
    """The artifact for a request where it is there and whole; None where `obtain` would make it. Writes nothing."""
    try:
        with making.nothing():
            return obtain(request, lambda text: None)[0]
    except making.NotConvertedError:
        return None


def estimated_bytes(request: Request) -> int:
    """About how much disk the artifact for a request takes, without that of the FP32 artifact below it."""
    named = find(request.model, request.root)
    model = named.model if isinstance(named, ConvertedModel) else named
    if isinstance(model, ModelSpec):
        weights = sum(4 * math.prod(shape) for shape in model.state_shapes().values())
    elif isinstance(model, InferenceFolder):
        weights = model.params.stat().st_size
    elif isinstance(model, (ShippedFolder, OnnxFile)):  # a copy of the file, where it is there
        return model.path.stat().st_size if isinstance(model, OnnxFile) and model.path.is_file() else 0
    else:
        published = model.published if model else None
        weights = int(4e6 * published.mparams) if published else 0
    # FP32 has its weights twice: in the ONNX file, and for the reference and Paddle Inference.
    return int(weights * {FP32: 2.0, INT8: 0.25}.get(request.precision, 0.5))


def obtain_loudly(request: Request) -> tuple[Artifact, bool]:
    """`build.obtain`, saying what was made and, each time, what the user must know of the weights."""
    scratch.sweep_below(request.root)
    lock.sweep(request.root)
    artifact, reused = obtain(request, say)
    manifest = artifact.manifest
    elsewhere = manifest.unvouched or (manifest.base and manifest.precision == FP32)  # a lower one is made of FP32
    if not reused and elsewhere:
        say(f"{artifact.model}: the ONNX file as it is, in {artifact.path}")
    elif not reused:
        say(f"{artifact.model}: converted, in {artifact.path}")
    for note in manifest.notes:
        say(f"{artifact.model}: NOTE: {note}")
    return artifact, reused


def batches(artifact: Artifact, asked: tuple[int, ...], named: bool) -> tuple[int, ...]:
    """The batch sizes that a command works with: those asked for, or the only one that a model was exported with.

    named: whether the user named them; InputError then for one that is not possible.
    """
    if reason := artifact.no_batch(*asked) if named else None:
        raise InputError(f"{artifact.model}: {reason}")
    return asked if artifact.batch is None else (artifact.batch,)


def named(parameter: str) -> bool:
    """Whether the running command was given one of its parameters by the user."""
    return click.get_current_context().get_parameter_source(parameter) == ParameterSource.COMMANDLINE


def drawn_weights_warning(artifact: Artifact) -> str:
    """The warning that goes wherever numbers of drawn weights are shown; empty for trained ones."""
    if not artifact.seeded:
        return ""
    meaning = "speed and parity hold, accuracy means nothing"
    return f"{artifact.model}: WARNING: {artifact.manifest.weights.source} weights are drawn, not trained: {meaning}"
