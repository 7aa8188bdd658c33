"""The other side of `model_file.converted`, in a process of its own: an ONNX graph as a .param and a .bin."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from convert.common.disk.files import write_text
from runtimes import kept_form
from runtimes.base import UnavailableError
from runtimes.ncnn import graph, layers, net, pnnx
from runtimes.ncnn.layers import Layer
from runtimes.ncnn.net import MODEL, PROBE, UnknownError
from runtimes.probe import significand

_MAGIC = 7767517  # of a .param
_FLOAT32 = b"\0\0\0\0"  # the tag of weights that are stored as float32


def convert(job: dict[str, Any]) -> None:
    """Fill a folder, with the graph and its weights in memory once. UnknownError as from `graph.read`."""
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
    kept_form.seal(folder, made)


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
