"""The processor from trees of files that machines had: x86, Arm, virtual, and one that tells nothing."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

import pytest

from runtimes.system import processor

_CPU = "sys/devices/system/cpu"


def _tree(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


def _cache(cpu: int, index: int, level: int, kind: str, size: str, shared: str) -> dict[str, str]:
    folder = f"{_CPU}/cpu{cpu}/cache/index{index}"
    values = {"level": str(level), "type": kind, "size": size, "shared_cpu_list": shared}
    return {f"{folder}/{name}": value for name, value in values.items()}


def test_a_machine_that_tells_nothing_is_null(tmp_path: Path) -> None:
    found = processor.describe(tmp_path)
    told = ("vendor", "family_model", "instruction_sets", "sockets", "smt", "caches", "numa", "huge_pages")
    assert {name: found[name] for name in told} == dict.fromkeys(told)
    assert found["frequency"] == dict.fromkeys(("governor", "driver", "min_mhz", "max_mhz", "turbo"))
    assert (found["virtual"], found["hypervisor"], found["machine_type"]) == (None, None, None)
    assert found["cores_usable"] >= 1


def test_a_real_x86_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    first = "processor : 0\nvendor_id : GenuineIntel\ncpu family : 6\nmodel : 143\nmodel name : Xeon\n"
    flags = "flags : fpu avx2 fma avx512f avx512_bf16 avx512_fp16 amx_tile amx_bf16 amx_int8 avx_vnni"
    root = _tree(
        tmp_path,
        {
            "proc/cpuinfo": f"{first}{flags}\n\n{first.replace('Xeon', 'another')}",
            f"{_CPU}/smt/active": "1",
            f"{_CPU}/intel_pstate/no_turbo": "0",
            f"{_CPU}/cpu0/cpufreq/scaling_governor": "performance",
            f"{_CPU}/cpu0/cpufreq/scaling_driver": "intel_pstate",
            f"{_CPU}/cpu0/cpufreq/cpuinfo_min_freq": "800000",
            f"{_CPU}/cpu0/cpufreq/cpuinfo_max_freq": "3800000",
            f"{_CPU}/cpu0/topology/physical_package_id": "0",
            f"{_CPU}/cpu1/topology/physical_package_id": "1",
            "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
            "sys/devices/system/node/node0/meminfo": "Node 0 MemTotal:       1024 kB",
            "sys/devices/system/node/node1/meminfo": "Node 1 MemFree: 7 kB",
            "sys/class/dmi/id/product_name": "A server",
        },
    )
    found = processor.describe(root)
    assert (found["cpu"], found["vendor"], found["family_model"]) == ("Xeon", "GenuineIntel", "6.143")
    assert found["instruction_sets"] == [
        *("avx2", "fma", "avx_vnni", "avx512f", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8"),
    ]
    assert (found["sockets"], found["smt"], found["huge_pages"]) == (2, True, "madvise")
    assert found["frequency"] == {
        **{"governor": "performance", "driver": "intel_pstate", "min_mhz": 800, "max_mhz": 3800, "turbo": True},
    }
    assert found["numa"] == {"nodes": 2, "memory_bytes": [1 << 20, None]}
    assert (found["virtual"], found["hypervisor"], found["machine_type"]) == (False, None, None)


def test_arm_has_other_names_and_no_flag_for_virtual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    root = _tree(tmp_path, {"proc/cpuinfo": "processor : 0\nFeatures : fp asimd asimdhp asimddp sve bf16 i8mm"})
    found = processor.describe(root)
    assert found["instruction_sets"] == ["asimd", "asimdhp", "asimddp", "bf16", "i8mm", "sve"]
    assert found["virtual"] is None


def test_caches_that_cores_share_count_once(tmp_path: Path) -> None:
    files: dict[str, str] = {}
    for cpu in range(4):
        pair = "0-1" if cpu < 2 else "2-3"
        files |= _cache(cpu, 0, 1, "Data", "48K", str(cpu)) | _cache(cpu, 1, 1, "Instruction", "32K", str(cpu))
        files |= _cache(cpu, 2, 2, "Unified", "2M", pair) | _cache(cpu, 3, 3, "Unified", "32768K", "0-3")
    files |= {f"{_CPU}/cpu4/cache/index0/level": "1"}  # the rest of it is not told
    assert processor.caches(_tree(tmp_path, files)) == {
        "L1d": {"bytes": 48 << 10, "instances": 4},
        "L1i": {"bytes": 32 << 10, "instances": 4},
        "L2": {"bytes": 2 << 20, "instances": 2},
        "L3": {"bytes": 32 << 20, "instances": 1},
    }


@pytest.mark.parametrize(
    ("files", "hypervisor", "machine_type"),
    [
        ({"sys/hypervisor/type": "xen"}, "xen", None),
        (
            {"sys/class/dmi/id/sys_vendor": "QEMU", "sys/class/dmi/id/product_name": "Standard PC"},
            "QEMU",
            "Standard PC",
        ),
        (
            {"sys/class/dmi/id/sys_vendor": "Amazon EC2", "sys/class/dmi/id/product_name": "m6i.large"},
            *("KVM", "m6i.large"),
        ),
        (
            {
                "sys/class/dmi/id/sys_vendor": "Microsoft Corporation",
                "sys/class/dmi/id/product_name": "Virtual Machine",
            },
            *("Microsoft", "Virtual Machine"),
        ),
    ],
)
def test_who_runs_a_virtual_machine(
    files: Mapping[str, str], hypervisor: str, machine_type: str | None, tmp_path: Path
) -> None:
    found = processor.describe(_tree(tmp_path, {"proc/cpuinfo": "flags : fpu hypervisor", **files}))
    assert (found["virtual"], found["hypervisor"], found["machine_type"]) == (True, hypervisor, machine_type)


def test_a_real_machine_of_a_maker_of_hypervisors_is_no_virtual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    dmi = {"sys/class/dmi/id/sys_vendor": "Microsoft Corporation", "sys/class/dmi/id/product_name": "Surface Laptop"}
    found = processor.describe(_tree(tmp_path, {"proc/cpuinfo": "flags : fpu avx2", **dmi}))
    assert (found["virtual"], found["hypervisor"], found["machine_type"]) == (False, None, None)


@pytest.mark.parametrize(("boost", "turbo"), [("1", True), ("0", False)])
def test_boost_of_amd(boost: str, turbo: bool, tmp_path: Path) -> None:
    assert processor.describe(_tree(tmp_path, {f"{_CPU}/cpufreq/boost": boost}))["frequency"]["turbo"] is turbo


@pytest.mark.skipif(platform.system() != "Linux", reason="/sys is Linux'")
def test_this_machine_agrees_with_its_own_caches() -> None:
    found = processor.describe()
    assert found["cpu"]
    if found["caches"]:
        assert all(cache["bytes"] > 0 and cache["instances"] >= 1 for cache in found["caches"].values())
