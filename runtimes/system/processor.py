"""The processor, its caches and memory, from what Linux tells in /proc and /sys. What it does not tell is None."""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psutil

from runtimes.base import usable_cores

# Instruction sets that decide which kernels a runtime picks, as the kernel names them: x86, then Arm.
INSTRUCTION_SETS = (
    *("sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx_vnni_int8", "avx_ne_convert"),
    *("avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_bf16", "amx_int8", "amx_fp16"),
    *("asimd", "asimdhp", "asimddp", "bf16", "i8mm", "sve", "sve2", "svebf16", "svei8mm", "sme", "sme2"),
)
# What DMI calls a virtual machine -> who runs it.
_HYPERVISORS = {
    "amazon ec2": "KVM",
    "google compute engine": "KVM",
    "kvm": "KVM",
    "qemu": "QEMU",
    "vmware": "VMware",
    "virtualbox": "VirtualBox",
    "microsoft corporation": "Microsoft",
    "xen": "Xen",
}
_ROOT = Path("/")
_CPU = "sys/devices/system/cpu"


def describe(root: Path = _ROOT) -> dict[str, Any]:
    """What can change a number. root: where proc/ and sys/ are."""
    cpu = cpuinfo(root)
    flags = cpu.get("flags", cpu.get("Features", "")).split()
    virtual = _virtual(root, flags)
    return {
        "cpu": cpu.get("model name") or _lscpu(root).get("Model name") or platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "vendor": cpu.get("vendor_id") or _lscpu(root).get("Vendor ID"),
        "family_model": f"{cpu['cpu family']}.{cpu['model']}" if {"cpu family", "model"} <= set(cpu) else None,
        "instruction_sets": [name for name in INSTRUCTION_SETS if name in flags] if flags else None,
        "sockets": _sockets(root),
        "cores_physical": psutil.cpu_count(logical=False),
        "cores_logical": psutil.cpu_count(),
        "cores_usable": usable_cores(),
        "smt": {"1": True, "0": False}.get(_text(root / _CPU / "smt/active") or ""),
        "caches": caches(root),
        "numa": _numa(root),
        "memory_bytes": psutil.virtual_memory().total,
        "huge_pages": _chosen(root / "sys/kernel/mm/transparent_hugepage/enabled"),
        "frequency": _frequency(root),
        "virtual": virtual,
        "hypervisor": _hypervisor(root) if virtual else None,
        "machine_type": _text(root / "sys/class/dmi/id/product_name") if virtual else None,
        "load_average_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def cpuinfo(root: Path = _ROOT) -> dict[str, str]:
    """The first processor's entry in /proc/cpuinfo; empty where there is no such file."""
    first = (_text(root / "proc/cpuinfo") or "").split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def caches(root: Path = _ROOT) -> dict[str, dict[str, int]] | None:
    """`{"L2": {"bytes": of one, "instances": 2}}`: L1d, L1i, L2, L3. Instances: cores that share one count it once."""
    found: dict[str, dict[str, Any]] = {}
    for index in root.glob(f"{_CPU}/cpu[0-9]*/cache/index[0-9]*"):
        level, kind, size = (_text(index / name) for name in ("level", "type", "size"))
        shared = _text(index / "shared_cpu_list")
        amount = re.fullmatch(r"(\d+)([KMG]?)", size or "")
        if not (level and kind and amount and shared):
            continue
        name = f"L{level}{ {'Data': 'd', 'Instruction': 'i'}.get(kind, '') }"
        unit = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[amount[2]]
        entry = found.setdefault(name, {"bytes": 0, "instances": set()})
        entry["bytes"] = max(entry["bytes"], int(amount[1]) * unit)
        entry["instances"].add(shared)
    told = {name: {**entry, "instances": len(entry["instances"])} for name, entry in sorted(found.items())}
    return told or None


def _numa(root: Path) -> dict[str, Any] | None:
    nodes = sorted(root.glob("sys/devices/system/node/node[0-9]*"), key=lambda path: int(path.name[4:]))
    if not nodes:
        return None
    sizes = [re.search(r"MemTotal:\s+(\d+) kB", _text(node / "meminfo") or "") for node in nodes]
    return {"nodes": len(nodes), "memory_bytes": [int(size[1]) << 10 if size else None for size in sizes]}


def _sockets(root: Path) -> int | None:
    packages = {_text(file) for file in root.glob(f"{_CPU}/cpu[0-9]*/topology/physical_package_id")}
    return len(packages - {None}) or None


def _frequency(root: Path) -> dict[str, Any]:
    """MHz and how they are governed; a virtual machine is rarely told."""
    policy = root / _CPU / "cpu0/cpufreq"
    limits = {name: _text(policy / f"cpuinfo_{name}_freq") for name in ("min", "max")}
    boost, no_turbo = _text(root / _CPU / "cpufreq/boost"), _text(root / _CPU / "intel_pstate/no_turbo")
    return {
        "governor": _text(policy / "scaling_governor"),
        "driver": _text(policy / "scaling_driver"),
        **{f"{name}_mhz": int(khz) // 1000 if khz and khz.isdigit() else None for name, khz in limits.items()},
        "turbo": {"1": True, "0": False}.get(boost or "", {"0": True, "1": False}.get(no_turbo or "")),
    }


def _virtual(root: Path, flags: list[str]) -> bool | None:
    if "hypervisor" in flags or _hypervisor(root):
        return True
    # Arm has no such flag.
    return False if flags and not platform.machine().startswith(("aarch64", "arm")) else None


def _hypervisor(root: Path) -> str | None:
    """Who runs the virtual machine."""
    told = _lscpu(root).get("Hypervisor vendor") or _text(root / "sys/hypervisor/type")
    if told:
        return told
    dmi = " ".join(_text(root / f"sys/class/dmi/id/{name}") or "" for name in ("sys_vendor", "product_name")).lower()
    # Microsoft builds real machines too.
    known = (name for sign, name in _HYPERVISORS.items() if sign in dmi)
    found = next(known, None)
    return None if found == "Microsoft" and "virtual machine" not in dmi else found


def _chosen(file: Path) -> str | None:
    """`madvise` of `always [madvise] never`."""
    found = re.search(r"\[(\w+)\]", _text(file) or "")
    return found[1] if found else None


def _lscpu(root: Path) -> dict[str, str]:
    # It alone reads the processor's own registers, and knows the numbers of Arm's cores.
    return _lscpu_here() if root == _ROOT else {}


@functools.cache
def _lscpu_here() -> dict[str, str]:
    program = shutil.which("lscpu")
    if not program:
        return {}
    try:
        told = subprocess.run(
            [program, "--json"], capture_output=True, text=True, timeout=10, env={**os.environ, "LC_ALL": "C"}
        ).stdout
        entries = json.loads(told)["lscpu"]
        return {entry["field"].rstrip(":"): entry["data"] for entry in entries if entry.get("data")}
    except (OSError, ValueError, LookupError, TypeError, subprocess.SubprocessError):
        return {}


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None
