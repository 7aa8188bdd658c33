"""An artifact in ncnn's own form, written by us and kept: layers in a .param, weights in a .bin."""

from __future__ import annotations

from pathlib import Path

from convert.artifact import Artifact
from convert.common import worker
from convert.common.disk.files import sha256_file
from runtimes import kept_form
from runtimes.base import Options, UnavailableError, cache_folder
from runtimes.ncnn import pnnx
from runtimes.ncnn.net import UnknownError
from runtimes.probe import significand

_CODE = [Path(__file__).with_name(f"{name}.py") for name in ("graph", "layers", "net", "pnnx", "writer")]
_CODE.append(Path(significand.__file__))


def converted(artifact: Artifact, options: Options) -> Path:
    """The folder with the artifact and the probe as MODEL and PROBE .param and .bin, and MADE with the names of
    `input` and `outputs`, `shapes` of both per image, `layers` counted, `writer`.

    Our own writer's where it knows every operator, else pnnx'. Made once per artifact and state of this code.
    UnavailableError says which operator it does not know, or what pnnx said.
    """
    code = [sha256_file(file) for file in _CODE]
    own = cache_folder(artifact, options, "ncnn", *code)
    tool = pnnx.find()
    others = cache_folder(artifact, options, "ncnn", *code, *pnnx.identity(tool)) if tool else None
    for folder in (own, others):
        if folder and kept_form.whole(folder):
            return folder
    if not (reason := _make(artifact, own, None)):
        return own
    if not tool or not others:
        raise UnavailableError(f"vitbench's writer for ncnn does not know {reason}; {pnnx.ADVICE}")
    if refused := _make(artifact, others, tool):
        raise UnavailableError(f"vitbench's writer for ncnn does not know {reason}, and pnnx {refused}")
    return others


def _make(artifact: Artifact, folder: Path, tool: Path | None) -> str | None:
    """Write a folder. Why it cannot be, in a clause; None where it is there."""
    job = {"onnx": str(artifact.onnx), "pnnx": str(tool) if tool else None}
    try:
        kept_form.make(folder, "runtimes.ncnn.writer:convert", job, "ncnn")
    except worker.JobError as error:
        if error.kind == UnknownError.__name__:
            return error.said
        raise UnavailableError(f"ncnn's form of the model cannot be written: {error}") from None
    return None
