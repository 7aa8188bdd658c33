"""Windows of energy, with counters that say what the test wants."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtimes.base import Elsewhere, Runtime, UnavailableError
from runtimes.bench.worker import energy
from runtimes.bench.worker.energy import EnergyWindows, Mark, Meter
from runtimes.gpu import nvml
from runtimes.system.rapl import PackageCounter

RUNTIME = Runtime("fake", "json", ("numpy",), ("fp32",), lambda: ["CPU"], lambda artifact, options: None)  # type: ignore[arg-type,return-value]


@pytest.fixture
def every_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "usable_cores", lambda: os.cpu_count())


def at(time_s: float, joules: float) -> Mark:
    return Mark(time_s, (PackageCounter("a", round(1e6 * joules), 262_143_328_850),))


@pytest.mark.usefixtures("every_core")
def test_windows_are_added_up_and_what_is_between_them_left_out() -> None:
    meter = Meter.of(RUNTIME, "CPU", batch=4)
    meter.add(at(10, 100), at(12, 130), 5)
    meter.add(at(50, 900), at(51, 915), 2.5)
    meter.add(at(60, 0), at(60.05, 7), 1)
    assert meter.windows() == EnergyWindows(joules=45.0, images=30.0, seconds=3.0, source="rapl")


@pytest.mark.usefixtures("every_core")
def test_windows_that_are_too_short_for_the_counter_tell_nothing() -> None:
    meter = Meter.of(RUNTIME, "CPU", 1)
    meter.add(at(0, 0), at(0.05, 7), 1)
    found = meter.windows()
    assert (found.joules, found.source) == (0, "rapl")
    assert "needs 0.1 s at a stretch, and there were 0.05 s" in str(found.reason)


@pytest.mark.usefixtures("every_core")
def test_a_counter_that_stands_still_is_none() -> None:
    meter = Meter.of(RUNTIME, "CPU", 1)
    meter.add(at(0, 5), at(2, 5), 9)
    assert meter.windows().reason == "the energy counter did not move"


@pytest.mark.usefixtures("every_core")
def test_a_machine_without_counters_says_so_and_is_asked_once(tmp_path: Path) -> None:
    meter = Meter.of(RUNTIME, "CPU", 1, root=tmp_path)
    assert meter.mark() is None
    meter.add(None, None, 3)
    assert "no energy counter of its processor" in str(meter.windows().reason)
    (tmp_path / "intel-rapl:0").mkdir()
    for name, value in (("name", "package-0"), ("energy_uj", 1), ("max_energy_range_uj", 9)):
        (tmp_path / "intel-rapl:0" / name).write_text(f"{value}\n")
    assert meter.mark() is None
    assert Meter.of(RUNTIME, "CPU", 1, root=tmp_path).mark() is not None


@pytest.mark.usefixtures("every_core")
@pytest.mark.parametrize(
    ("runtime", "device", "reason"),
    [
        (replace(RUNTIME, elsewhere=Elsewhere(lambda options: None, lambda options: ())), "CPU", "a server computed"),
        (replace(RUNTIME, package="openvino"), "GPU", "NVIDIA's GPUs"),
    ],
)
def test_a_counter_of_something_else_is_not_read(runtime: Runtime, device: str, reason: str) -> None:
    meter = Meter.of(runtime, device, 1)
    assert meter.mark() is None
    assert reason in str(meter.windows().reason)


def test_a_part_of_the_cores_does_not_tell_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "usable_cores", lambda: 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert "may use 2 of its 64 cores" in str(Meter.of(RUNTIME, "CPU", 1).windows().reason)


def test_a_gpus_counter_is_in_millijoules_and_moves_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[Any] = [1000, 4000]
    monkeypatch.setattr(nvml, "energy_mj", lambda device: counted.pop(0))
    meter = Meter.of(RUNTIME, "GPU", 8)
    first, last = meter.mark(), meter.mark()
    assert first is not None
    assert last is not None
    meter.add(replace(first, time_s=0), replace(last, time_s=2), 10)
    assert "needs 10 s at a stretch, and there were 2 s" in str(meter.windows().reason)
    meter.add(replace(first, time_s=0), replace(last, time_s=12), 10)
    assert meter.windows() == EnergyWindows(joules=3.0, images=80.0, seconds=12.0, source="nvml")
    meter.add(replace(last, time_s=0), replace(first, time_s=12), 10)
    assert meter.windows() == EnergyWindows(source="nvml", reason="the driver was loaded again meanwhile")


def test_a_gpu_that_does_not_tell_gives_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(device: str) -> int:
        raise UnavailableError("NVML: Not Supported")

    monkeypatch.setattr(nvml, "energy_mj", refused)
    meter = Meter.of(RUNTIME, "GPU", 1)
    assert meter.mark() is None
    assert meter.windows().reason == "NVML: Not Supported"
