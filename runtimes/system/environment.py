"""The machine and the versions, as far as they can change a number. Nothing here names a host, a user or a path."""

from __future__ import annotations

import platform
import re
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convert.common.disk.files import sha256_json, write_json
from runtimes.base import UnavailableError
from runtimes.gpu import nvml
from runtimes.records.store import ENVIRONMENT
from runtimes.system import conflicts, container, processor, variables

_PACKAGES = (
    "paddlepaddle",
    "paddle2onnx",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "MNN",
    "tensorrt-cu13",
    "tensorrt-rtx",
    "cuda-bindings",
    "numpy",
    "opencv-python-headless",
    "mlcommons-loadgen",
    "ml-dtypes",
    "nvidia-ml-py",
    "psutil",
    "scipy",
)
# CUDA's libraries, whose distributions carry CUDA's version in their names.
_CUDA_PACKAGES = re.compile(r"nvidia-(cublas|cudnn|cuda-runtime|cuda-nvrtc)(-cu\d+)?|tensorrt(-rtx)?-cu\d+(-libs)?")
# What of `machine` two runs must share for their numbers to be compared. Not the kernel, whose updates hardly change
# them, nor what moves by itself (load); cores_usable is there because taskset narrows it.
_SAME_MACHINE = (
    *("cpu", "architecture", "family_model", "instruction_sets", "sockets", "cores_usable", "smt", "caches"),
    *("huge_pages", "frequency", "virtual", "hypervisor", "machine_type"),
)
UNKNOWN = "unknown machine"
_TRADEMARKS = re.compile(r"\((?:r|tm|c)\)|\b(?:CPU|Processor)\b|@.*|\s\d+-Core\b", re.IGNORECASE)
_SAME_GPU = ("name", "memory_bytes", "power_limit_w", "mig", "ecc")


def describe() -> dict[str, Any]:
    """What a report says of the machine. Unknown values are None."""
    gpus, unmeasured = [], {}
    try:
        gpus = nvml.describe()
    except UnavailableError as error:
        unmeasured["gpus"] = str(error)
    return {
        "time_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {**processor.describe(), "container": container.describe()},
        "gpus": gpus,
        "unmeasured": unmeasured,
        "os": {
            "system": platform.system(),
            "kernel": platform.release(),
            "libc": " ".join(platform.libc_ver()).strip() or None,
        },
        "python": platform.python_version(),
        "packages": _packages(),
        "variables": variables.describe(),
        "vitbench": {"version": conflicts.version("vitbench"), **_commit()},
    }


def label(description: Mapping[str, Any]) -> str:
    """`AMD EPYC, 2 cores`, and the GPUs where there are some: short, and the same for machines of one kind."""
    machine = description.get("machine")
    if not isinstance(machine, Mapping) or not machine.get("cpu"):
        return UNKNOWN
    parts = [" ".join(_TRADEMARKS.sub(" ", str(machine["cpu"])).split())]
    cores = machine.get("cores_usable")
    if isinstance(cores, int):
        parts.append(f"{cores} core{'' if cores == 1 else 's'}")
    gpus = description.get("gpus")
    if isinstance(gpus, list):
        parts += dict.fromkeys(str(gpu["name"]) for gpu in gpus if isinstance(gpu, Mapping) and gpu.get("name"))
    return ", ".join(parts)


def machine_key(description: Mapping[str, Any]) -> str:
    """16 hexadecimal digits: equal for two descriptions whose numbers may be compared, as far as the machine goes.

    Versions and environment variables are no part of it: they belong to what is measured, not to where.
    """
    machine = description["machine"]
    same = {name: machine.get(name) for name in _SAME_MACHINE}
    # The kernel takes a little of it for itself, a different part in each version.
    same["memory_gib"] = round(machine["memory_bytes"] / 2**30)
    same["limits"] = {name: machine["container"].get(name) for name in ("cpu_quota", "memory_limit_bytes")}
    same["gpus"] = [{name: gpu.get(name) for name in _SAME_GPU} for gpu in description["gpus"]]
    return sha256_json(same)[:16]


def setting_key(description: Mapping[str, Any]) -> str:
    """16 hexadecimal digits for all of a machine that can change a number: `machine_key`, and the variables that change
    arithmetic or threads."""
    return sha256_json([machine_key(description), description["variables"]])[:16]


def answering(description: Mapping[str, Any], threads: int) -> str:
    """A machine that gives answers which its processor, its variables and the threads may change, in words."""
    text = f"{label(description)} [{setting_key(description)[:8]}], {threads} thread{'' if threads == 1 else 's'}"
    return " ".join(text.split())


def setting(description: Mapping[str, Any]) -> str | None:
    """`setting_key` of a stored description; None where it does not say enough, as of earlier versions."""
    try:
        return setting_key(description)
    except (KeyError, TypeError, AttributeError):
        return None


def answered(name: str, description: Mapping[str, Any]) -> bool:
    """Whether a machine is the one that `answering` named so, whatever its threads were."""
    key = setting(description)
    return key is not None and f"[{key[:8]}]" in name


def save(folder: Path, **more: Any) -> None:
    """Write `environment.json` into a results folder, unless it is there: it tells of the run's beginning.

    more: what else is to stand in it.
    """
    if not (folder / ENVIRONMENT).exists():
        write_json(folder / ENVIRONMENT, describe() | more)


def section(environment: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section of an environment; empty where there is none."""
    found = environment.get(name)
    return found if isinstance(found, Mapping) else {}


def _packages() -> dict[str, str]:
    named = {name: version for name in _PACKAGES if (version := conflicts.version(name))}
    found = {name: version for name, version in conflicts.installed().items() if _CUDA_PACKAGES.fullmatch(name)}
    return {**named, **dict(sorted(found.items()))}


def _commit() -> dict[str, Any]:
    """The commit of this checkout and whether it was changed; empty where vitbench does not run from one."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return {}
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        return {"commit": commit, "changed": bool(_git(root, "status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return {}


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
