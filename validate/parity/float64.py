"""An artifact's Paddle program in float64: the same operators and the same numbers, with 29 more bits to compute in.

Weights and constants (attention scale, epsilon) stay the float32 values that they are in the program and in the ONNX
file alike: what is left of a difference is what computing in FP32 does. What is not float32 (shapes, indices) stays as
it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from convert.artifact import Artifact
from convert.common.errors import InputError
from convert.export import retype
from convert.export.retype import FP32, FP64

_WIDER = {FP32: FP64}


def write(artifact: Artifact, folder: Path) -> tuple[Path, Path]:
    """Write the artifact's Paddle program and parameters in float64 into an existing folder.

    Returns the paths of the program (`inference.json`) and of its parameters (`inference.pdiparams`): twice the bytes
    of the artifact's own. The program takes and gives float64. InputError when the artifact's files are damaged.
    """
    program, params = folder / artifact.paddle_program.name, folder / artifact.paddle_params.name
    try:
        parsed = json.loads(artifact.paddle_program.read_text(encoding="utf-8"))
        program.write_text(json.dumps(widen(parsed)), encoding="utf-8")
        with params.open("wb") as target:
            count = retype.copy_parameters(artifact.paddle_params, target, _WIDER)
        if count != retype.count_parameters(parsed):
            raise ValueError(f"{count} parameters where its program has {retype.count_parameters(parsed)}")
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{artifact.path}: its Paddle program is damaged ({error}); convert the model again") from None
    return program, params


def widen(node: Any) -> Any:
    """A PIR program (its JSON, parsed) with float64 wherever it had float32."""
    return retype.rewrite(node, _WIDER)
