"""An ONNX file from elsewhere as an artifact: held against the Paddle model that it is said to be, or alone."""

from __future__ import annotations

import dataclasses
import os
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convert import artifact as artifacts
from convert import identity, making, preprocessing
from convert.artifact import ASSUMED, ONNX_FILE, Artifact
from convert.common import commands, worker
from convert.common.disk.files import new_folder, sha256_file, sha256_files, sha256_json
from convert.common.disk.lock import alone
from convert.common.errors import InputError, shown
from convert.families.spec import Preprocessing
from convert.identity import CONVERTER
from convert.images import option
from convert.manifest import FORMAT, BaseArtifact, Counts, MacCounts, Manifest, Port, RequestedWeights
from convert.precision.table import FP32

if TYPE_CHECKING:
    import onnx

OPTION = "--onnx"
_FLOAT = 1  # TensorProto.FLOAT
_LOWER = {10: "float16", 16: "bfloat16"}  # by TensorProto's numbers
_QUANTISED = re.compile("QuantizeLinear|DequantizeLinear|Integer|^QLinear")
UNVOUCHED = (
    "nothing vouches for this ONNX file, since no Paddle program is there to hold it against: agreement only says that"
    " runtimes compute what ONNX's own reference does"
)
_NEEDED = "float32 ['batch', 3, size, size]"


def obtain(
    base: Artifact, file: Path, target: Path, argument: str, say: Callable[[str], None]
) -> tuple[Artifact, bool]:
    """The artifact of an ONNX file, and whether it was there already.

    base: of the Paddle model that the file is said to be; its program gives the reference, its preprocessing the
    images. target: folder of the artifact, which is called as the folder above. argument: MODEL as the user gave it.
    InputError where the file is no ONNX model, takes or gives something else than the model, or another is there.
    """
    if not file.is_file():
        raise InputError(f"{OPTION} {file}: there is no such file")
    digest, present = _digest(file), making.present_in(target, say)
    if present:
        made_from = present.manifest.base
        if made_from is None or present.manifest.defined_in is None or present.precision != base.precision:
            raise InputError(f"{target}: holds a model that was converted: give the file another name with --name")
        if (present.manifest.weights.sha256, made_from.sha256) == (digest, base.sha256) and not present.damage():
            return present, True
        say(f"{target}: it was of another file or model, or is damaged: taken again")
    making.refuse(target)
    lock = target.with_name(f".{target.name}.lock")
    with alone(lock, str(target), wait=True), new_folder(target, artifacts.refuse_others_files) as folder:
        try:
            told = worker.call("convert.other_onnx:run_job", {"file": str(file), "copy": str(folder / ONNX_FILE)})
        except worker.JobError as error:
            raise InputError(f"{OPTION} {file}: no ONNX model that can be read ({error})") from None
        manifest = _described(told, base, file, digest, target, argument)
        artifacts.save(folder, dataclasses.replace(manifest, files=artifacts.entries(folder)))
    return artifacts.load(target), False


def obtain_alone(
    file: Path, target: Path, size: int | None, stated: str | None, say: Callable[[str], None]
) -> tuple[Artifact, bool]:
    """The artifact of an ONNX file that no Paddle program vouches for, and whether it was there already.

    size, stated: `--image-size` and `--preprocessing`. InputError where the file is no classifier of colour images in
    float32, or another model is in the target.
    """
    if not file.is_file():
        raise InputError(f"{OPTION} {file}: there is no such file")
    digest, present = _digest(file), making.present_in(target, say)
    if present and not present.manifest.unvouched:
        raise InputError(f"{target}: holds a model that was converted: give the file another name with --name")
    wanted = None
    if present and present.fits(size):
        wanted = dataclasses.replace(identity.of(present), weights=("file", digest), converter=CONVERTER)
    said = preprocessing.SaidByModel()
    describe = partial(preprocessing.settled, said=said, option=stated, earlier=present)
    make = partial(_taken, file, size, digest, target)
    return making.find_or_make(target, present, wanted, make, describe, f"{OPTION} {file}", say)


def refuse_photos(artifact: Artifact) -> None:
    """InputError where photos would go through a preprocessing that nobody has said: that of a file alone."""
    manifest = artifact.manifest
    if manifest.unvouched and manifest.preprocessing_source in (None, ASSUMED):
        use = f"use {option.OPTION}"
        raise InputError(f"{artifact.model}: an ONNX file does not say how photos become its input: {use}")


def need_paddle_program(artifact: Artifact, what: str) -> None:
    """InputError where there is no Paddle program. what: needs one, in a word or two."""
    if artifact.manifest.unvouched:
        raise InputError(f"{artifact.model}: {what} needs the Paddle model that this ONNX file comes from")


def _taken(file: Path, size: int | None, digest: str, target: Path, folder: Path) -> Manifest:
    """Copy a file into a folder. InputError where it is not what images can be classified with."""
    job = {"file": str(file), "copy": str(folder / ONNX_FILE), "size": size, "alone": True}
    try:
        told = worker.call("convert.other_onnx:run_job", job)
    except worker.JobError as error:
        raise InputError(f"{OPTION} {file}: no ONNX model that can be read and run ({error})") from None
    if told["refused"]:
        raise InputError(f"{OPTION} {file}: {told['refused']}")
    (name, _, shape), output = told["input"][0], told["output"][0]
    return Manifest(
        format=FORMAT,
        converter=CONVERTER,
        model=target.parent.name,
        precision=FP32,
        opset=told["opset"],
        weights=RequestedWeights(kind="file", source=str(file.absolute()), sha256=digest, requested=str(file)),
        inputs=(Port(name, "float32", tuple(shape)),),
        outputs=(Port(output[0], "float32", (shape[0], told["classes"])),),
        preprocessing=Preprocessing(shape[-1], shape[-1], keep_ratio=False, height=shape[-2]),  # until it is settled
        macs=MacCounts(published=None, total=None),
        parameters=Counts(published=None, total=None),
        notes=(UNVOUCHED,),
        spec=None,
        defined_in=str(file.absolute()),
        unvouched=True,
        image_size=size if told["open"] else None,
        files={},
        command=shlex.join(
            [*commands.words("convert"), str(file), "--name", target.parent.name]
            + (["--image-size", str(size)] if told["open"] else [])
        ),
    )


def _digest(file: Path) -> str:
    """sha256 of the file; where its weights lie in others, of those of all. InputError where one is not there."""
    try:
        others = worker.call("convert.other_onnx:external", {"file": str(file)})
        return (
            sha256_json(sha256_files([file, *(file.parent / name for name in others)])) if others else sha256_file(file)
        )
    except worker.JobError as error:
        raise InputError(f"{OPTION} {file}: no ONNX model that can be read ({error})") from None
    except OSError as error:
        raise InputError(f"{OPTION} {file}: its weights lie in another file, which cannot be read ({error})") from None


def external(job: dict[str, str]) -> list[str]:
    """The files, relative to its folder, in which a model has weights, in a process of its own."""
    import onnx
    from onnx.external_data_helper import _get_all_tensors, uses_external_data

    model = onnx.load(job["file"], load_external_data=False)
    tensors = filter(uses_external_data, _get_all_tensors(model))
    return sorted({one.value for tensor in tensors for one in tensor.external_data if one.key == "location"})


def run_job(job: dict[str, Any]) -> dict[str, Any]:
    """Copy a model with all of its weights, in a process of its own: `file` to `copy`.

    Returns its opset, and its inputs and outputs: name, ONNX's number of the type, and shape, a free dimension as text.
    With `alone` true, the height and width that the model leaves open become `size`, and it returns besides why it is
    `refused`, whether they were `open`, and how many `classes` it has, which a run tells.
    """
    import onnx

    onnx.checker.check_model(job["file"])
    model = onnx.load(job["file"])
    large = model.ByteSize() > 2**31 - 2**26  # protobuf's parsers end at 2 GiB
    about = _prepared(model, job["size"]) if job.get("alone") else {}
    if about.get("refused"):
        return about
    onnx.save(model, job["copy"], save_as_external_data=large, location=f"{ONNX_FILE}.data")
    weights = {tensor.name for tensor in model.graph.initializer}

    def told(values: Iterable[onnx.ValueInfoProto]) -> list[Any]:
        return [
            (one.name, one.type.tensor_type.elem_type, [_size(size) for size in one.type.tensor_type.shape.dim])
            for one in values
            if one.name not in weights
        ]

    opset = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 1)
    found = {**about, "opset": opset, "input": told(model.graph.input), "output": told(model.graph.output)}
    return {**found, **_tried(job["copy"], found)} if about else found


def _size(dimension: Any) -> int | str:
    fixed = dimension.HasField("dim_value") and dimension.dim_value > 0  # some exporters write 0 or -1 for a free one
    return int(dimension.dim_value) if fixed else str(dimension.dim_param or "?")


def _prepared(model: onnx.ModelProto, size: int | None) -> dict[str, Any]:
    """Fix the open height and width of a model at `size`. Why it is `refused`, and whether they were `open`."""
    from onnx.external_data_helper import _get_all_tensors

    if model.functions:
        return {"refused": "it has functions of its own: write it with onnx.inliner.inline_local_functions"}
    nodes = model.graph.node
    types = {tensor.data_type for tensor in _get_all_tensors(model)}
    types |= {one.i for node in nodes for one in node.attribute if node.op_type == "Cast" and one.name == "to"}
    lower = {_LOWER[one] for one in types & set(_LOWER)}
    lower |= {node.op_type for node in nodes if _QUANTISED.search(node.op_type)}
    if lower:
        return {"refused": f"alone, a file in FP32 is needed, and it has {', '.join(sorted(lower))}"}
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in weights]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        return {"refused": f"it has {len(inputs)} inputs and {len(model.graph.output)} outputs; one each is needed"}
    tensor = inputs[0].type.tensor_type
    shape = [_size(one) for one in tensor.shape.dim]
    given = f"its input {shown(inputs[0].name)} is {_words(tensor.elem_type)} {shape}"
    if tensor.elem_type != _FLOAT or len(shape) != 4 or shape[1] not in (3, str(shape[1])):
        return {"refused": f"{given}, and {_NEEDED} is needed"}
    fixed_sides = [one for one in shape[2:] if isinstance(one, int)]
    if len(fixed_sides) < 2 and size is None:
        if fixed_sides:
            return {"refused": f"{given}, which leaves one side open: say the pixels with --image-size"}
        return {"refused": f"{given}, which leaves height and width open: say the pixels with --image-size"}
    if len(fixed_sides) == 2 and size is not None and {size} != set(fixed_sides):
        return {"refused": f"{given}, and --image-size is {size}"}
    sides = [one if isinstance(one, int) else size for one in shape[2:]]
    for dimension, wanted in zip(tensor.shape.dim[1:], (3, *sides), strict=True):
        dimension.dim_value = wanted
    return {"refused": None, "open": len(fixed_sides) < 2}


def _tried(copy: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """How many classes a model gives an image, as ONNX Runtime runs it; why it is `refused` where it gives none."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(copy, options, providers=["CPUExecutionProvider"])
    name, _, shape = found["input"][0]
    rows = shape[0] if isinstance(shape[0], int) else 1
    (logits,) = session.run(None, {name: np.zeros((rows, *shape[1:]), np.float32)})
    if logits.dtype != np.float32 or logits.ndim != 2 or len(logits) != rows:
        given = f"{logits.dtype} {list(logits.shape)} for {rows} image{'s' * (rows != 1)}"
        return {"refused": f"its output is {given}, and float32 (batch, classes) is needed"}
    return {"classes": logits.shape[1]}


def _words(kind: int) -> str:
    return "float32" if kind == _FLOAT else f"of ONNX's type {kind}"


def _described(
    told: Mapping[str, Any], base: Artifact, file: Path, digest: str, target: Path, argument: str
) -> Manifest:
    path, name = str(file.absolute()), target.parent.name
    return dataclasses.replace(
        base.manifest,
        model=name,
        opset=told["opset"],
        weights=RequestedWeights(kind="file", source=path, sha256=digest, requested=str(file)),
        inputs=(_port(file, "input", told["input"], (3, *base.image_shape)),),
        outputs=(_port(file, "output", told["output"], (base.classes,)),),
        macs=MacCounts(published=None, total=None),
        parameters=Counts(published=None, total=None),
        notes=(f"an ONNX file from elsewhere, {path}: not converted by vitbench, and held against {base.model}",),
        spec=None,
        defined_in=path,
        rewrites=None,
        base=BaseArtifact(os.path.relpath(base.path, target), base.sha256),
        tools={},
        command=shlex.join([*commands.words("convert"), argument, OPTION, str(file), "--name", name]),
    )


def _port(file: Path, what: str, found: Sequence[tuple[str, int, list[int | str]]], wanted: tuple[int, ...]) -> Port:
    """The one input or output of a file. InputError where it is not the model's: wanted, its shape for one image."""
    if len(found) != 1:
        raise InputError(f"{OPTION} {file}: it has {len(found)} {what}s, and the model has one")
    name, kind, shape = found[0]
    fixed = [(one, two) for one, two in zip(shape[1:], wanted, strict=False) if isinstance(one, int)]
    if kind != _FLOAT or len(shape) != len(wanted) + 1 or any(one != two for one, two in fixed):
        raise InputError(
            f"{OPTION} {file}: its {what} {shown(name)} is {_words(kind)} {shape}, and the model's is float32"
            f" {['batch', *wanted]}"
        )
    return Port(name, "float32", (shape[0], *wanted))
