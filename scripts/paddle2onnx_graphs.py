"""The graph that Paddle2ONNX makes of an artifact's Paddle program, as it comes and lowered to int8, as artifacts.

In int8 the graph goes through the recipe that made ours (`convert.precision`), once its weights are initializers and
not Constant nodes, where the recipe finds none: the same operators become int8, smoothed and calibrated on the same
images, and the same ones stay FP32.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from convert import artifact as artifacts
from convert import cli
from convert.artifact import ONNX_FILE, Artifact
from convert.build import lower
from convert.common import isolate
from convert.common.errors import CheckFailed
from convert.common.files import sha256_file
from convert.manifest import FileEntry
from convert.precision.recipe import INT8, Recipe


def plain(artifact: Artifact, folder: Path) -> Artifact:
    """Paddle2ONNX's own output for an artifact's Paddle program, in an existing folder, as an artifact.

    CheckFailed when Paddle2ONNX gives none.
    """
    job = {
        "program": str(artifact.paddle_program),
        "params": str(artifact.paddle_params),
        "onnx": str(folder / ONNX_FILE),
        "opset": artifact.manifest.opset,
    }
    _apart("export", job, f"{artifact.model}: Paddle2ONNX gave no model")
    return _stored(artifact, folder)


def export(job: dict[str, Any]) -> None:
    """The other side of `plain`."""
    import paddle2onnx

    paddle2onnx.export(
        job["program"],
        job["params"],
        job["onnx"],
        opset_version=job["opset"],
        auto_upgrade_opset=False,
        enable_onnx_checker=False,
        optimize_tool=None,
    )
    if not Path(job["onnx"]).is_file():  # it logs its own exceptions and returns
        raise RuntimeError("its reason is in the log above")


def lowered(theirs: Artifact, ours: Artifact, folder: Path) -> Artifact:
    """Paddle2ONNX's own graph as int8, in an existing folder, by the recipe that made ours. ours: the int8 artifact.

    CheckFailed when the graph cannot be lowered.
    """
    lifted = folder / "lifted"
    lifted.mkdir()
    job = {"onnx": str(theirs.onnx), "lifted": str(lifted / ONNX_FILE)}
    _apart("lift", job, f"{theirs.model}: Paddle2ONNX's graph to int8")
    base = _stored(theirs, lifted)
    images = ours.manifest.recipe.calibration if ours.manifest.recipe else None
    kept = tuple(entry.operator for entry in ours.manifest.kept_fp32 or ())
    recipe = Recipe(INT8, Path(images) if images else None, kept)
    return lower(base, recipe, folder / INT8, cli.say, base.model)[0]


def lift(job: dict[str, Any]) -> None:
    """The other side of `lowered`: the tensors of Constant nodes as initializers of the same names."""
    model = onnx.load(job["onnx"])
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        if node.op_type == "Constant":
            tensor = model.graph.initializer.add()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
        else:
            model.graph.node.add().CopyFrom(node)
    onnx.save(model, job["lifted"])


def _apart(function: str, job: dict[str, Any], failed: str) -> None:
    """Run a function of this file in a process of its own. CheckFailed, beginning with `failed`, when it fails."""
    try:
        isolate.call(f"scripts.paddle2onnx_graphs:{function}", job)
    except isolate.JobError as error:
        raise CheckFailed(f"{failed}: {error}") from None


def _stored(artifact: Artifact, folder: Path) -> Artifact:
    """The artifact of the ONNX file in a folder, with another's manifest but for the files."""
    file = folder / ONNX_FILE
    entries = {file.name: FileEntry(file.stat().st_size, sha256_file(file))}
    return artifacts.save(folder, replace(artifact.manifest, files=entries))
