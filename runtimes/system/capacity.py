"""How much memory and disk there is for cells: what is free on the machine, within what its container may take."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

# Below /sys/fs/cgroup: limit, in use, and in memory.stat the part of it that the kernel gives back when asked (page
# cache). Control groups of version 2, then 1.
_FILES = (
    ("", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


# Where there is none, version 2 writes `max`, and version 1 the largest multiple of a page.
_NO_LIMIT = 1 << 62


@dataclass(frozen=True)
class Room:
    """memory_bytes: free for a new process; None where that is unknown. disk: bytes free everywhere, None: look."""

    memory_bytes: int | None
    disk: int | None = None

    def disk_bytes(self, path: Path) -> int | None:
        """Free on the disk that a path is on, or would be on; None where that is unknown."""
        if self.disk is not None:
            return self.disk
        there = next((one for one in (path, *path.absolute().parents) if one.exists()), None)
        try:
            return shutil.disk_usage(there).free if there else None
        except OSError:
            return None


def look() -> Room:
    """What there is now."""
    free = int(psutil.virtual_memory().available)
    container = container_memory()
    return Room(free if container is None else min(free, container))


def container_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process may still take, from its control group and those above it; None without a limit.

    Page cache that the kernel would give back counts as free.
    """
    return min((free for names in _FILES for free in _free(root, *names)), default=None)


def _free(root: Path, controller: str, limit: str, used: str, cache: str) -> Iterator[int]:
    """Of each group that has a limit. A container sees its own as the top one, whatever its path is called outside."""
    own = root / "sys/fs/cgroup" / controller / _group(root, controller).lstrip("/")
    for folder in (own, *own.parents):
        try:
            most, taken = (folder / limit).read_text().strip(), int((folder / used).read_text())
            lines = (folder / "memory.stat").read_text().splitlines()
        except (OSError, ValueError):
            continue
        if most.isdigit() and int(most) < _NO_LIMIT:
            counters = dict(line.split() for line in lines if len(line.split()) == 2)
            yield max(0, int(most) - taken + int(counters.get(cache, 0)))


def _group(root: Path, controller: str) -> str:
    """The path of this process' group; the top where it cannot be told."""
    try:
        entries = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return "/"
    return next((path for _, names, path in entries if controller in names.split(",") and ".." not in path), "/")
