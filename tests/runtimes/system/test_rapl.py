"""The processor's energy counter, from trees of files as Linux has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtimes.base import UnavailableError
from runtimes.system import rapl
from runtimes.system.rapl import PackageCounter

RANGE_UJ = 262_143_328_850


def zone(root: Path, name: str, label: str, energy_uj: int | str, range_uj: int = RANGE_UJ) -> Path:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, value in (("name", label), ("energy_uj", energy_uj), ("max_energy_range_uj", range_uj)):
        (folder / file).write_text(f"{value}\n")
    return folder


def test_packages_count_and_neither_their_parts_nor_what_contains_them(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 3_000_000)
    zone(tmp_path, "intel-rapl:0:1", "dram", 1_000_000)
    zone(tmp_path, "intel-rapl:1", "package-1", 7_000_000)
    zone(tmp_path, "intel-rapl:2", "psys", 90_000_000)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 5_000_000)
    before = rapl.read(tmp_path)
    assert [(one.zone, one.energy_uj) for one in before] == [("intel-rapl:0", 5_000_000), ("intel-rapl:1", 7_000_000)]
    zone(tmp_path, "intel-rapl:0", "package-0", 25_000_000)
    zone(tmp_path, "intel-rapl:1", "package-1", 10_500_000)
    assert rapl.joules(before, rapl.read(tmp_path), 1.0) == pytest.approx(23.5)


def test_a_counter_that_began_anew_goes_on() -> None:
    before = [PackageCounter("a", RANGE_UJ - 1_000_000, RANGE_UJ), PackageCounter("b", 10, RANGE_UJ)]
    after = [PackageCounter("a", 2_000_000, RANGE_UJ), PackageCounter("b", 10, RANGE_UJ)]
    assert rapl.joules(before, after, 5.0) == pytest.approx(3.0)


def test_a_window_in_which_it_may_have_done_so_twice_tells_nothing() -> None:
    """65 kJ are used up in 65 s at a kilowatt."""
    reading = [PackageCounter("a", 0, 65_532_610_987)]
    assert rapl.joules(reading, reading, 60.0) == 0
    with pytest.raises(UnavailableError, match=r"window of 70 s .* more than once.*--min-seconds"):
        rapl.joules(reading, reading, 70.0)


def test_other_packages_than_before_are_no_difference() -> None:
    with pytest.raises(UnavailableError, match="became others"):
        rapl.joules([PackageCounter("a", 0, RANGE_UJ)], [PackageCounter("b", 9, RANGE_UJ)], 1.0)


def test_without_counters_the_reason_says_where_that_is_usual(tmp_path: Path) -> None:
    for root in (tmp_path / "absent", tmp_path):
        with pytest.raises(UnavailableError, match=r"no energy counter .*virtual machines.*modprobe intel_rapl_msr"):
            rapl.read(root)
    (tmp_path / "intel-rapl:0").symlink_to(tmp_path / "hidden")  # as in a container that hides the target
    with pytest.raises(UnavailableError, match="no energy counter"):
        rapl.read(tmp_path)


def test_a_counter_that_only_root_may_read_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = zone(tmp_path, "intel-rapl:0", "package-0", 5) / "energy_uj"
    file.chmod(0o400)
    if os.access(file, os.R_OK):  # its owner, or root: no mode keeps them out
        whole = Path.read_text

        def refused(path: Path, *args: str, **options: str) -> str:
            if path == file:
                raise PermissionError(13, "Permission denied", str(path))
            return whole(path, *args, **options)

        monkeypatch.setattr(Path, "read_text", refused)
    with pytest.raises(UnavailableError, match=r"only root .*CVE-2020-8694.*sudo chmod a\+r .*intel-rapl:\*/energy_uj"):
        rapl.read(tmp_path)


def test_what_is_no_number_is_a_reason(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", "nonsense")
    with pytest.raises(UnavailableError, match="cannot be read"):
        rapl.read(tmp_path)
