"""The limits that a container or a control group sets: processor time, cores and memory. Linux, cgroup v1 and v2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ROOT = Path("/")
_GROUPS = "sys/fs/cgroup"
# cgroup v1 writes "no limit" as the largest multiple of a page.
_NO_LIMIT = 1 << 62
_SIGNS = {"docker": "docker", "kubepods": "kubernetes", "libpod": "podman", "containerd": "containerd", "lxc": "lxc"}


def describe(root: Path = _ROOT) -> dict[str, Any]:
    """Limits as they hold: the tightest of this process' control group and all above it.

    kind: docker, podman, ...; null outside a container or where it does not show. cgroup: version, 1 or 2; null where
    there are none, so that nothing is known. cpu_quota: in cores, 1.5; null: none. cpuset_cores: how many cores; null:
    not told. memory_limit_bytes: null: none.
    """
    paths = _paths(root)
    version = _version(root)
    return {
        "kind": _kind(root),
        "cgroup": version,
        "cpu_quota": min(_quotas(root, paths, version), default=None),
        "cpuset_cores": min(_cpusets(root, paths, version), default=None),
        "memory_limit_bytes": min(_memory_limits(root, paths, version), default=None),
    }


def _version(root: Path) -> int | None:
    if (root / _GROUPS / "cgroup.controllers").exists():
        return 2
    return 1 if (root / _GROUPS / "memory").is_dir() or (root / _GROUPS / "cpu").is_dir() else None


def _paths(root: Path) -> dict[str, str]:
    """Controller -> the group of this process; "" is version 2's."""
    entries = (line.split(":", 2) for line in _text(root / "proc/self/cgroup").splitlines())
    return {name: entry[2] for entry in entries if len(entry) == 3 for name in entry[1].split(",")}


def _folders(root: Path, paths: dict[str, str], version: int | None, controller: str) -> Iterator[Path]:
    """This process' group and those above it, as far as they are visible from here."""
    if version is None:
        return
    top = root / _GROUPS / (controller if version == 1 else "")
    # A container sees its own group as the top, and may be told a path that exists outside alone.
    folder = top / paths.get(controller if version == 1 else "", "/").lstrip("/")
    if ".." in folder.parts or not folder.is_dir():
        folder = top
    while folder != top:
        yield folder
        folder = folder.parent
    yield top


def _quotas(root: Path, paths: dict[str, str], version: int | None) -> Iterator[float]:
    for folder in _folders(root, paths, version, "cpu"):
        if version == 2:
            quota, _, period = _text(folder / "cpu.max").partition(" ")
        else:
            quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        # "max" and -1 are no limit.
        if quota.isdigit() and period.isdigit() and int(period):
            yield int(quota) / int(period)


def _cpusets(root: Path, paths: dict[str, str], version: int | None) -> Iterator[int]:
    for folder in _folders(root, paths, version, "cpuset"):
        names = ("cpuset.cpus.effective",) if version == 2 else ("cpuset.effective_cpus", "cpuset.cpus")
        if cores := next(filter(None, (_text(folder / name) for name in names)), ""):
            yield sum(_span(part) for part in cores.split(","))


def _span(part: str) -> int:
    """How many cores `0-3`, or `5`, names."""
    first, _, last = part.partition("-")
    return int(last or first) - int(first) + 1


def _memory_limits(root: Path, paths: dict[str, str], version: int | None) -> Iterator[int]:
    name = "memory.max" if version == 2 else "memory.limit_in_bytes"
    for folder in _folders(root, paths, version, "memory"):
        limit = _text(folder / name)
        if limit.isdigit() and int(limit) < _NO_LIMIT:
            yield int(limit)


def _kind(root: Path) -> str | None:
    if (root / "run/.containerenv").exists():
        return "podman"
    groups = _text(root / "proc/1/cgroup") + _text(root / "proc/self/cgroup")
    named = next((name for sign, name in _SIGNS.items() if sign in groups), None)
    return named or ("docker" if (root / ".dockerenv").exists() else None)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
