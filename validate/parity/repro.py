"""A folder that reproduces a failed check anywhere: the model, what went in, what came out and what should have."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from convert import artifact as artifacts
from convert.artifact import MANIFEST, Artifact
from convert.cli import say
from convert.common.errors import InputError
from convert.common.files import new_folder, write_json, write_text
from convert.images.inputs import Inputs
from runtimes import registry
from runtimes.base import Options
from validate.parity.check import Case, Checked
from validate.parity.reference import Reference

FOLDER = "failures"
_CASE, _MODEL, _README = "case.json", "model", "README.md"
_INPUTS, _EXPECTED, _PADDLE, _OUTPUTS = "inputs.npy", "expected.npy", "paddle_fp32.npy", "outputs.npy"
_LARGE = 100_000_000  # bytes: copying that much takes time and room, and is said

_README_TEXT = """\
# {model} {precision} on {runtime}: parity failed

{reason}

    {command}

runs it again, from this folder alone, and ends with exit status 1 as long as it fails.

| file | what |
| --- | --- |
| `model/` | the artifact: `model.onnx`, `manifest.json` and the Paddle program that it came from |
| `inputs.npy` | the images (count, 3, height, width), float32, preprocessed |
| `expected.npy` | the reference: Paddle in float64 (count, classes) |
| `paddle_fp32.npy` | Paddle's own FP32, with plain kernels (count, classes) |
| `outputs.npy` | what {runtime} answered (rows, classes), pass after pass; absent if it gave no answer |
| `case.json` | the passes (batch size and order of the images), names, options and the record of the failure |
"""


def command(folder: Path) -> str:
    """The command that runs a failed check again."""
    return shlex.join(["python", "-m", "validate.parity", "--repro", str(folder)])


def write(results: Path, case: Case, checked: Checked) -> Path:
    """Write the folder of a failed check under `failures/` in a results folder and return its path.

    The model's files are hard links where the file system allows it, else copies. A check that is the same in all but
    its outcome replaces the folder of the one before; another one gets a number. InputError when there is no room.
    """
    record = checked.record
    description = _describe(case, checked)
    target = _target(results / FOLDER, f"{record['model']}-{record['precision']}-{record['runtime']}", description)
    record = record | {"failure_folder": target.relative_to(results).as_posix()}
    try:
        with new_folder(target) as folder:
            _link_model(case.artifact, folder / _MODEL)
            np.save(folder / _INPUTS, case.inputs.images)
            np.save(folder / _EXPECTED, case.reference.logits)
            np.save(folder / _PADDLE, case.reference.paddle)
            if checked.outputs:
                np.save(folder / _OUTPUTS, np.concatenate(checked.outputs))
            write_json(folder / _CASE, description | {"record": record})
            text = _README_TEXT.format(**(record | {"command": command(target)}))
            write_text(folder / _README, text)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error.strerror})") from None
    return target


def read(folder: Path) -> Case:
    """The case of such a folder, to be checked again. InputError when the folder is none or is not whole."""
    try:
        table = json.loads((folder / _CASE).read_text(encoding="utf-8"))
        images, expected, paddle = (
            np.load(folder / name, allow_pickle=False) for name in (_INPUTS, _EXPECTED, _PADDLE)
        )
        artifact = artifacts.load(folder / _MODEL)
        options = Options.from_dict(table["options"])
        inputs = Inputs(images, table["source"], tuple(table["names"]))
        reference = Reference(expected, paddle)
        if not expected.shape == paddle.shape == (len(images), artifact.classes):
            raise ValueError(f"{len(images)} inputs and logits {expected.shape} and {paddle.shape}")
        runtime, batches = str(table["runtime"]), tuple(int(batch) for batch in table["batches"])
    except FileNotFoundError as error:
        raise InputError(f"--repro {folder}: {Path(error.filename).name} is missing: no folder of a failure") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"--repro {folder}: damaged ({type(error).__name__}: {error})") from None
    damage = artifact.damage()
    if damage:
        raise InputError(f"--repro {folder}: {damage}")
    (chosen,) = registry.available([runtime], options.device)
    return Case(artifact, chosen, options, inputs, batches, reference)


def _describe(case: Case, checked: Checked) -> dict[str, Any]:
    return {
        "artifact": case.artifact.sha256,
        "runtime": case.runtime.name,
        # Engines are built again: a cache elsewhere is no part of the folder.
        "options": asdict(replace(case.options, cache=None)),
        "batches": list(case.batches),
        "passes": [{"batch": one.batch, "order": list(one.order)} for one in checked.passes],
        "source": case.inputs.source,
        "inputs": case.inputs.sha256,
        "names": list(case.inputs.names),
    }


def _target(parent: Path, name: str, description: dict[str, Any]) -> Path:
    """The folder of that name, or the first with a number that holds the same case or is free."""
    number = 1
    while True:
        target = parent / (name if number == 1 else f"{name}-{number}")
        if not target.exists() or _holds(target, description):
            return target
        number += 1


def _holds(folder: Path, description: dict[str, Any]) -> bool:
    try:
        table = json.loads((folder / _CASE).read_text(encoding="utf-8"))
        return {name: table.get(name) for name in description} == json.loads(json.dumps(description))
    except (OSError, ValueError, AttributeError):
        return False


def _link_model(artifact: Artifact, folder: Path) -> None:
    for name in (MANIFEST, *artifact.manifest.files):
        source, target = artifact.path / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without hard links
            _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    size = source.stat().st_size
    if size >= _LARGE:
        say(f"copying {source.name} ({size / 1e9:.1f} GB) to {target.parent}: it cannot be linked there")
    shutil.copyfile(source, target)
