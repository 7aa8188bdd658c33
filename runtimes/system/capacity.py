"""How much memory and disk there is for cells: what is free on the machine, within what its container may take."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from runtimes.system.container import container_memory


@dataclass(frozen=True)
class Capacity:
    """What is free.

    memory_bytes: for a new process; None where that is unknown.
    disk: bytes on every disk; None to look at the one in question.
    """

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


def look() -> Capacity:
    """What is free now."""
    free = int(psutil.virtual_memory().available)
    container = container_memory()
    return Capacity(free if container is None else min(free, container))
