from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from convert.common import typed
from runtimes.records.parts import Disturbance, Frequency
from runtimes.system import disturbance
from runtimes.system.disturbance import Counters, difference, disturbed, read

BEFORE = Counters(clock_s=10, busy_s=100, steal_s=1, own_s=5, cores=4, counts={"throttled_count": 3}, pressure_s=7)


def after(**changes: Any) -> Counters:
    # In 2 s on 4 cores 8 s could be computed: 5 were, 3 of them by us.
    return replace(BEFORE, clock_s=12, busy_s=105, own_s=8, **changes)


def test_by_hand() -> None:
    found = difference(BEFORE, after(steal_s=1.4, counts={"throttled_count": 5}, pressure_s=7.5))
    assert found.foreign_load == pytest.approx(0.25)
    assert found.own_load == pytest.approx(0.375)
    assert found.steal == pytest.approx(0.05)
    assert found.pressure == pytest.approx(0.25)
    assert found.throttled_count == 2
    assert difference(BEFORE, replace(after(), busy_s=102.99)).foreign_load == 0, "ticks are coarse"


def test_some_spans_together_leave_out_what_was_between_them() -> None:
    """Two of a second each on 4 cores: of 8 s 3 and 2 were computed, 2 and 1 of them by us; between them a lot was."""
    counts = {"throttled_count": 3, "major_faults": 0}
    first = replace(BEFORE, counts=counts)
    spans = [
        (first, replace(first, clock_s=11, busy_s=103, own_s=7, steal_s=1.2, pressure_s=7.5)),
        (
            replace(
                first, clock_s=50, busy_s=200, own_s=7, steal_s=9, counts={"throttled_count": 9, "major_faults": 0}
            ),
            replace(first, clock_s=51, busy_s=202, own_s=8, steal_s=9, counts={"throttled_count": 10}),
        ),
    ]
    found = disturbance.over(spans)
    assert found.foreign_load == pytest.approx(0.25)
    assert found.own_load == pytest.approx(0.375)
    assert found.steal == pytest.approx(0.2 / 8)
    assert found.pressure == pytest.approx(0.25)
    assert found.throttled_count == 1, "what happened while it stood still is not its own"
    assert found.major_faults is None, "one of the readings did not tell"
    short = disturbance.over([(BEFORE, replace(after(), clock_s=10.4))] * 3)
    assert short.foreign_load is not None, "together they are long enough"


def test_what_cannot_be_measured_is_null_with_a_reason() -> None:
    short = difference(BEFORE, replace(after(), clock_s=10.5))
    for name in ("foreign_load", "own_load", "steal", "pressure"):
        assert getattr(short, name) is None
        assert "less than 1 s" in short.unmeasured[name]


def test_every_null_of_this_machine_has_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(disturbance, "_CPUS", tmp_path)
    monkeypatch.setattr(disturbance, "_PRESSURE", tmp_path / "absent")
    first = read()
    found = difference(first, replace(read(), clock_s=first.clock_s + 2))
    elsewhere = {"gpu", "slowdown", "foreign_requests"}
    nulls = {name for name, value in typed.table(found).items() if value is None} - elsewhere
    assert {"pressure", "frequency_mhz", "throttled_count"} <= nulls
    assert nulls == set(found.unmeasured)


def test_clocks_and_throttling_and_pressure_come_from_the_systems_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for core, (khz, count) in enumerate([(3_000_000, 2), (2_000_000, 5)]):
        for name, value in (("cpufreq/scaling_cur_freq", khz), ("thermal_throttle/core_throttle_count", count)):
            file = tmp_path / f"cpu{core}" / name
            file.parent.mkdir(parents=True)
            file.write_text(f"{value}\n")
    (tmp_path / "pressure").write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0 total=0\n")
    monkeypatch.setattr(disturbance, "_CPUS", tmp_path)
    monkeypatch.setattr(disturbance, "_PRESSURE", tmp_path / "pressure")
    reading = read()
    assert sorted(reading.frequency_mhz) == [2000, 3000]
    assert (reading.counts["throttled_count"], reading.pressure_s) == (7, 2.5)
    assert difference(reading, reading).frequency_mhz == Frequency(min=2000, median=3000)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ({}, None),
        ({"foreign_load": 0.1, "steal": 0.02, "throttled_count": 0}, None),
        ({"foreign_load": None, "steal": None, "throttled_count": None, "gpu": None}, None),
        ({"foreign_load": 0.4}, "other processes took 40% of the processor meanwhile"),
        ({"steal": 0.03}, "the hypervisor took 3% of the processor for others"),
        ({"throttled_count": 2}, "the processor was throttled"),
        ({"foreign_load": 0.5, "throttled_count": 1}, "meanwhile; the processor was throttled"),
    ],
)
def test_the_sentence(found: dict[str, Any], sentence: str | None) -> None:
    said = disturbed(Disturbance(**found))
    assert said == sentence or (said or "").endswith(sentence or "never")


def test_another_process_is_noticed_and_ones_own_work_is_not() -> None:
    burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.3)
        before = read()
        end = time.process_time() + 1.5  # on a busy machine this takes longer by the clock
        while time.process_time() < end:
            pass
        found = difference(before, read())
    finally:
        burner.kill()
        burner.wait()
    # Two busy processes on the cores that are ours: the other one has at most its share, and a good part of it.
    assert found.foreign_load is not None
    assert found.foreign_load > 0.5 * min(1 / before.cores, 0.5)
    assert read().own_s - before.own_s >= 1, "what this process did is told apart"
    if 1 / before.cores >= 0.5:
        assert "of the processor meanwhile" in str(disturbed(found))


def test_children_that_ended_are_ones_own() -> None:
    before = read()
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 1.1: pass"], check=True)
    assert read().own_s - before.own_s >= 1
