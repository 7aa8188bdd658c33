"""What a precision needs of artifact, GPU and environment, on runtimes that compute in the types of the ONNX file."""

from __future__ import annotations

import os

from convert.artifact import Artifact
from runtimes.base import Options, UnavailableError
from runtimes.gpu.cuda import DeviceInfo

# Read by every CUDA library when it is loaded; 0 keeps TF32 from all of them (NVIDIA, cuBLAS documentation).
TF32_OVERRIDE = "NVIDIA_TF32_OVERRIDE"
# Both came with the same generation (NVIDIA, "CUDA C++ Programming Guide", compute capabilities).
_SINCE = {"tf32": (8, 0), "bf16": (8, 0)}


def check(artifact: Artifact, options: Options, gpu: DeviceInfo) -> None:
    """UnavailableError, in a sentence, when this artifact on this GPU cannot give the precision asked for."""
    needed = "fp32" if options.precision == "tf32" else options.precision
    if artifact.precision != needed:
        raise UnavailableError(
            f"types stand in the ONNX file: {options.precision} needs an artifact in {needed}, "
            f"and this one is in {artifact.precision}"
        )
    since = _SINCE.get(options.precision, (0, 0))
    if gpu.compute_capability < since:
        has = ".".join(map(str, gpu.compute_capability))
        raise UnavailableError(f"{gpu.name} has no {options.precision}: it needs compute capability 8.0 and has {has}")
    if options.precision == "tf32" and tf32_forbidden():
        raise UnavailableError(f"{TF32_OVERRIDE}=0 is set, so nothing computes in TF32; unset it")


def tf32_forbidden() -> bool:
    """Whether this process' environment keeps all CUDA libraries from TF32."""
    return os.environ.get(TF32_OVERRIDE) == "0"
