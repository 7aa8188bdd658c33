"""The shared libraries of ONNX Runtime's GPU providers: loads what pip installed, and says which are missing.

A provider itself is not loaded: one that ONNX Runtime must load first would be spoiled for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import sys
from pathlib import Path

from convert.common.errors import listing
from runtimes.base import UnavailableError
from runtimes.ort.session import CUDA, TENSORRT
from runtimes.quiet import silenced

# What each provider's file is called; what it opens later, so that its file does not name it: convolutions need cuDNN.
_FILES = {CUDA: "libonnxruntime_providers_cuda.so", TENSORRT: "libonnxruntime_providers_tensorrt.so"}
_OPENED_LATER: dict[str, list[str]] = {CUDA: ["libcudnn.so.9"], TENSORRT: []}
_ELF = b"\x7fELF"  # how a file of the format begins (System V ABI, "Object files")
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
        names = [*needed(library), *_OPENED_LATER[provider]]
    except (OSError, ValueError) as error:
        raise UnavailableError(f"the {_label(provider)} provider is damaged, install it again: {error}") from None
    lacking = missing(names)
    if lacking:
        raise UnavailableError(
            f"the {_label(provider)} provider of onnxruntime needs {listing(lacking)}, not found here: "
            + _advice(lacking, ort.cuda_version.partition(".")[0])
        )


def needed(library: Path) -> list[str]:
    """Names of the libraries that an ELF file says it needs, in its order; none for a file of another kind.

    ValueError when the file is damaged.
    """
    from elftools.elf.dynamic import DynamicSegment
    from elftools.elf.elffile import ELFFile

    with library.open("rb") as stream:
        if stream.read(len(_ELF)) != _ELF:
            return []
        try:
            segments = [one for one in ELFFile(stream).iter_segments() if isinstance(one, DynamicSegment)]
            return [str(tag.needed) for one in segments for tag in one.iter_tags("DT_NEEDED")]  # type: ignore[attr-defined]
        except Exception as error:  # what pyelftools raises on damage has no common type
            raise ValueError(f"{library} is a damaged ELF file ({type(error).__name__}: {error})") from None


def missing(names: list[str]) -> list[str]:
    """Those of the libraries, or of what they need in turn, that the loader does not find. It loads the others."""
    found = []
    for name in names:
        try:
            # Global, so that whatever is loaded later finds their symbols too.
            ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            # `libcublas.so.13: cannot open shared object file: No such file or directory`
            culprit = str(error).partition(":")[0]
            found.append(culprit if ".so" in culprit else name)
    return list(dict.fromkeys(found))


def _label(provider: str) -> str:
    return provider.removesuffix("ExecutionProvider").replace("Tensorrt", "TensorRT")


def _advice(lacking: list[str], cuda: str) -> str:
    ours = [name for name in lacking if name.startswith(_OF_TENSORRT)]
    advice = ["install onnxruntime-gpu[cuda,cudnn] (make EXTRA=cuda)"] if len(ours) < len(lacking) else []
    if ours:
        advice.append(f"install TensorRT 10 (pip install 'tensorrt-cu{cuda}<11')")
    return " and ".join(advice)
