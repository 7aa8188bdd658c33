"""The truth that every runtime is held against: the artifact's own Paddle program, computed in float64."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convert import artifact as artifacts
from convert.artifact import PADDLE_PARAMS, PADDLE_PROGRAM, Artifact
from convert.common import typed, worker
from convert.common.disk import scratch
from convert.common.disk.files import new_file, sha256_json, writing
from convert.common.errors import CheckFailed, InputError, WriteError
from convert.common.paddle import need
from convert.common.progress import bar
from convert.common.worker import JobError
from convert.images.inputs import Inputs
from runtimes.base import usable_cores
from validate.parity import float64, onnx_reference

NAME = "paddle float64, plain kernels, batch 1"
ALONE = "ONNX's own reference in float64, batch 1: no Paddle program"

_PRECISIONS = ("float32", "float64")


@dataclass(frozen=True)
class Reference:
    """logits: (count, classes) float64, the truth. paddle: the same by Paddle's own FP32, float32.

    Both come from Paddle's plain kernels (no oneDNN, no graph passes), one image at a time: the forward pass that the
    model was trained with. alone: of an ONNX file without such a program; then the truth is by ONNX's own reference,
    and ONNX Runtime without optimisations stands in Paddle's place.
    """

    logits: np.ndarray
    paddle: np.ndarray
    alone: bool = False

    @property
    def name(self) -> str:
        """What records say of where it comes from."""
        return ALONE if self.alone else NAME

    @property
    def largest(self) -> float:
        """The largest absolute logit."""
        return float(np.abs(self.logits).max())

    @property
    def paddle_max_abs(self) -> float:
        """Paddle's own FP32 error: what its rounding does to a logit at most, on these images."""
        return float(np.abs(self.paddle - self.logits).max())


def obtain(artifact: Artifact, inputs: Inputs) -> Reference:
    """The reference of an artifact for these inputs, computed once and kept in the artifact's folder.

    CheckFailed when Paddle, or ONNX's reference of a file alone, cannot run the model or gives values that are not
    finite; InputError when there is no room beside the artifact.
    """
    artifact = artifact.base  # a lower precision is held against the same truth
    alone = artifact.manifest.unvouched
    file = artifact.path / "reference" / f"{_key(artifact, inputs)}.npz"
    found = _load(file, (len(inputs.images), artifact.classes), alone)
    if found is None and not alone:
        need(f"{artifact.model}: the float64 reference of these inputs, which {file.parent} does not have,")
    if found is None:
        try:
            file.parent.mkdir(exist_ok=True)
            found = _compute(artifact, inputs, file.parent)
            _save(file, found)
        except JobError as error:
            by = _computing(artifact)
            raise CheckFailed(f"{artifact.model}: no reference, since {by} itself cannot run it: {error}") from None
        except OSError as error:
            raise InputError(f"the reference cannot be kept: {WriteError(file.parent, error).message}") from None
    return found


def _computing(artifact: Artifact) -> str:
    return "ONNX's reference" if artifact.manifest.unvouched else "Paddle"


def _key(artifact: Artifact, inputs: Inputs) -> str:
    """How a reference was computed and from what: another method, program or image is another file."""
    files = artifact.manifest.files
    if artifact.manifest.unvouched:
        return sha256_json({"method": ALONE, "onnx": artifact.sha256, "inputs": inputs.sha256})
    paddle = [files[name].sha256 for name in (PADDLE_PROGRAM, PADDLE_PARAMS)]
    return sha256_json({"method": NAME, "paddle": paddle, "inputs": inputs.sha256})


def _compute(artifact: Artifact, inputs: Inputs, parent: Path) -> Reference:
    count, classes = len(inputs.images), artifact.classes
    # Beside the artifact: the float64 parameters have up to 2.4 GB, and the system's temporary folder may be memory.
    with scratch.folder(parent, ".computing-") as folder, writing(folder):
        np.save(folder / "images.npy", inputs.images)
        with bar(f"reference of {artifact.model}", None):
            worker.call("validate.parity.reference:run_job", typed.table(ReferenceJob(str(artifact.path), str(folder))))
        paddle, logits = (np.fromfile(folder / name, name).reshape(count, classes) for name in _PRECISIONS)
    if not (np.isfinite(paddle).all() and np.isfinite(logits).all()):
        by = _computing(artifact)
        raise CheckFailed(f"{artifact.model}: the logits of {by} are not finite; the weights are no usable model")
    return Reference(logits, paddle, artifact.manifest.unvouched)


@dataclass(frozen=True)
class ReferenceJob:
    """artifact, folder: paths; the folder holds `images.npy` and gets the logits."""

    artifact: str
    folder: str


def run_job(payload: dict[str, Any]) -> None:
    """The other side of `_compute`: writes the logits of `images.npy` image by image, in FP32 and in float64."""
    job = typed.read(ReferenceJob, payload)
    artifact, folder = artifacts.load(Path(job.artifact)), Path(job.folder)
    images = np.load(folder / "images.npy", mmap_mode="r")
    rows = artifact.batch or 1
    if artifact.manifest.unvouched:
        onnx_reference.write(artifact.onnx, images, rows, folder)
        return
    _forward(artifact.paddle_program, artifact.paddle_params, images, "float32", folder, rows)
    program, params = float64.write(artifact, folder)
    _forward(program, params, images, "float64", folder, rows)


def _forward(program: Path, params: Path, images: np.ndarray, precision: str, folder: Path, rows: int = 1) -> None:
    """rows: of the batch that the program takes; the image stands in all of them, and the first one counts."""
    predictor = plain_predictor(program, params, usable_cores())
    if params.parent == folder:
        params.unlink()  # they are in memory now, and large
    (input_name,), (output_name,) = predictor.get_input_names(), predictor.get_output_names()
    source, output = predictor.get_input_handle(input_name), predictor.get_output_handle(output_name)
    with (folder / precision).open("wb") as stream:
        for i in range(len(images)):
            source.copy_from_cpu(np.ascontiguousarray(images[[i] * rows], dtype=precision))
            predictor.run()
            logits = output.copy_to_cpu()
            if logits.dtype != precision:
                raise TypeError(f"Paddle computed in {logits.dtype} instead of {precision}")
            stream.write(np.ascontiguousarray(logits[:1]).data)


def plain_predictor(program: Path, params: Path, threads: int) -> Any:
    """Paddle's predictor with its plain kernels on the CPU: no oneDNN, no graph passes."""
    import paddle.inference as paddle

    config = paddle.Config(str(program), str(params))
    config.disable_gpu()
    config.disable_glog_info()
    config.disable_mkldnn()
    config.switch_ir_optim(False)
    config.set_cpu_math_library_num_threads(threads)
    return paddle.create_predictor(config)


def _load(file: Path, shape: tuple[int, int], alone: bool) -> Reference | None:
    """What is kept in a file; None when there is none, or when it is not whole."""
    try:
        with np.load(file, allow_pickle=False) as kept:
            found = Reference(kept["logits"], kept["paddle"], alone)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return found if found.logits.shape == found.paddle.shape == shape else None


def _save(file: Path, reference: Reference) -> None:
    with new_file(file) as work, work.open("wb") as stream:
        np.savez(stream, logits=reference.logits, paddle=reference.paddle)
