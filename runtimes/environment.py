"""The machine and the versions, as far as they can change a number. Nothing here names a host, a user or a path."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

from convert.files import write_json
from runtimes import conflicts
from runtimes.base import usable_cores
from runtimes.bench.store import ENVIRONMENT

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
)
# Instruction sets that decide which kernels a runtime picks.
_INSTRUCTION_SETS = (
    *("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8"),
    *("asimd", "bf16", "i8mm"),
)


def describe() -> dict[str, Any]:
    """What a report says of the machine. Unknown values are None."""
    cpu = _cpuinfo()
    flags = cpu.get("flags", cpu.get("Features", "")).split()
    return {
        "time_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            "cpu": cpu.get("model name") or platform.processor() or platform.machine(),
            "architecture": platform.machine(),
            "instruction_sets": [name for name in _INSTRUCTION_SETS if name in flags],
            "cores_physical": psutil.cpu_count(logical=False),
            "cores_logical": psutil.cpu_count(),
            "cores_usable": usable_cores(),
            "memory_bytes": psutil.virtual_memory().total,
            "virtual": "hypervisor" in flags if flags else None,
            "load_average_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        },
        "os": {
            "system": platform.system(),
            "kernel": platform.release(),
            "libc": " ".join(platform.libc_ver()) or None,
        },
        "python": platform.python_version(),
        "packages": {name: version for name in _PACKAGES if (version := conflicts.version(name))},
        "vitbench": {"version": conflicts.version("vitbench"), **_commit()},
    }


def save(folder: Path) -> None:
    """Write `environment.json` into a results folder, unless it is there: it tells of the run's beginning."""
    if not (folder / ENVIRONMENT).exists():
        write_json(folder / ENVIRONMENT, describe())


def _cpuinfo() -> dict[str, str]:
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _commit() -> dict[str, Any]:
    """The commit of this checkout and whether it was changed; empty where vitbench does not run from one."""
    root = Path(__file__).parents[1]
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
