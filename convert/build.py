"""From a model and its weights to an artifact: found when it is there and whole, made when it is not."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import shlex
from collections.abc import Callable
from pathlib import Path

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.common import isolate
from convert.common.errors import CheckFailed, GraphError, InputError
from convert.common.files import new_folder, sha256_file, sha256_files, sha256_json, write_json
from convert.families.spec import ModelSpec
from convert.models import InferenceFolder, find
from convert.precision import obtain as variants
from convert.precision.recipe import INT8, PRECISIONS, Recipe
from convert.weights.resolve import Fingerprint, fingerprint, resolve

DEFAULT_OPSET = 17
# Below 17 LayerNormalization is written out in primitives; above 21 Paddle2ONNX 2.1.0 aborts, which knows 7 to 21.
OPSETS = range(17, 22)
ARTIFACTS = Path("artifacts")
FP32 = "fp32"
_TOOLS = ("vitbench", "paddlepaddle", "paddle2onnx", "onnx", "onnxscript", "numpy")

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Request:
    """What an artifact is asked to be. weights: as for `--weights`.

    weights and opset may be None: then they are those of the artifact that is there, else `auto` and DEFAULT_OPSET.

    calibration and keep_fp32: as in `variants.obtain.Recipe`, None for what the artifact that is there was made with.

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

    It is found by the hash of all that goes into it: architecture, weights, options, tools and this code; a damaged
    one is made again. say: told in a line what is going on. InputError: the model or the weights are wrong;
    CheckFailed: Paddle2ONNX failed, or what it gave is not the model.
    """
    model = find(request.model)
    target = request.root / model.name / request.precision
    if request.precision != FP32:
        return variant(request, target, say)
    present = _present(target, say)
    settled = _settled(request, model, present)
    known = _fingerprint(request, settled, model, present)
    if present and known and present.manifest.get("key") == _key(settled, model, known):
        damage = present.damage()
        if not damage:
            return present, True
        say(f"{target}: {damage}; converting again")
    return _make(settled, model, target, say), False


def variant(request: Request, target: Path, say: Say) -> tuple[Artifact, bool]:
    """`obtain` for a lower precision, in a folder of its own: several of them can be tried side by side."""
    plain = dataclasses.replace(request, precision=FP32, calibration=None, keep_fp32=None)
    base, _ = obtain(plain, say)
    recipe = Recipe(request.precision, request.calibration, request.keep_fp32)
    return variants.obtain(base, recipe, _present(target, say), target, functools.partial(_command, request), say)


def _present(target: Path, say: Say) -> Artifact | None:
    if not target.exists():
        return None
    try:
        return artifacts.load(target)
    except InputError as error:
        say(f"{error.message}; converting again")
        return None


def _settled(request: Request, model: ModelSpec | InferenceFolder, present: Artifact | None) -> Request:
    """The request with what it left open taken from the artifact that is there, else from the defaults."""
    if isinstance(model, InferenceFolder) and request.weights not in (None, "auto"):
        raise InputError(f"--weights {request.weights}: {request.model} is an inference model and brings its own")
    weights = request.weights or (present.manifest["weights"]["requested"] if present else "auto")
    opset = request.opset or (present.manifest["opset"] if present else DEFAULT_OPSET)
    return dataclasses.replace(request, weights=weights, opset=opset)


def _fingerprint(
    request: Request, settled: Request, model: ModelSpec | InferenceFolder, present: Artifact | None
) -> Fingerprint | None:
    """What identifies the weights, as far as it is known without the network; None when only a download can tell."""
    if isinstance(model, InferenceFolder):
        return _folder_fingerprint(model)
    inside = _inside(present) if present else None
    if request.weights is None and inside:
        return inside
    assert settled.weights
    known = fingerprint(settled.weights, model)
    if known is None and present and settled.weights == present.manifest["weights"]["requested"] == "auto":
        return inside  # an earlier `auto` found no network: do not wait for it each time; `pretrained` asks again
    return known


def _inside(artifact: Artifact) -> Fingerprint:
    entry = artifact.manifest["weights"]
    return Fingerprint(entry["kind"], entry["source"], entry["sha256"], entry["note"])


def _folder_fingerprint(model: InferenceFolder) -> Fingerprint:
    return Fingerprint("file", str(model.program.parent), sha256_json(sha256_files([model.program, model.params])))


def _key(request: Request, model: ModelSpec | InferenceFolder, weights: Fingerprint) -> str:
    """Hash of everything that can change the artifact."""
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    return sha256_json(
        {
            "spec": dataclasses.asdict(model) if isinstance(model, ModelSpec) else None,
            "weights": [weights.kind, weights.sha256],
            "precision": request.precision,
            "opset": request.opset,
            "tools": _tools(),
            "code": [sha256_file(file) for file in sources],
        }
    )


def _tools() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _TOOLS}


def _make(request: Request, model: ModelSpec | InferenceFolder, target: Path, say: Say) -> Artifact:
    from convert.export import assemble

    weights, opset = request.weights or "auto", request.opset or DEFAULT_OPSET
    with new_folder(target) as folder:
        try:
            if isinstance(model, ModelSpec):
                made = assemble.from_spec(model, resolve(weights, model), folder, opset)
            else:
                made = assemble.from_folder(model, _folder_fingerprint(model), folder, opset)
        except (isolate.JobError, GraphError) as error:
            say(getattr(error, "log", "").strip())
            raise CheckFailed(f"{model.name}: the conversion failed: {error}") from None
        manifest = {
            "model": model.name,
            "precision": request.precision,
            "opset": opset,
            "weights": {**dataclasses.asdict(made.weights), "requested": weights},
            **made.facts,
            "files": artifacts.entries(folder),
            "tools": _tools(),
            "key": _key(request, model, made.weights),
        }
        manifest["command"] = _command(request, opset, Artifact(folder, manifest).weights_option(weights), [])
        write_json(folder / artifacts.MANIFEST, manifest)
    return artifacts.load(target)


def _command(request: Request, opset: int, weights: str | None, more: list[str]) -> str:
    """The command that makes the same artifact again. more: what a precision needs besides."""
    words = ["python", "-m", "convert", request.model, "--precision", request.precision]
    words += ["--weights", weights] if weights else []
    words += ["--opset", str(opset)] if opset != DEFAULT_OPSET else []
    return shlex.join(words + more)
