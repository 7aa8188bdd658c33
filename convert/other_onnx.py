"""An ONNX file from elsewhere as an artifact, to be held against the Paddle model that it is said to be."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convert import artifact as artifacts
from convert import making
from convert.artifact import ONNX_FILE, Artifact
from convert.common import commands, names, worker
from convert.common.disk.files import new_folder, sha256_file, sha256_files, sha256_json
from convert.common.disk.lock import alone
from convert.common.errors import InputError, shown
from convert.manifest import BaseArtifact, Counts, MacCounts, Manifest, Port, RequestedWeights

if TYPE_CHECKING:
    import onnx

OPTION = "--onnx"
_FLOAT = 1  # TensorProto.FLOAT


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


def name_of(file: Path) -> str:
    """What the model of a file is called where nobody says it."""
    return names.fitted(file.stem) or "onnx"


def run_job(job: dict[str, str]) -> dict[str, Any]:
    """Copy a model with all of its weights, in a process of its own: `file` to `copy`.

    Returns its opset, and its inputs and outputs: name, ONNX's number of the type, and shape, a free dimension as text.
    """
    import onnx

    onnx.checker.check_model(job["file"])
    model = onnx.load(job["file"])
    large = model.ByteSize() > 2**31 - 2**26  # protobuf's parsers end at 2 GiB
    onnx.save(model, job["copy"], save_as_external_data=large, location=f"{ONNX_FILE}.data")
    weights = {tensor.name for tensor in model.graph.initializer}

    def told(values: Iterable[onnx.ValueInfoProto]) -> list[Any]:
        return [
            (one.name, one.type.tensor_type.elem_type, [_size(size) for size in one.type.tensor_type.shape.dim])
            for one in values
            if one.name not in weights
        ]

    opset = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 1)
    return {"opset": opset, "input": told(model.graph.input), "output": told(model.graph.output)}


def _size(dimension: Any) -> int | str:
    return int(dimension.dim_value) if dimension.HasField("dim_value") else str(dimension.dim_param or "?")


def _described(
    told: Mapping[str, Any], base: Artifact, file: Path, digest: str, target: Path, argument: str
) -> Manifest:
    path, name, size = str(file.absolute()), target.parent.name, base.image_size
    return dataclasses.replace(
        base.manifest,
        model=name,
        opset=told["opset"],
        weights=RequestedWeights(kind="file", source=path, sha256=digest, requested=str(file)),
        inputs=(_port(file, "input", told["input"], (3, size, size)),),
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
        is_float = "float32" if kind == _FLOAT else f"of ONNX's type {kind}"
        raise InputError(
            f"{OPTION} {file}: its {what} {shown(name)} is {is_float} {shape}, and the model's is float32"
            f" {['batch', *wanted]}"
        )
    return Port(name, "float32", (shape[0], *wanted))
