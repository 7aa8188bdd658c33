"""What a broken-off run left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtimes.bench.schedule.outcome import VISITS, VisitOutcome, Visits
from runtimes.bench.worker.numbers import LatencyNumbers, ServerNumbers, ThroughputNumbers
from runtimes.records.parts import Frequency
from tests.runtimes.bench.made_up import numbers


def test_what_was_added_is_stored(tmp_path: Path) -> None:
    visits = Visits(tmp_path)
    knowing = numbers([1.0, 2.0], met=[{"waited": 0.1}, {"foreign": 0.2}], turns=[{"name": "t.1", "count": 2}])
    made = [
        VisitOutcome(knowing, programs={"firefox": 0.38}),
        VisitOutcome(numbers([1.0]), speed_ms=(4.0, 5.0), slowdown=0.25, seconds=2.0, waited_s=1.0, time_utc="now"),
        VisitOutcome(None, "ended by SIGKILL", "log"),
    ]
    for outcome in made:
        visits.add("a", outcome)
    stored = Visits.stored(tmp_path)
    assert stored.of["a"] == made
    assert stored.of["b"] == []


def test_damaged_lines_are_visits_to_make_again(tmp_path: Path) -> None:
    Visits(tmp_path).add("a", VisitOutcome(numbers([1.0])))
    with (tmp_path / VISITS).open("a") as stream:
        stream.write('{"key": "a"}\n{"key": "a", "outcome": {"surprise": 1}}\nnothing\n{"key": "a", "out')
    assert len(Visits.stored(tmp_path).of["a"]) == 1
    assert Visits.stored(tmp_path / "nowhere").of == {}


# As the version before typed numbers wrote it, shortened.
OLD = (
    '{"key": "a", "outcome": {"numbers": {"load_ms": 2350.5, "first_ms": 458.25, "samples_ms": [390.5, 409.5],'
    ' "warmup_ms": [394.5], "steady": true, "device_times_ms": null, "memory": {"before_load_bytes": 74223616,'
    ' "after_load_bytes": 849772544, "peak_bytes": 849793024, "device_bytes": null}, "disturbance": {'
    '"foreign_load": 0.5, "frequency_mhz": {"min": 2000.0, "median": 2500.0}, "gpu": null,'
    ' "unmeasured": {"steal": "no counter"}},'
    ' "cores": [0, 1], "threads_readback": 2, "discrepancies": [], "effective": {"precision": "fp32", "device": "CPU",'
    ' "details": {"threads": 2}}}, "failure": null, "log": "", "speed_ms": [4.0, 4.5], "slowdown": 0.25,'
    ' "seconds": 7.25, "waited_s": 30.0, "time_utc": "2026-11-29T21:31:48Z", "crashed": false}}\n'
)


def test_visits_of_an_earlier_version_are_taken_up(tmp_path: Path) -> None:
    (tmp_path / VISITS).write_text(OLD)
    (outcome,) = Visits.stored(tmp_path).of["a"]
    assert (outcome.speed_ms, outcome.slowdown, outcome.waited_s) == ((4.0, 4.5), 0.25, 30.0)
    found = outcome.numbers
    assert isinstance(found, LatencyNumbers)
    assert (found.samples_ms, found.warmup_ms, found.cores) == ((390.5, 409.5), (394.5,), (0, 1))
    assert found.memory.peak_bytes == 849793024
    assert (found.met, found.turns, outcome.programs) == ((), (), {}), "what it did not know"
    assert found.disturbance.frequency_mhz == Frequency(min=2000.0, median=2500.0)
    assert found.effective.details == {"threads": 2}


def test_numbers_of_every_mode_are_told_apart(tmp_path: Path) -> None:
    rate: dict[str, Any] = {"images_per_s": 5.0, "batch": 1, "streams": 1, "duration_s": 1.0, "requests": 5}
    bound: dict[str, Any] = {"percentile": 99, "latency_bound_ms": 3.0, "bound": "as asked for", "unloaded_ms": 1.0}
    rates: dict[str, Any] = {"points": [], "qps_max": None, "capacity_qps": 9.0, "streams": 1, "loadgen": {}}
    visits = Visits(tmp_path)
    for fields in ({}, rate, {**bound, **rates}):
        visits.add("a", VisitOutcome(numbers([1.0], **fields)))
    kinds = [type(outcome.numbers) for outcome in Visits.stored(tmp_path).of["a"]]
    assert kinds == [LatencyNumbers, ThroughputNumbers, ServerNumbers]
