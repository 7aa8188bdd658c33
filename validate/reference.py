"""The reference that every runtime is held against: the Paddle model itself, in FP32, one image at a time."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from convert.artifact import Artifact
from convert.errors import CheckFailed
from convert.isolate import JobError
from runtimes.base import Options
from runtimes.infer import Pass, infer
from validate.inputs import Inputs

NAME = "paddle fp32, plain kernels, batch 1"


def logits(artifact: Artifact, inputs: Inputs) -> np.ndarray:
    """Reference logits (count, classes), computed once per artifact and inputs and kept in the artifact's folder.

    Paddle's own kernels without its graph optimisations and without oneDNN: the forward pass that the model was
    trained with. CheckFailed when Paddle cannot run the model or gives values that are not finite.
    """
    file = artifact.path / "reference" / f"{inputs.sha256}.npy"
    if file.exists():
        return np.asarray(np.load(file, allow_pickle=False))
    count = len(inputs.images)
    try:
        (reference,), _ = infer(
            artifact, "paddle", Options(extra={"kernels": "plain"}), inputs.images, [Pass(1, range(count))]
        )
    except JobError as error:
        raise CheckFailed(f"{artifact.model}: no reference, since Paddle itself cannot run it: {error}") from None
    if not np.isfinite(reference).all():
        raise CheckFailed(f"{artifact.model}: Paddle's own logits are not finite; the weights are no usable model")
    _save(file, reference)
    return reference


def _save(file: Path, array: np.ndarray) -> None:
    file.parent.mkdir(exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(descriptor, "wb") as stream:
        np.save(stream, array)
    Path(name).replace(file)
