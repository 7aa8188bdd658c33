"""An artifact in ncnn's own form, written by us and kept: layers in a .param, weights in a .bin."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from convert.artifact import Artifact
from convert.common import worker
from convert.common.disk.files import new_folder, sha256_file, write_json, write_text
from convert.common.errors import is_full
from runtimes.base import Options, UnavailableError, cache_folder
from runtimes.ncnn import graph, layers, net, pnnx
from runtimes.ncnn.graph import UnknownError
from runtimes.ncnn.layers import Layer
from runtimes.probe import significand

MODEL, PROBE, MADE = "model", "probe", "made.json"
_MAGIC = 7767517  # of a .param
_FLOAT32 = b"\0\0\0\0"  # the tag of weights that are stored as float32
_CODE = (__file__, graph.__file__, layers.__file__, net.__file__, pnnx.__file__, significand.__file__)


def converted(artifact: Artifact, options: Options) -> Path:
    """The folder with the artifact and the probe as MODEL and PROBE .param and .bin, and MADE: JSON with the names of
    `input` and `outputs`, `shapes` of both per image, `layers` counted, `writer`.

    Our own writer's where it knows every operator, else pnnx'. Made once per artifact and state of this code.
    UnavailableError says which operator it does not know, or what pnnx said.
    """
    code = [sha256_file(Path(file)) for file in _CODE]
    own = cache_folder(artifact, options, "ncnn", *code)
    tool = pnnx.find()
    others = cache_folder(artifact, options, "ncnn", *code, *pnnx.identity(tool)) if tool else None
    for folder in (own, others):
        if folder and _whole(folder):
            return folder
    if not (reason := _make(artifact, own, None)):
        return own
    if not tool or not others:
        raise UnavailableError(f"vitbench's writer for ncnn does not know {reason}; {pnnx.ADVICE}")
    if refused := _make(artifact, others, tool):
        raise UnavailableError(f"vitbench's writer for ncnn does not know {reason}, and pnnx {refused}")
    return others


def shipped(artifact: Artifact) -> Path | None:
    """Likewise of a folder to ship, which was written before; None of an artifact. UnavailableError when it is not
    whole."""
    if artifact.form != "ncnn":
        return None
    if not _whole(artifact.path):
        raise UnavailableError(f"{artifact.path}: not every file of the model in ncnn's form is there")
    return artifact.path


def _make(artifact: Artifact, folder: Path, tool: Path | None) -> str | None:
    """Write a folder in a process of its own. Why it cannot be, in a clause; None where it is there."""
    try:
        with new_folder(folder) as work:
            job = {"onnx": str(artifact.onnx), "folder": str(work), "pnnx": str(tool) if tool else None}
            worker.call("runtimes.ncnn.model_file:convert", job)
    except worker.JobError as error:
        if error.kind == UnknownError.__name__:
            return error.said
        raise UnavailableError(f"ncnn's form of the model cannot be written: {error}") from None
    except OSError as error:
        if is_full(error):
            raise
        raise UnavailableError(f"the model as ncnn needs it cannot be written: {error}") from None
    return None


def _whole(folder: Path) -> bool:
    """Whether every file is there to the last byte."""
    try:
        made = json.loads((folder / MADE).read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == size for name, size in made["bytes"].items())
    except (OSError, ValueError, KeyError):
        return False


def convert(job: dict[str, Any]) -> None:
    """The other side of `_make`, with the graph and its weights in memory once. UnknownError as from `graph.read`."""
    folder = Path(job["folder"])
    if job["pnnx"]:
        made = pnnx.convert(Path(job["pnnx"]), Path(job["onnx"]), folder / MODEL)
        _try(folder / MODEL, made)
    else:
        read = graph.read(Path(job["onnx"]))
        made = {**write(read, folder / MODEL), "writer": "vitbench"}
    probe = folder / "probe.onnx"
    significand.write_probe(probe)
    made["probe"] = write(graph.read(probe), folder / PROBE)
    probe.unlink()
    made["bytes"] = {file.name: file.stat().st_size for file in folder.iterdir()}
    write_json(folder / MADE, made)


def _try(model: Path, made: dict[str, Any]) -> None:
    """Compute one drawn image. UnknownError when ncnn does not load it, or gives something that is no answer."""
    shapes, (output,) = made["shapes"], made["outputs"]
    image = np.random.default_rng(0).standard_normal((1, *shapes[made["input"]]), dtype=np.float32)
    try:
        answer = net.run(net.load(model), made["input"], image, [output])[output]
    except UnavailableError as error:
        raise UnknownError(f"wrote what is no model: {error}") from None
    if answer.shape != (1, *shapes[output]) or not np.isfinite(answer).all():
        raise UnknownError(f"wrote another model: it answers {answer.shape}, {np.isfinite(answer).mean():.0%} finite")


def write(model: graph.ImageGraph, target: Path) -> dict[str, Any]:
    """Write `target`.param and .bin, one tensor at a time, and say what is in them. UnknownError as from `layers`."""
    names = (model.input, *model.outputs)
    found = _numbered(_split(layers.layers(model), model.outputs), names)
    blobs = {name for layer in found for name in layer.tops}
    lines = [str(_MAGIC), f"{len(found)} {len(blobs)}", *map(_line, found)]
    write_text(target.with_suffix(".param"), "\n".join(lines) + "\n")
    with target.with_suffix(".bin").open("wb") as stream:
        for layer in found:
            for weight in layer.weights:
                _write(stream, weight)
    return {
        "input": model.input,
        "outputs": list(model.outputs),
        "shapes": {name: model.shapes[name] for name in names},
        "layers": Counter(layer.kind for layer in found),
    }


def _write(stream: BinaryIO, weight: layers.Weight) -> None:
    array = np.asarray(weight.array)
    if array.dtype != np.float32:
        raise UnknownError(f"weights of {array.dtype}; float32 is needed")
    if weight.tagged:
        stream.write(_FLOAT32)
    stream.write(np.ascontiguousarray(array.T if weight.turned else array, "<f4").data)


def _split(found: list[Layer], outputs: Sequence[str]) -> list[Layer]:
    """A blob is read once in ncnn, so one that several read goes through a layer that hands it out."""
    readers = Counter(name for layer in found for name in layer.bottoms) + Counter(outputs)
    parts: dict[str, list[str]] = {}
    done: list[Layer] = []
    for layer in found:
        bottoms = [parts[name].pop() if name in parts else name for name in layer.bottoms]
        shared = [name for name in layer.tops if readers[name] > 1]
        # An output of the model has its name from the Split, where it is the last one that is left.
        wholes = {name: f"{name} whole" for name in shared if name in outputs}
        done.append(replace(layer, bottoms=bottoms, tops=[wholes.get(name, name) for name in layer.tops]))
        for name in shared:
            first = name if name in wholes else f"{name} part 0"
            parts[name] = [first, *(f"{name} part {i}" for i in range(1, readers[name]))]
            done.append(Layer("Split", f"{name} split", [wholes.get(name, name)], list(parts[name])))
    return done


def _numbered(found: list[Layer], kept: Iterable[str]) -> list[Layer]:
    """Blobs inside the model by number: a .param has no room for every name that an ONNX graph may have."""
    names = {name: name for name in kept}
    numbers = (str(i) for i in range(sum(len(layer.tops) for layer in found) + len(names)) if str(i) not in names)
    for layer in found:
        for name in layer.tops:
            if name not in names:
                names[name] = next(numbers)
    return [
        replace(layer, bottoms=[names[name] for name in layer.bottoms], tops=[names[name] for name in layer.tops])
        for layer in found
    ]


def _line(layer: Layer) -> str:
    name = re.sub(r"[^!-~]", "_", layer.name)[:200]
    words = [layer.kind, name, str(len(layer.bottoms)), str(len(layer.tops)), *layer.bottoms, *layer.tops]
    return " ".join([*words, *(_param(key, value) for key, value in layer.params.items())])


def _param(key: int, value: int | float | list[int]) -> str:
    if isinstance(value, list):
        return f"{-23300 - key}={','.join(map(str, [len(value), *value]))}"
    # Nine digits bring a float32 back, and more than 15 characters are cut off (ncnn's ParamDict).
    return f"{key}={value:.8e}" if isinstance(value, float) else f"{key}={value}"
