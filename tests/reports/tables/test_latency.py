"""The tables of speed: what is shown, what is called the fastest, and what is kept back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reports.load import results
from reports.tables import compute, latency, missing, parity, standing
from reports.tables import report as tables
from reports.tables.answer import answer
from runtimes.records.kinds import Latency
from tests.reports import synthetic
from tests.reports.shown import BASE, TINY, bold, speeds, texts


def test_the_fastest_is_named_and_bold_when_its_interval_stands_apart(make: Any, folder: Any) -> None:
    found = results.load(
        folder(
            make.parity(),
            make.parity(runtime="paddle"),
            make.latency(100.0, 2.0),
            make.latency(190.0, 2.0, runtime="paddle"),
        )
    )
    (row,) = texts(answer(found))
    assert (row["Verdict"], row["Runtime"], row["Median (ms)"]) == ("fastest", "ort-cpu fp32", "100.0")
    assert row["95 % interval (ms)"] == "98.0–102.0"
    assert row["Gain over paddle fp32"] == "1.90×"
    assert bold(latency.latency(found)) == ["100.0"]


def test_overlapping_intervals_are_a_tie_and_nothing_is_bold(make: Any, folder: Any) -> None:
    names = ("ort-cpu", "openvino", "paddle")
    cells = [make.latency(median, 2.0, runtime=name) for name, median in zip(names, (100.0, 103.9, 190.0), strict=True)]
    found = results.load(folder(*(make.parity(runtime=name) for name in names), *cells))
    rows = texts(answer(found))
    assert [(row["Verdict"], row["Runtime"]) for row in rows] == [("tie", "ort-cpu fp32"), ("tie", "openvino fp32")]
    assert bold(answer(found)) == bold(latency.latency(found)) == []


def test_cells_of_one_run_are_held_against_each_other_by_the_runs_own_intervals(make: Any, folder: Any) -> None:
    """What runs differ in strikes both alike; of two runs it does not."""
    cells = [
        make.latency(median, 5.0, run_ci95_ms=[median - 1.0, median + 1.0], runtime=name)
        for name, median in (("ort-cpu", 100.0), ("openvino", 103.0))
    ]
    proofs = [make.parity(runtime=name) for name in ("ort-cpu", "openvino")]
    together = results.load(folder(*proofs, *cells))
    (row,) = texts(answer(together))
    assert (row["Verdict"], row["95 % interval (ms)"]) == ("fastest", "95–105")
    assert any("another run on the same machine" in note for note in answer(together).notes)
    days = zip(("monday", "tuesday"), cells, strict=True)
    apart = results.load([folder(*proofs, cell, environment=synthetic.ENVIRONMENT, name=day) for day, cell in days])
    assert {row["Verdict"] for row in texts(answer(apart))} == {"tie"}
    before = [{name: cell[name] for name in cell if name != "run_ci95_ms"} for cell in cells]
    found = results.load(folder(*proofs, *before))
    assert {row["Verdict"] for row in texts(answer(found))} == {"tie"}
    assert not any("another run on the same machine" in note for note in answer(found).notes)


def test_without_an_interval_nothing_is_the_fastest(make: Any, folder: Any) -> None:
    cells = (make.latency(50.0, ci95_ms=None), make.latency(100.0, runtime="mnn"))
    found = results.load(folder(make.parity(), make.parity(runtime="mnn"), *cells))
    assert {row["Verdict"] for row in texts(answer(found))} == {"tie"}


def test_a_single_cell_is_the_only_one(make: Any, folder: Any) -> None:
    found = results.load(folder(make.parity(), make.latency()))
    (row,) = texts(answer(found))
    assert row["Verdict"] == "the only one"
    assert row["Gain over paddle fp32"] == "-"
    assert "no proven latency" in answer(found).footnotes[0]
    assert bold(latency.latency(found)) == []
    assert texts(missing.missing(found)) == []


@pytest.mark.parametrize(
    ("parity", "why"),
    [
        ([], "there is no parity check"),
        ([{"passed": False, "status": "failed", "reason": "too far off"}], "parity failed: too far off"),
        ([{"passed": None, "status": "unavailable", "reason": "no reference"}], "parity unavailable: no reference"),
        ([{"artifact": None}], "there is no parity check"),
        ([{"precision": "int8"}], "there is no parity check"),
        ([{"runtime": "paddle"}], "there is no parity check"),
        ([{}, {"passed": False}], "parity failed"),  # the later check counts
    ],
)
def test_a_speed_without_proof_is_not_shown(make: Any, folder: Any, parity: list[dict[str, Any]], why: str) -> None:
    slow = [make.parity(runtime="mnn"), make.latency(900.0, runtime="mnn")]
    timed = make.latency(123.0, load_ms=456.0, first_ms=789.0, p90_ms=124.0)
    found = results.load(folder(*slow, *(make.parity(**fields) for fields in parity), timed))
    assert speeds(latency.latency(found)) == {"mnn fp32": "900.0", "ort-cpu fp32": "unproven"}
    assert texts(answer(found))[0]["Runtime"] == "mnn fp32"
    detail = next(row for row in texts(latency.detail(found)) if row["Runtime"] == "ort-cpu fp32")
    assert detail["Status"] == "unproven"
    assert detail["p90 (ms)"] == detail["Median (ms)"] == "-"
    cost = next(row for row in texts(compute.cost(found)) if row["Runtime"] == "ort-cpu fp32")
    assert cost["Load (ms)"] == cost["First inference (ms)"] == "-"
    assert any(why in note for note in latency.latency(found).footnotes)
    assert any(row["Status"] == "unproven" and why in row["Reason"] for row in texts(missing.missing(found)))
    everything = json.dumps([texts(table) for table in tables.build(found).tables])
    assert "123" not in everything
    assert "456" not in everything


def test_a_crash_is_said_beside_the_number(make: Any, folder: Any) -> None:
    crashed = make.latency(crashes=["the process was ended by SIGSEGV"])
    found = results.load(folder(make.parity(), crashed))
    assert speeds(latency.latency(found)) == {"ort-cpu fp32": "100.0"}
    for table in (latency.latency(found), latency.detail(found)):
        assert "a process crashed and was replaced: the process was ended by SIGSEGV" in table.footnotes


def test_every_precision_has_an_artifact_of_its_own(make: Any, folder: Any) -> None:
    lower = {"precision": "bf16", "artifact": "b" * 64}
    found = results.load(folder(make.parity(), make.latency(), make.parity(**lower), make.latency(50.0, **lower)))
    assert speeds(latency.latency(found)) == {"ort-cpu fp32": "100.0", "ort-cpu bf16": "50.0"}


@pytest.mark.parametrize("passed", [(True, False), (False, True)])
def test_parity_has_to_pass_on_all_inputs(make: Any, folder: Any, passed: tuple[bool, bool]) -> None:
    checks = [make.parity(p, inputs={"source": name}) for p, name in zip(passed, ("seeded", "photos"), strict=True)]
    found = results.load(folder(*checks, make.latency()))
    assert speeds(latency.latency(found)) == {"ort-cpu fp32": "unproven"}
    assert len(texts(parity.parity(found))) == 2


def test_an_unstable_cell_is_flagged_and_takes_part_with_what_is_known_of_it(make: Any, folder: Any) -> None:
    cells = [
        make.latency(50.0, status="unstable", reason="it drifts"),
        make.latency(100.0, runtime="openvino"),
        make.latency(200.0, runtime="mnn"),
    ]
    found = results.load(folder(*(make.parity(runtime=cell["runtime"]) for cell in cells), *cells))
    assert speeds(latency.latency(found))["ort-cpu fp32"] == "50.0 (unstable)"
    assert "unstable: it drifts" in latency.latency(found).footnotes
    assert texts(answer(found))[0]["Runtime"] == "ort-cpu fp32"
    assert bold(latency.latency(found)) == ["50.0 (unstable)"]


def test_everything_failed(make: Any, folder: Any) -> None:
    refused = {"effective": None, "reason": "it has no fp32", "count": 0}
    found = results.load(
        folder(
            make.latency(None, status="refused", **refused),
            make.latency(None, status="failed", batch=4, **{**refused, "reason": "it was killed"}),
            make.parity(None, status="refused", **{**refused, "max_abs": None, "cosine": None}),
        )
    )
    (row,) = texts(answer(found))
    assert (row["Verdict"], row["Median (ms)"]) == ("none", "-")
    assert "ort-cpu fp32 refused" in answer(found).footnotes[0]
    assert list(texts(latency.latency(found))[0].values()) == [BASE, "refused", "5.29", "failed", "12.33"]
    reasons = [(row["Of"], row["Batches"], row["Reason"]) for row in texts(missing.missing(found))]
    assert reasons == [("parity, latency", "1", "it has no fp32"), ("latency", "4", "it was killed")]


def test_the_latest_record_of_a_cell_counts(make: Any, folder: Any) -> None:
    again = make.latency(90.0, threads=None)
    found = results.load(folder(make.parity(), make.latency(100.0), make.latency(80.0, batch=4), again))
    assert list(texts(latency.latency(found))[0].values()) == [BASE, "90.0", "5.29", "80.0", "12.33"]


def test_a_runtime_that_came_later_replaces_its_absence(make: Any, folder: Any) -> None:
    absent = make.latency(None, threads=None, status="unavailable", reason="not installed", effective=None)
    found = results.load(folder(absent, make.parity(), make.latency(100.0)))
    assert speeds(latency.latency(found)) == {"ort-cpu fp32": "100.0"}


def test_threads_are_named_where_there_are_several(make: Any, folder: Any) -> None:
    found = results.load(folder(make.parity(), make.latency(100.0), make.latency(180.0, threads=1)))
    assert speeds(latency.latency(found)) == {"ort-cpu fp32, 1 thread": "180.0", "ort-cpu fp32, 2 threads": "100.0"}


def test_a_replaced_artifact_counts_no_more(make: Any, folder: Any) -> None:
    found = results.load(
        folder(
            make.parity(runtime="paddle"),
            make.latency(10.0, runtime="paddle"),
            make.parity(artifact="b" * 64),
            make.latency(100.0, artifact="b" * 64),
            make.latency(70.0, model=TINY),
        )
    )
    assert speeds(latency.latency(found), 0) == {"ort-cpu fp32": "100.0"}
    assert found.stale == {BASE: 2}
    assert any(f"2 of the records of {BASE}" in note for note in missing.missing(found).notes)


def test_records_of_several_weights_under_one_name_are_said(make: Any, folder: Any) -> None:
    def of(source: str, sha256: str, **fields: Any) -> dict[str, Any]:
        record: dict[str, Any] = make.latency(10.0, **fields)
        weights = {"kind": "file", "source": source, "sha256": sha256}
        return {**record, "model_info": {**(record.get("model_info") or {}), "weights": weights}}

    one, two = of("/a/best.pdparams", "1" * 64), of("/b/best.pdparams", "2" * 64, precision="fp16", artifact="b" * 64)
    found = results.load(folder(one, two, of("/c/x.pdparams", "3" * 64, model=TINY)))
    assert found.mixed == {BASE: ("/a/best.pdparams (11111111)", "/b/best.pdparams (22222222)")}
    notes = [note for note in missing.missing(found).notes if "several weights" in note]
    assert len(notes) == 1
    assert BASE in notes[0]
    assert "/b/best.pdparams" in notes[0]


def test_what_ran_as_something_else_is_said(make: Any, folder: Any) -> None:
    as_bf16 = make.latency(effective={"precision": "bf16", "device": "CPU"})
    on_cpu = make.latency(device="CUDA", runtime="ort-cuda", effective={"precision": "fp32", "device": "CPU"})
    found = results.load(folder(make.parity(), make.parity(runtime="ort-cuda", device="CUDA"), as_bf16, on_cpu))
    assert latency.latency(found).footnotes == ("asked for fp32, ran as bf16 on CPU", "asked for CUDA, ran on the CPU")


def test_a_lower_precision_says_how_much_of_it_was(make: Any, folder: Any) -> None:
    ran = {"precision": "int8", "device": "CPU", "arithmetic": {"shares": {"int8": 0.81, "fp32": 0.19}}}
    found = results.load(folder(make.parity(precision="int8"), make.latency(precision="int8", effective=ran)))
    assert [standing.ran_as(record) for record in found.of(Latency)] == ["81 % int8 on CPU"]


def test_a_device_and_settings_make_another_cell(make: Any, folder: Any) -> None:
    """A runtime on two devices, or with and without a setting, has a column for each, and each its own proof."""
    gpu, graph = {"runtime": "ort-cuda", "device": "GPU"}, {"settings": {"cuda_graph": "on"}}
    found = results.load(
        folder(
            make.parity(**gpu),
            make.latency(4.0, **gpu),
            make.latency(3.0, **gpu, **graph),
            make.parity(runtime="openvino"),
            make.latency(100.0, runtime="openvino"),
            make.latency(20.0, runtime="openvino", device="GPU"),
        )
    )
    assert speeds(latency.latency(found), 0) == {
        "ort-cuda fp32 on GPU": "4.0",
        "ort-cuda fp32 on GPU, cuda_graph=on": "unproven",
        "openvino fp32": "100.0",
        "openvino fp32 on GPU": "unproven",
    }


def test_device_times_stand_beside_the_wall_time_where_there_are_any(make: Any, folder: Any) -> None:
    times = {"h2d_ms": 0.125, "compute_ms": 3.5, "d2h_ms": 0.0625}
    gpu = make.latency(4.0, runtime="ort-cuda", device="GPU", device_times_ms=times)
    proof = make.parity(runtime="ort-cuda", device="GPU")
    found = results.load(folder(proof, make.parity(), gpu, make.latency(100.0)))
    shown = {row["Runtime"]: row["On the device (ms)"] for row in texts(latency.detail(found))}
    assert shown == {"ort-cpu fp32": "-", "ort-cuda fp32 on GPU": "3.50"}
    found = results.load(folder(make.parity(), make.latency(100.0)))
    assert "On the device (ms)" not in texts(latency.detail(found))[0]


def test_the_gain_over_paddle_on_another_device_says_so(make: Any, folder: Any) -> None:
    gpu = make.latency(10.0, 0.1, device="CUDA", runtime="ort-cuda", effective={"precision": "fp32", "device": "CUDA"})
    proofs = (make.parity(runtime="ort-cuda", device="CUDA"), make.parity(runtime="paddle"))
    table = answer(results.load(folder(*proofs, gpu, make.latency(190.0, runtime="paddle"))))
    assert texts(table)[0]["Gain over paddle fp32"] == "19.00×"
    assert table.footnotes == ("compared with paddle that ran as fp32 on CPU",)


def test_latencies_stand_side_by_side_as_long_as_they_fit(make: Any, folder: Any) -> None:
    records = [
        record
        for i, runtime in enumerate(("ort-cpu", "paddle"))
        for record in (
            make.parity(runtime=runtime),
            *(make.latency(10.0 * b + i, runtime=runtime, batch=b) for b in (1, 4)),
        )
    ]
    table = latency.latency(results.load(folder(*records)))
    (block,) = table.blocks(widest=7)
    assert block.heading == "Median in ms"
    names = [column.name for column in block.columns]
    assert dict(zip(names, (entry.text for entry in block.rows[0].entries), strict=True)) == {
        "Model": BASE,
        "paddle fp32, bs=1": "11.0",
        "paddle fp32, bs=4": "41.0",
        "ort-cpu fp32, bs=1": "10.0",
        "ort-cpu fp32, bs=4": "40.0",
        "published: V100, TensorRT fp32, bs=1": "5.29",
        "published: V100, TensorRT fp32, bs=4": "12.33",
    }
    apart = table.blocks(widest=6)
    assert [part.heading for part in apart] == ["Batch 1, median in ms", "Batch 4, median in ms"]
    assert [entry.text for entry in apart[1].rows[0].entries] == [BASE, "41.0", "40.0", "12.33"]


def test_a_speed_at_a_batch_that_was_not_checked_is_not_shown(make: Any, folder: Any) -> None:
    checked = [make.parity(batches=[1, 4]), make.parity(batches=[1])]
    found = results.load(folder(*checked, *(make.latency(10.0 * batch, batch=batch) for batch in (1, 4, 8))))
    doubts = {record.batch: found.doubt(record) for record in found.of(Latency)}
    assert doubts == {1: None, 4: None, 8: "parity was not checked at batch 8"}


def test_commands_are_said_once(make: Any, folder: Any) -> None:
    cells = [make.latency(command="make bench"), make.latency(batch=4, command="make bench"), make.parity(command="")]
    found = results.load(folder(*cells))
    assert latency.latency(found).commands == ("make bench",)
    assert parity.parity(found).commands == ()


@pytest.mark.parametrize(
    ("of_int8", "runtime", "passed", "said"),
    [
        (25.0, "openvino", True, True),
        (15.0, "openvino", True, False),
        (20.1, "openvino", True, False),
        (25.0, "ort-cpu", True, False),
        (25.0, "openvino", False, False),
    ],
)
def test_a_lower_precision_that_is_slower_than_fp32_is_said_to_be_of_no_use(
    make: Any, folder: Any, of_int8: float, runtime: str, passed: bool, said: bool
) -> None:
    cells = [make.latency(20.0, 0.2, runtime="openvino"), make.latency(of_int8, 0.2, runtime=runtime, precision="int8")]
    parity = [make.parity(runtime="openvino"), make.parity(runtime=runtime, precision="int8", passed=passed)]
    notes = " ".join(latency.latency(results.load(folder(*parity, *cells))).footnotes)
    assert ("accuracy away for nothing" in notes) is said
    assert ("it takes 1.250 times as long (1.227–1.273), so that" in notes) is said
