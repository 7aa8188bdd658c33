"""The limits that a container or a control group sets: processor time, cores and memory. Linux, cgroup v1 and v2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ROOT = Path("/")
_GROUPS = "sys/fs/cgroup"
# Version 1 writes "no limit" as the largest multiple of a page.
_NO_LIMIT = 1 << 62
# By version: the limit of memory, what is in use, and in memory.stat what of it the kernel gives back when asked (page
# cache).
_MEMORY = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    2: ("memory.max", "memory.current", "inactive_file"),
}
_SIGNS = {"docker": "docker", "kubepods": "kubernetes", "libpod": "podman", "containerd": "containerd", "lxc": "lxc"}


def describe(root: Path = _ROOT) -> dict[str, Any]:
    """Limits as they hold: the tightest of this process' control group and all above it.

    kind: docker, podman, ...; null outside a container or where it does not show. cgroup: version, 1 or 2; null where
    there are none, so that nothing is known. cpu_quota: in cores, 1.5; null: none. cpuset_cores: how many cores; null:
    not told. memory_limit_bytes: null: none.
    """
    return {
        "kind": _kind(root),
        "cgroup": _version(root),
        "cpu_quota": min(_quotas(root), default=None),
        "cpuset_cores": min(_cpusets(root), default=None),
        "memory_limit_bytes": min((limit for limit, _ in _memory_limits(root)), default=None),
    }


def container_memory(root: Path = _ROOT) -> int | None:
    """Bytes that this process may still take, by its control group and those above it; None without a limit.

    Page cache that the kernel would give back counts as free.
    """
    return min((free for _, free in _memory_limits(root) if free is not None), default=None)


def _version(root: Path) -> int | None:
    if (root / _GROUPS / "cgroup.controllers").exists():
        return 2
    return 1 if (root / _GROUPS / "memory").is_dir() or (root / _GROUPS / "cpu").is_dir() else None


def _groups(root: Path, controller: str) -> Iterator[tuple[int, Path]]:
    """The version and the folder of this process' group and of those above it, as far as they are visible from here."""
    version = _version(root)
    if version is None:
        return
    name = controller if version == 1 else ""  # version 2 has one tree for all controllers
    top = root / _GROUPS / name
    entries = (line.split(":", 2) for line in _text(root / "proc/self/cgroup").splitlines())
    paths = {one: entry[2] for entry in entries if len(entry) == 3 for one in entry[1].split(",")}
    # A container sees its own group as the top, and may be told a path that exists outside alone.
    folder = top / paths.get(name, "/").lstrip("/")
    if ".." in folder.parts or not folder.is_dir():
        folder = top
    while folder != top:
        yield version, folder
        folder = folder.parent
    yield version, top


def _quotas(root: Path) -> Iterator[float]:
    for version, folder in _groups(root, "cpu"):
        if version == 2:
            quota, _, period = _text(folder / "cpu.max").partition(" ")
        else:
            quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        # "max" and -1 are no limit.
        if quota.isdigit() and period.isdigit() and int(period):
            yield int(quota) / int(period)


def _cpusets(root: Path) -> Iterator[int]:
    for version, folder in _groups(root, "cpuset"):
        names = ("cpuset.cpus.effective",) if version == 2 else ("cpuset.effective_cpus", "cpuset.cpus")
        if cores := next(filter(None, (_text(folder / name) for name in names)), ""):
            yield sum(_span(part) for part in cores.split(","))


def _span(part: str) -> int:
    """How many cores `0-3`, or `5`, names."""
    first, _, last = part.partition("-")
    return int(last or first) - int(first) + 1


def _memory_limits(root: Path) -> Iterator[tuple[int, int | None]]:
    """Each limit in bytes, and what of it is free; None where that is not told."""
    for version, folder in _groups(root, "memory"):
        limit_file, used_file, cache = _MEMORY[version]
        limit, used = _text(folder / limit_file), _text(folder / used_file)
        if limit.isdigit() and int(limit) < _NO_LIMIT:
            lines = [line.split() for line in _text(folder / "memory.stat").splitlines()]
            counters = {words[0]: int(words[1]) for words in lines if len(words) == 2}
            free = max(0, int(limit) - int(used) + counters.get(cache, 0)) if used.isdigit() else None
            yield int(limit), free


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
