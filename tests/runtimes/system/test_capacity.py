"""What is free, on the machine and in a container."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from runtimes.system import capacity
from runtimes.system.container import container_memory

GIB = 1 << 30


def cgroup(root: Path, version: int, limit: str, used: int, cache: int, group: str = "") -> Path:
    """A file system with a control group. Returns its root."""
    folder = root / "sys/fs/cgroup" / ("" if version == 2 else "memory") / group
    folder.mkdir(parents=True, exist_ok=True)
    if version == 2:
        (root / "sys/fs/cgroup/cgroup.controllers").write_text("memory\n")
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    for name, value in zip(names, (limit, str(used)), strict=True):
        (folder / name).write_text(value + "\n")
    key = "inactive_file" if version == 2 else "total_inactive_file"
    (folder / "memory.stat").write_text(f"anon 5\n{key} {cache}\n")
    return root


def belongs_to(root: Path, line: str) -> None:
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/cgroup").write_text(f"3:cpu,cpuacct:/else\n{line}\n")


@pytest.mark.parametrize("version", [1, 2])
def test_a_containers_limit_less_what_is_taken_and_not_given_back(tmp_path: Path, version: int) -> None:
    assert container_memory(cgroup(tmp_path, version, str(4 * GIB), 3 * GIB, GIB)) == 2 * GIB
    belongs_to(tmp_path, "4:memory:/docker/0123" if version == 1 else "0::/docker/0123")
    assert container_memory(tmp_path) == 2 * GIB, "its path outside does not exist here"
    assert container_memory(cgroup(tmp_path, version, str(4 * GIB), 6 * GIB, GIB)) == 0


@pytest.mark.parametrize(("version", "line"), [(1, "4:memory:/jobs/mine"), (2, "0::/jobs/mine")])
def test_the_tightest_of_the_groups_above_counts(tmp_path: Path, version: int, line: str) -> None:
    belongs_to(tmp_path, line)
    cgroup(tmp_path, version, str(8 * GIB), GIB, 0)
    cgroup(tmp_path, version, str(3 * GIB), GIB, 0, "jobs")
    cgroup(tmp_path, version, str(5 * GIB), GIB, 0, "jobs/mine")
    cgroup(tmp_path, version, "1", 0, 0, "jobs/other")
    assert container_memory(tmp_path) == 2 * GIB


def test_without_a_limit_there_is_none(tmp_path: Path) -> None:
    assert container_memory(tmp_path) is None
    assert container_memory(cgroup(tmp_path, 2, "max", GIB, 0)) is None
    assert container_memory(cgroup(tmp_path, 1, str(2**63 - 4096), GIB, 0)) is None


def test_the_smaller_of_machine_and_container_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    available = psutil.virtual_memory()._replace(available=3 * GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: available)
    for limit, expected in ((None, 3 * GIB), (GIB, GIB), (9 * GIB, 3 * GIB)):
        monkeypatch.setattr(capacity, "container_memory", lambda limit=limit: limit)
        assert capacity.look().memory_bytes == expected


def test_the_disk_is_that_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    found = capacity.Capacity(None).disk_bytes(tmp_path / "not" / "yet")
    assert found is not None
    assert found > 0
    assert capacity.Capacity(None, 5).disk_bytes(tmp_path) == 5
