"""ncnn's own converter for graphs that our writer does not know: a program that users may have, no dependency."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convert.common.disk import scratch
from convert.common.disk.files import write_text
from convert.common.errors import shown
from runtimes.base import UnavailableError
from runtimes.ncnn.net import UnknownError

if TYPE_CHECKING:
    from onnx import TensorProto

VARIABLE = "VITBENCH_PNNX"
ADVICE = f"name the program pnnx in {VARIABLE}, or have it on PATH, for what it may know"
_LIMIT_S = 3600
_LEAST = 0.75  # of the bytes of the ONNX file's weights: constants are folded, and half of them would be FP16


def find() -> Path | None:
    """The program, where there is one. UnavailableError when the variable names none."""
    named = os.environ.get(VARIABLE)
    found = shutil.which(named or "pnnx")
    if named and not found:
        raise UnavailableError(f"{VARIABLE}={shown(named)}: there is no such program")
    return Path(found).resolve() if found else None


def identity(tool: Path) -> list[str]:
    """What a result depends on, without reading all of a large file."""
    status = tool.stat()
    return [str(tool), str(status.st_size), str(status.st_mtime_ns)]


def convert(tool: Path, source: Path, target: Path) -> dict[str, Any]:
    """`target`.param and .bin by pnnx, for one image, and what is in them, as `writer.write` has it.

    It ends with status 0 when it has failed, so what it wrote is looked into. UnknownError says what is wrong with it.
    """
    import onnx  # late: adapters are imported by every command

    from runtimes.ncnn.graph import blob_name

    model = onnx.load(source, load_external_data=False)
    weights = {tensor.name: _bytes(tensor) for tensor in model.graph.initializer}
    ends = [[one for one in model.graph.input if one.name not in weights], list(model.graph.output)]
    if any(len(one) != 1 for one in ends):
        raise UnknownError("is asked for models of one input and one output only")
    names = {ours: blob_name(end.name) for ours, (end,) in zip(("in0", "out0"), ends, strict=True)}
    sizes, last = ([size.dim_value for size in end.type.tensor_type.shape.dim[1:]] for (end,) in ends)
    if not all(sizes) or not all(last):
        raise UnknownError("is asked for models of known sizes only")
    with scratch.folder() as folder:  # it writes eight files beside the model
        for file in (source, source.with_name(f"{source.name}.data")):
            if file.exists():
                (folder / file.name).symlink_to(file.resolve())
        shape = ",".join(map(str, [1, *sizes]))
        command = [str(tool), source.name, f"inputshape=[{shape}]f32", "fp16=0"]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_LIMIT_S, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnknownError(f"cannot be run: {error}") from None
        said = shown(" ".join((done.stdout + done.stderr).decode(errors="replace").split()[-20:]))
        made = [folder / f"{source.stem}.ncnn.{kind}" for kind in ("param", "bin")]
        if done.returncode or not all(file.is_file() for file in made):
            raise UnknownError(f"ended with status {done.returncode}: {said}")
        head, lines = _layers(made[0].read_text(encoding="utf-8"), names)
        kinds = [line[0] for line in lines]
        if foreign := [kind for kind in kinds if "." in kind]:
            raise UnknownError(f"does not know {foreign[0]} either")
        written, needed = made[1].stat().st_size, sum(weights.values())
        if written < _LEAST * needed:
            raise UnknownError(f"wrote {written} bytes for {needed} bytes of weights, so they are not float32")
        write_text(target.with_suffix(".param"), "\n".join([*head, *map(" ".join, lines)]) + "\n")
        shutil.copyfile(made[1], target.with_suffix(".bin"))
    given, result = names.values()
    return {
        "input": given,
        "outputs": [result],
        "shapes": {given: sizes, result: last},
        "layers": Counter(kinds),
        "writer": "pnnx",
    }


def _layers(text: str, names: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """The head of a .param and the words of each layer, its blobs renamed. UnknownError when it is none."""
    lines = text.splitlines()
    layers = [line.split() for line in lines[2:] if line.strip()]
    try:
        for words in layers:
            blobs = slice(4, 4 + int(words[2]) + int(words[3]))
            words[blobs] = [names.get(word, word) for word in words[blobs]]
    except (IndexError, ValueError):
        layers = []
    if not layers:
        raise UnknownError("wrote no .param that can be read")
    return lines[:2], layers


def _bytes(tensor: TensorProto) -> int:
    """Of a float32 tensor; 0 for any other."""
    size = 4 if tensor.data_type == tensor.FLOAT else 0
    for dimension in tensor.dims:
        size *= dimension
    return size
