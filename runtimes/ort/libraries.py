"""The shared libraries of ONNX Runtime's GPU providers: loads what pip installed, and says which are missing."""

from __future__ import annotations

import contextlib
import importlib
import sys
from pathlib import Path

from convert.common.errors import listing
from runtimes import shared_libraries
from runtimes.base import UnavailableError
from runtimes.ort.session import CUDA, TENSORRT
from runtimes.quiet import silenced

# What each provider's file is called; what it opens later, so that its file does not name it: convolutions need cuDNN.
_FILES = {CUDA: "libonnxruntime_providers_cuda.so", TENSORRT: "libonnxruntime_providers_tensorrt.so"}
_OPENED_LATER: dict[str, list[str]] = {CUDA: ["libcudnn.so.9"], TENSORRT: []}
_OF_TENSORRT = ("libnvinfer", "libnvonnxparser")


def require_provider(provider: str) -> None:
    """UnavailableError when this onnxruntime was built without the provider."""
    import onnxruntime as ort

    if provider not in ort.get_available_providers():
        raise UnavailableError(
            f"this onnxruntime has no {_label(provider)} provider: install onnxruntime-gpu (make EXTRA=cuda)"
        )


def require_libraries(provider: str) -> None:
    """Load what the provider needs. UnavailableError says what is not found and what to install.

    ONNX Runtime itself would log a line and run on the processor.
    """
    import onnxruntime as ort

    if sys.platform != "linux":
        return  # the names here are Linux'; elsewhere the session tells
    with silenced():  # it prints what it does not find
        ort.preload_dlls()
    if provider == TENSORRT:
        with contextlib.suppress(ImportError, OSError):
            importlib.import_module("tensorrt")  # which loads the libraries that came with it
    library = Path(ort.__file__).parent / "capi" / _FILES[provider]
    try:
        names = [*shared_libraries.needed(library), *_OPENED_LATER[provider]]
    except (OSError, ValueError) as error:
        raise UnavailableError(f"the {_label(provider)} provider is damaged, install it again: {error}") from None
    missing = shared_libraries.missing(names)
    if missing:
        raise UnavailableError(
            f"the {_label(provider)} provider of onnxruntime needs {listing(missing)}, not found here: "
            + _advice(missing, ort.cuda_version.partition(".")[0])
        )


def _label(provider: str) -> str:
    return provider.removesuffix("ExecutionProvider").replace("Tensorrt", "TensorRT")


def _advice(missing: list[str], cuda: str) -> str:
    ours = [name for name in missing if name.startswith(_OF_TENSORRT)]
    advice = ["install onnxruntime-gpu[cuda,cudnn] (make EXTRA=cuda)"] if len(ours) < len(missing) else []
    if ours:
        advice.append(f"install TensorRT 10 (pip install 'tensorrt-cu{cuda}<11')")
    return " and ".join(advice)
