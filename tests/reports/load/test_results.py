from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from convert.common.errors import InputError
from reports.export import __main__ as export
from reports.load import machines, reading, results
from reports.tables import standing
from reports.tables.environment import summary
from reports.tables.missing import missing
from runtimes.records.kinds import Latency, Throughput
from runtimes.system import environment as environment_of
from tests.reports import runs, synthetic

OTHER = runs.ENVIRONMENT | {"machine": runs.ENVIRONMENT["machine"] | {"cores_usable": 4}}
ALIKE = runs.ENVIRONMENT | {"machine": runs.ENVIRONMENT["machine"] | {"memory_bytes": 2**36}}


def stored(place: Path, *records: dict[str, Any], environment: dict[str, Any] | None = runs.ENVIRONMENT) -> Path:
    place.mkdir()
    (place / "results.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    if environment is not None:
        (place / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    return place


def timed(median: float, hour: int = 8, **fields: Any) -> dict[str, Any]:
    return runs.latency([[median] * 3] * 2, **{"time_utc": f"2026-11-24T{hour:02d}:00:00Z", "key": "k" * 64, **fields})


def test_the_newest_of_a_cell_counts_whatever_the_order_of_the_folders(tmp_path: Path) -> None:
    old, new = stored(tmp_path / "a", timed(100.0)), stored(tmp_path / "b", timed(90.0, 9), timed(50.0, batch=4))
    for folders in ([old, new], [new, old]):
        found = results.load(folders)
        assert [(one.batch, one.median_ms, one.run) for one in found.of(Latency)] == [(1, 90, "b"), (4, 50, "b")]
        assert found.environment == runs.ENVIRONMENT
    assert results.load([old, old]).records == results.load(old).records


def test_several_runs_are_named_with_their_dates(tmp_path: Path) -> None:
    """Also where the report has a title of its own; a run alone has the date of its environment."""
    folders = [stored(tmp_path / "first", timed(100.0), timed(9.0, 10)), stored(tmp_path / "second", timed(90.0, 9))]
    found = results.load(folders)
    assert found.runs == (("first", "2026-11-24T10:00:00Z"), ("second", "2026-11-24T09:00:00Z"))
    said = " ".join(summary(found))
    assert "Of 2 runs: first (2026-11-24T10:00:00Z), second (2026-11-24T09:00:00Z)." in said
    assert "Measured on AMD EPYC" in said, "no single date stands for both"
    alone = " ".join(summary(results.load(folders[0])))
    assert "Measured at " in alone
    assert "runs" not in alone


def test_a_run_keeps_its_order_whatever_its_clock_said(tmp_path: Path) -> None:
    folder = stored(tmp_path / "a", timed(100.0, 9), timed(90.0, 8))
    assert [one.median_ms for one in results.load([folder]).of(Latency)] == [90.0]


def test_machines_never_replace_each_other(tmp_path: Path) -> None:
    folders = [
        stored(tmp_path / name, timed(median, artifact=digit * 64), environment=environment)
        for name, median, digit, environment in (
            ("a", 100.0, "a", runs.ENVIRONMENT),
            ("b", 50.0, "b", OTHER),
            ("c", 60.0, "a", ALIKE),
        )
    ]
    found = results.load(folders)
    labels = ["AMD EPYC, 2 cores (A)", "AMD EPYC, 4 cores", "AMD EPYC, 2 cores (B)"]
    assert [one.machine for one in found.records] == sorted(labels)
    assert list(found.environments) == labels
    assert not found.environment
    assert found.stale == {}


def test_settings_that_a_run_kept_apart_stay_apart(tmp_path: Path) -> None:
    """Two equal boxes of a cluster, one of them with OMP_NUM_THREADS=1."""
    of = {
        environment_of.setting_key(one): one
        for threads in (None, "1")
        for one in [runs.ENVIRONMENT | {"variables": {"OMP_NUM_THREADS": threads}}]
    }
    folder = stored(
        tmp_path / "a",
        *(timed(median, 8 + hour, machine=key) for hour, (key, median) in enumerate(zip(of, (9.0, 5.0), strict=True))),
    )
    (folder / "environments").mkdir()
    for key, one in of.items():
        (folder / "environments" / f"{key}.json").write_text(json.dumps(one), encoding="utf-8")
    found = results.load(folder)
    assert {one.machine: one.median_ms for one in found.of(Latency)} == {
        "AMD EPYC, 2 cores (A)": 9.0,
        "AMD EPYC, 2 cores (B)": 5.0,
    }
    assert [name for name, _ in found.runs] == ["a"], "one run on two machines"
    exported = tmp_path / "run.vitbench.json.gz"
    exported.write_bytes(export.pack(export.export(reading.read(folder))))
    assert len(results.load(exported).environments) == 2
    local = stored(tmp_path / "b", timed(4.0, 12), environment=of[min(of)])
    assert [name for name, _ in results.load([local, folder]).runs] == ["b", "a"]
    assert len(results.load([folder, local]).environments) == 2, "this machine is the one with its variables"
    assert len(results.load([folder, stored(tmp_path / "c", timed(4.0))]).environments) == 3, "nobody knows which"


def test_one_setting_of_a_cluster_is_the_machine_itself(tmp_path: Path) -> None:
    one = runs.ENVIRONMENT | {"variables": {}}
    key = environment_of.setting_key(one)
    folder = stored(tmp_path / "a", timed(9.0, machine=key))
    (folder / "environments").mkdir()
    (folder / "environments" / f"{key}.json").write_text(json.dumps(one), encoding="utf-8")
    found = results.load([folder, stored(tmp_path / "b", timed(5.0, 9))])
    assert [(one.machine, one.median_ms) for one in found.of(Latency)] == [("AMD EPYC, 2 cores", 5.0)]


def test_a_proof_counts_across_runs_but_not_across_machines(tmp_path: Path) -> None:
    parity = runs.common("parity", passed=True, batches=[1])
    speed, proof = stored(tmp_path / "a", timed(100.0)), stored(tmp_path / "b", parity)
    elsewhere = stored(tmp_path / "c", parity, environment=OTHER)
    (cell,) = results.load([speed, proof]).of(Latency)
    assert results.load([speed, proof]).doubt(cell) is None
    found = results.load([speed, elsewhere])
    assert "no parity check" in str(found.doubt(found.of(Latency)[0]))
    assert found.proven(found.of(Latency)[0]) is None


def test_runs_of_unknown_machines_are_of_different_ones(tmp_path: Path) -> None:
    folders = [stored(tmp_path / name, timed(100.0), environment=None) for name in "ab"]
    assert [one.machine for one in results.load(folders).records] == ["unknown machine (A)", "unknown machine (B)"]
    assert results.load(folders[0]).records[0].machine == "unknown machine"


@pytest.mark.parametrize("damage", ["{}\n", "\xff", "", None, '{"format": 3, "kind": "dream"}\n'])
def test_what_is_damaged_leaves_the_rest_usable(tmp_path: Path, damage: str | None) -> None:
    good, bad = stored(tmp_path / "good", timed(100.0)), tmp_path / "bad"
    bad.mkdir()
    if damage is not None:
        (bad / "results.jsonl").write_bytes(damage.encode("latin1"))
    found = results.load([bad, good])
    assert [one.median_ms for one in found.of(Latency)] == [100.0]
    assert list(found.damaged) == [str(bad)]
    assert str(bad) in found.damaged[str(bad)]
    with pytest.raises(InputError, match="bad"):
        results.load(bad)


def test_a_newer_format_is_refused_by_name(tmp_path: Path) -> None:
    folder = stored(tmp_path / "a", timed(100.0), {"format": 3, "kind": "dream"})
    words = r"results\.jsonl, line 2: a record of format 3; this vitbench reads up to 2: update it"
    with pytest.raises(InputError, match=words):
        results.load(folder)


@pytest.mark.parametrize("version", ["2", True, 0, None, 1.5])
def test_a_format_that_there_is_not(tmp_path: Path, version: Any) -> None:
    with pytest.raises(InputError, match="line 1: a record of format"):
        results.load(stored(tmp_path / "a", timed(100.0, format=version)))


def test_what_a_search_chose_makes_no_other_cell(tmp_path: Path) -> None:
    rates = [
        runs.common("throughput", images_per_s=rate, batch=batch, streams=streams, searched=[{"batch": 1}])
        for rate, batch, streams in ((50.0, 4, 2), (55.0, 8, 1))
    ]
    assert [one.images_per_s for one in results.load(stored(tmp_path / "a", *rates)).of(Throughput)] == [55.0]
    for rate in rates:
        del rate["searched"]
    assert len(results.load(stored(tmp_path / "b", *rates)).records) == 2


@pytest.mark.parametrize(
    ("kind", "field"), [("latency", "processes"), ("throughput", "searched"), ("server", "points")]
)
def test_lists_hold_tables(tmp_path: Path, kind: str, field: str) -> None:
    with pytest.raises(InputError, match=rf"line 1: {field}\[0\]: expected object"):
        results.load(stored(tmp_path / "a", timed(100.0) | {"kind": kind, field: [7]}))


def test_crashes_are_texts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 1: crashes\[0\]: expected str"):
        results.load(stored(tmp_path / "a", timed(100.0, crashes=[{}])))


def test_letters() -> None:
    many, _ = machines.told_apart(
        [{"machine": runs.ENVIRONMENT["machine"] | {"memory_bytes": n * 2**30}} for n in range(28)]
    )
    assert (many[0][-3:], many[25][-3:], many[26][-4:]) == ("(A)", "(Z)", "(AA)")


def test_the_machine_is_known_by_what_does_not_move() -> None:
    loaded = copy.deepcopy(runs.ENVIRONMENT)
    loaded["machine"]["load_average_1min"] = 3.0
    loaded["packages"] = {}
    assert machines.key(loaded) == machines.key(runs.ENVIRONMENT) != machines.key(OTHER)
    old = {"machine": {"cpu": "AMD EPYC", "cores_usable": 2, "load_average_1min": 1.0}}  # of format 1
    assert machines.key(old) == machines.key({"machine": old["machine"] | {"load_average_1min": 2.0}})
    assert machines.key({}) is None


def test_the_newest_environment_of_a_machine_counts(tmp_path: Path) -> None:
    later = runs.ENVIRONMENT | {"time_utc": "2026-11-25T00:00:00Z", "packages": {"onnxruntime": "2"}}
    folders = [
        stored(tmp_path / name, timed(100.0), environment=environment)
        for name, environment in (("a", runs.ENVIRONMENT), ("b", later), ("c", runs.ENVIRONMENT))
    ]
    assert results.load(folders).environment == later


def test_doubts_do_not_grow_with_the_square(tmp_path: Path) -> None:
    found = results.load(stored(tmp_path / "a", *synthetic.records()))
    calls = 0
    kept = found._parities
    for record in found.of(Latency):
        calls += len(kept.get(results._subject(record), ()))
    assert calls <= len(found.records)


BUSY = {"status": "unstable", "reason": "busy", "disturbed": "busy"}
WIDE = {"status": "unstable", "reason": "the interval is wider than asked"}


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ({}, BUSY, 100.0),
        (WIDE, BUSY, 100.0),
        ({}, WIDE, 100.0),
        ({"target": 0.005}, {"target": 0.05}, 100.0),
        ({}, {}, 90.0),
        (BUSY, WIDE, 90.0),
        (BUSY, BUSY, 90.0),
        ({}, BUSY | {"key": "o" * 64}, 90.0),  # another thing was measured
        ({"key": None}, BUSY | {"key": None}, 90.0),  # nobody knows whether it was
        ({}, {"status": "failed", "reason": "broke", "median_ms": None, "samples_ms": [], "count": 0}, None),
    ],
)
def test_a_better_measured_record_is_not_replaced_and_what_was_passed_over_is_said(
    tmp_path: Path, old: dict[str, Any], new: dict[str, Any], kept: float | None
) -> None:
    folders = [stored(tmp_path / "a", timed(100.0, **old)), stored(tmp_path / "b", timed(90.0, 9, **new))]
    found = results.load(folders)
    assert [one.median_ms for one in found.of(Latency)] == [kept]
    assert [(one.run, one.median_ms) for one in found.passed_over] == ([("b", 90.0)] if kept == 100.0 else [])  # type: ignore[attr-defined]
    told = [note for note in missing(found).notes if note.startswith("Passed over")]
    assert len(told) == len(found.passed_over)
    assert all("ViT_base_patch16_224 on ort-cpu fp32, batch 1, run b: median 90.0 ms" in note for note in told)


def test_a_folder_of_several_machines_is_read_as_a_run_of_each(tmp_path: Path) -> None:
    """As `bench --cluster` leaves it: each record names its machine, and each machine has its environment."""
    one, other = "0" * 16, "f" * 16
    folder = stored(tmp_path / "a", timed(100.0, machine=one), timed(50.0, machine=other), timed(70.0))
    (folder / "environments").mkdir()
    (folder / "environments" / f"{one}.json").write_text(json.dumps(OTHER), encoding="utf-8")
    (folder / "environments" / f"{other}.json").write_text(json.dumps(ALIKE), encoding="utf-8")
    found = results.load(folder)
    assert {record.machine: record.median_ms for record in found.of(Latency)} == {
        "AMD EPYC, 4 cores": 100.0,
        "AMD EPYC, 2 cores (A)": 50.0,
        "AMD EPYC, 2 cores (B)": 70.0,
    }
    assert found.environments["AMD EPYC, 4 cores"] == OTHER


def test_a_machine_is_no_path(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"machine": {"cpu": "seen"}}', encoding="utf-8")
    found = results.load(stored(tmp_path / "a", timed(100.0, machine="../../secret")))
    assert "seen" not in json.dumps(found.environments)


@pytest.mark.parametrize(
    ("passed", "artifact", "expected"),
    [(True, "a", [True, None]), (False, "a", [False, False]), (True, "b", [None, None]), (False, "b", [None, None])],
)
def test_an_accuracy_of_several_machines_counts_for_those_it_names_and_a_failed_one_for_all(
    tmp_path: Path, passed: bool, artifact: str, expected: list[bool | None]
) -> None:
    """Whatever machine asked; and only of the artifact that a latency is of."""
    here, node, stranger = (
        runs.ENVIRONMENT | {"variables": {}, "machine": runs.ENVIRONMENT["machine"] | {"cpu": cpu}}
        for cpu in ("Laptop", "EPYC", "Xeon")
    )
    shares = {environment_of.answering(node, 2): 4, environment_of.answering(stranger, 2): 6}
    accuracy = runs.common("accuracy", passed=passed, artifact=artifact * 64, machines=shares)
    key = environment_of.setting_key(node)
    folder = stored(tmp_path / "a", timed(100.0, machine=key), timed(50.0), accuracy, environment=here)
    (folder / "environments").mkdir()
    (folder / "environments" / f"{key}.json").write_text(json.dumps(node), encoding="utf-8")
    found = results.load(folder)
    cells = {cell.machine: cell for cell in found.of(Latency)}
    assert [found.accurate(cells[name]) for name in ("EPYC, 2 cores", "Laptop, 2 cores")] == expected
    assert {machine for machine, _ in standing.machines_and_models(found)} == set(cells)
