"""A folder that reproduces a failed check anywhere: the model, what went in, what came out and what should have."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convert import artifact as artifacts
from convert.artifact import MANIFEST, Artifact
from convert.common import commands, typed
from convert.common.console import say
from convert.common.disk.files import new_folder, write_json, write_text
from convert.common.errors import InputError, WriteError
from convert.images.inputs import Inputs
from runtimes import registry
from runtimes.base import Options
from runtimes.infer import Pass
from runtimes.records.reading import to_table
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
| `model/` | the artifact: `model.onnx`, `manifest.json` and the Paddle program that it came from, if any |
| `inputs.npy` | the images (count, 3, height, width), float32, preprocessed |
| `expected.npy` | the reference: {reference} (count, classes) |
| `paddle_fp32.npy` | Paddle's own FP32, with plain kernels; of an ONNX file alone ONNX Runtime's (count, classes) |
| `outputs.npy` | what {runtime} answered (rows, classes), pass after pass; absent if it gave no answer |
| `case.json` | the passes (batch size and order of the images), names, options and the record of the failure |
"""


@dataclass(frozen=True)
class CaseFile:
    """`case.json`, but for the record. artifact, inputs: sha256. names: of the images."""

    artifact: str
    runtime: str
    options: Options
    batches: tuple[int, ...]
    passes: tuple[Pass, ...]
    source: str
    inputs: str
    names: tuple[str, ...]


def command(folder: Path) -> str:
    """The command that runs a failed check again."""
    return shlex.join([*commands.words("validate.parity"), "--repro", str(folder)])


def write(results: Path, case: Case, checked: Checked) -> Path:
    """Write the folder of a failed check under `failures/` in a results folder and return its path.

    The model's files are hard links where the file system allows it, else copies. A check that is the same in all but
    its outcome replaces the folder of the one before; another one gets a number. InputError when there is no room.
    """
    record, case_file = checked.record, _describe(case, checked)
    target = _target(results / FOLDER, f"{record.model}-{record.precision}-{record.runtime}", case_file)
    record = replace(record, failure_folder=target.relative_to(results).as_posix())
    try:
        with new_folder(target) as folder:
            _link_model(case.artifact, folder / _MODEL)
            np.save(folder / _INPUTS, case.inputs.images)
            np.save(folder / _EXPECTED, case.reference.logits)
            np.save(folder / _PADDLE, case.reference.paddle)
            if checked.outputs:
                np.save(folder / _OUTPUTS, np.concatenate(checked.outputs))
            write_json(folder / _CASE, {**typed.table(case_file), "record": to_table(record)})
            write_text(folder / _README, _README_TEXT.format(**{**vars(record), "command": command(target)}))
    except OSError as error:
        raise WriteError(target, error) from None
    return target


def read(folder: Path) -> Case:
    """The case of such a folder, to be checked again. InputError when the folder is none or is not whole."""
    try:
        case = _read_case(folder)
        images, expected, paddle = (
            np.load(folder / name, allow_pickle=False) for name in (_INPUTS, _EXPECTED, _PADDLE)
        )
        artifact = artifacts.load(folder / _MODEL)
        inputs = Inputs(images, case.source, case.names)
        reference = Reference(expected, paddle, artifact.manifest.unvouched)
        if not expected.shape == paddle.shape == (len(images), artifact.classes):
            raise ValueError(f"{len(images)} inputs and logits {expected.shape} and {paddle.shape}")
    except FileNotFoundError as error:
        raise InputError(f"--repro {folder}: {Path(error.filename).name} is missing: no folder of a failure") from None
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"--repro {folder}: damaged ({type(error).__name__}: {error})") from None
    damage = artifact.damage()
    if damage:
        raise InputError(f"--repro {folder}: {damage}")
    (runtime,) = registry.available([case.runtime], case.options.device, {case.runtime: case.options.extra})
    return Case(artifact, runtime, case.options, inputs, case.batches, reference)


def _describe(case: Case, checked: Checked) -> CaseFile:
    return CaseFile(
        artifact=case.artifact.sha256,
        runtime=case.runtime.name,
        # Engines are built again: a cache elsewhere is no part of the folder.
        options=replace(case.options, cache=None),
        batches=case.batches,
        passes=tuple(Pass(one.batch, list(one.order)) for one in checked.passes),
        source=case.inputs.source,
        inputs=case.inputs.sha256,
        names=case.inputs.names,
    )


def _read_case(folder: Path) -> CaseFile:
    """OSError and ValueError when there is none, or none that is sound."""
    return typed.read(CaseFile, json.loads((folder / _CASE).read_text(encoding="utf-8")))


def _target(parent: Path, name: str, case: CaseFile) -> Path:
    """The folder of that name, or the first with a number that holds the same case or is free."""
    for number in itertools.count(1):
        target = parent / (name if number == 1 else f"{name}-{number}")
        if not target.exists() or _holds(target, case):
            break
    return target


def _holds(folder: Path, case: CaseFile) -> bool:
    try:
        return _read_case(folder) == case
    except (OSError, ValueError):
        return False


def _link_model(artifact: Artifact, folder: Path) -> None:
    for name in (MANIFEST, *artifact.manifest.files):
        source, target = artifact.path / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without hard links
            if (size := source.stat().st_size) >= _LARGE:
                say(f"copying {source.name} ({size / 1e9:.1f} GB) to {target.parent}: it cannot be linked there")
            shutil.copyfile(source, target)
