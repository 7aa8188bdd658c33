"""What a precision needs of artifact, GPU and environment, where a runtime computes in the types of the ONNX file."""

from __future__ import annotations

import os

from convert.artifact import Artifact
from convert.precision.table import PRECISIONS, TF32
from runtimes.base import Options, UnavailableError
from runtimes.gpu.cuda import DeviceInfo

# Read by every CUDA library when it is loaded; 0 keeps TF32 from all of them (NVIDIA, cuBLAS documentation).
TF32_OVERRIDE = "NVIDIA_TF32_OVERRIDE"


def check(artifact: Artifact, options: Options, gpu: DeviceInfo) -> None:
    """UnavailableError, in a sentence, when this artifact on this GPU cannot give the precision asked for."""
    entry = PRECISIONS[options.precision]
    if artifact.precision != entry.artifact:
        raise UnavailableError(
            f"types stand in the ONNX file: {options.precision} needs an artifact in {entry.artifact}, "
            f"and this one is in {artifact.precision}"
        )
    if gpu.compute_capability < entry.compute_capability:
        needs, has = (".".join(map(str, one)) for one in (entry.compute_capability, gpu.compute_capability))
        raise UnavailableError(f"{gpu.name} has no {entry.name}: it needs compute capability {needs} and has {has}")
    if options.precision == TF32 and tf32_forbidden():
        raise UnavailableError(f"{TF32_OVERRIDE}=0 is set, so nothing computes in TF32; unset it")


def tf32_forbidden() -> bool:
    """Whether this process' environment keeps all CUDA libraries from TF32."""
    return os.environ.get(TF32_OVERRIDE) == "0"
