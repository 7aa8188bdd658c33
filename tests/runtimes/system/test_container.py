"""Limits of control groups, versions 1 and 2, from trees of files as Linux shows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runtimes.system import container

_V2 = "sys/fs/cgroup"
_NOTHING = {"kind": None, "cgroup": None, "cpu_quota": None, "cpuset_cores": None, "memory_limit_bytes": None}


def _described(root: Path, files: Mapping[str, str]) -> dict[str, Any]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return container.describe(root)


def test_without_control_groups_nothing_is_known(tmp_path: Path) -> None:
    assert _described(tmp_path, {}) == _NOTHING


def test_version_2_takes_the_tightest_of_the_group_and_those_above(tmp_path: Path) -> None:
    files = {
        f"{_V2}/cgroup.controllers": "cpu memory",
        "proc/self/cgroup": "0::/user.slice/job",
        f"{_V2}/user.slice/cpu.max": "150000 100000",
        f"{_V2}/user.slice/memory.max": "1073741824",
        f"{_V2}/user.slice/job/cpu.max": "max 100000",
        f"{_V2}/user.slice/job/memory.max": "2147483648",
        f"{_V2}/user.slice/job/cpuset.cpus.effective": "0-2,5",
        f"{_V2}/cpuset.cpus.effective": "0-7",
    }
    assert _described(tmp_path, files) == {
        **{"kind": None, "cgroup": 2, "cpu_quota": 1.5, "cpuset_cores": 4, "memory_limit_bytes": 1 << 30},
    }


def test_a_container_of_version_2_is_its_own_top(tmp_path: Path) -> None:
    files = {
        f"{_V2}/cgroup.controllers": "cpu memory",
        "proc/self/cgroup": "0::/",
        f"{_V2}/cpu.max": "200000 100000",
        f"{_V2}/memory.max": "max",
        ".dockerenv": "",
    }
    found = _described(tmp_path, files)
    assert found == {**_NOTHING, "kind": "docker", "cgroup": 2, "cpu_quota": 2.0}


def test_version_1_and_a_path_that_exists_outside_alone(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/kubepods/pod1\n3:cpuset:/\n1:cpu,cpuacct:/kubepods/pod1\n0::/",
        f"{_V2}/memory/memory.limit_in_bytes": "536870912",
        f"{_V2}/cpu/cpu.cfs_quota_us": "50000",
        f"{_V2}/cpu/cpu.cfs_period_us": "100000",
        f"{_V2}/cpuset/cpuset.cpus": "3",
    }
    assert _described(tmp_path, files) == {
        **{"kind": "kubernetes", "cgroup": 1, "cpu_quota": 0.5, "cpuset_cores": 1, "memory_limit_bytes": 512 << 20},
    }


def test_version_1_without_limits(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/\n1:cpu:/",
        f"{_V2}/memory/memory.limit_in_bytes": "9223372036854771712",
        f"{_V2}/cpu/cpu.cfs_quota_us": "-1",
        f"{_V2}/cpu/cpu.cfs_period_us": "100000",
    }
    assert _described(tmp_path, files) == {**_NOTHING, "cgroup": 1}


@pytest.mark.parametrize("path", ["/../../job", "/gone"])
def test_a_path_that_leads_nowhere_means_the_top(path: str, tmp_path: Path) -> None:
    files = {f"{_V2}/cgroup.controllers": "memory", "proc/self/cgroup": f"0::{path}", f"{_V2}/memory.max": "1048576"}
    assert _described(tmp_path, files)["memory_limit_bytes"] == 1 << 20


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"run/.containerenv": ""}, "podman"),
        ({"proc/1/cgroup": "0::/system.slice/docker-0123.scope"}, "docker"),
        ({"proc/self/cgroup": "4:memory:/lxc/mine"}, "lxc"),
    ],
)
def test_the_kind_shows_in_what_it_leaves(files: Mapping[str, str], kind: str, tmp_path: Path) -> None:
    assert _described(tmp_path, files)["kind"] == kind


def test_nothing_of_a_groups_name_is_told(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/docker/0123secret",
        f"{_V2}/cgroup.controllers": "",
        f"{_V2}/docker/0123secret/memory.max": "4096",
    }
    found = _described(tmp_path, files)
    assert found["memory_limit_bytes"] == 4096
    assert "secret" not in str(found)
