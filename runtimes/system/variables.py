"""Environment variables that change arithmetic, threads or memory of the libraries behind the runtimes."""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Mapping

_NAMES = {
    *("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "CUDA_MODULE_LOADING", "CUDA_LAUNCH_BLOCKING", "CUDA_CACHE_DISABLE"),
    *("NVIDIA_TF32_OVERRIDE", "GLIBC_TUNABLES", "LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONMALLOC", "PYTHONOPTIMIZE"),
}
_PREFIXES = (
    *("OMP_", "GOMP_", "KMP_", "TBB_", "OPENBLAS_", "GOTO_", "MKL_", "BLIS_", "VECLIB_", "NVPL_", "NPY_"),
    *("ONEDNN_", "DNNL_", "OV_", "OPENVINO_", "ORT_", "MNN_", "FLAGS_", "CUBLAS_", "CUDNN_", "TRT_", "MALLOC_"),
)
# A number, a word, a short list of them: nothing that could be a path, an address or a key.
_HARMLESS = re.compile(r"[A-Za-z0-9_.,:=+{}() -]{0,64}")
_NUMBERS = re.compile(r"[-0-9,]*")
# Set by every process of ours as it begins (`convert/__init__.py`), and no matter of numbers.
_OURS = ("ORT_DISABLE_TELEMETRY",)
# What OpenCV puts in front of LD_LIBRARY_PATH as it loads, for processes that are started later.
_OF_OPENCV = re.compile(r"(^|/)cv2(/\.\.)+/*lib64$")


def describe(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Name -> value, sorted; `set` stands for a value that could hold a path, or a name that tells who or where.

    What our own processes and OpenCV set as they are imported is left out.
    """
    environment = os.environ if environment is None else environment
    known = {name: value for name, value in environment.items() if name in _NAMES or name.startswith(_PREFIXES)}
    found = {name: value for name, value in known.items() if name not in _OURS and not _of_opencv(name, value)}
    return {name: found[name] if _may_be_shown(name, found[name]) else "set" for name in sorted(found)}


def _of_opencv(name: str, value: str) -> bool:
    """Whether a variable is what OpenCV has made of none: a machine is the same one before and after it is loaded."""
    return name == "LD_LIBRARY_PATH" and all(not folder or _OF_OPENCV.search(folder) for folder in value.split(":"))


def _may_be_shown(name: str, value: str) -> bool:
    if name in ("LD_PRELOAD", "LD_LIBRARY_PATH"):
        return False
    if name == "CUDA_VISIBLE_DEVICES":  # else it names a card by its UUID
        return bool(_NUMBERS.fullmatch(value))
    return bool(_HARMLESS.fullmatch(value)) and not any(word in value.lower() for word in _private())


def _private() -> list[str]:
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = ""
    # Names of one or two letters occur by chance.
    return [word.lower() for word in (user, socket.gethostname()) if len(word) > 2]
