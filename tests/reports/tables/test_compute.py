"""Compute, cost, precision and server tables; ranking of wide intervals; machines that are never ranked together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reports.load import results
from reports.render import latex, markdown
from reports.tables import accuracy, compute, latency, standing, throughput
from reports.tables import report as tables
from reports.tables.answer import answer
from runtimes.records.kinds import Latency
from tests.reports import shown

ENVIRONMENT: dict[str, Any] = {
    "machine": {"cpu": "AMD EPYC", "cores_usable": 2},
    "ceiling": {"gflops": {"fp32": 200.0, "bf16": None}},
}


@pytest.fixture
def facts(make: Any) -> dict[str, Any]:
    return {"model_info": make.weights("pretrained")}


def row(table: Any, place: int = 0) -> dict[str, Any]:
    return shown.values(table)[place]


def test_compute_is_two_macs_a_batch_over_the_median(make: Any, folder: Any, facts: dict[str, Any]) -> None:
    found = results.load(folder(make.latency(250.0, batch=4, **facts), make.parity(), environment=ENVIRONMENT))
    got = row(compute.compute(found))
    assert got["Achieved (GFLOP/s)"] == pytest.approx(2 * 13.036376064 * 4 / 0.25)
    assert got["Share (%)"] == pytest.approx(100 * 2 * 13.036376064 * 4 / 0.25 / 200)


@pytest.mark.parametrize(("runtime", "macs"), [("paddle", 13.036376064), ("openvino", 12.25)])
def test_compute_is_that_of_the_graph_that_ran(make: Any, folder: Any, facts: Any, runtime: str, macs: float) -> None:
    """The ONNX graph leaves out what the last block has no use for; Paddle computes it all."""
    facts["model_info"]["macs"]["computed"] = 12_250_000_000
    found = results.load(folder(make.latency(250.0, runtime=runtime, **facts), make.parity(runtime=runtime)))
    assert row(compute.compute(found))["Work (GFLOP)"] == pytest.approx(2 * macs)


def test_a_ceiling_that_was_not_measured_gives_no_share(make: Any, folder: Any, facts: dict[str, Any]) -> None:
    cell, proof = make.latency(precision="bf16", **facts), make.parity(precision="bf16")
    got = row(compute.compute(results.load(folder(cell, proof, environment=ENVIRONMENT))))
    assert got["Ceiling (GFLOP/s)"] is None
    assert got["Share (%)"] is None


def test_of_a_doubtful_ceiling_there_is_no_share(make: Any, folder: Any, facts: dict[str, Any]) -> None:
    ceiling = {**ENVIRONMENT["ceiling"], "disturbed": "never measured undisturbed"}
    machine = ENVIRONMENT | {"ceiling": ceiling}
    got = row(compute.compute(results.load(folder(make.latency(**facts), make.parity(), environment=machine))))
    assert got["Ceiling (GFLOP/s)"] == 200
    assert got["Share (%)"] is None


def test_no_compute_of_what_is_unproven(make: Any, folder: Any, facts: dict[str, Any]) -> None:
    assert compute.compute(results.load(folder(make.latency(**facts)))).rows == ()


def test_memory_in_megabytes(make: Any, folder: Any) -> None:
    memory = {"model_bytes": 353_000_000, "process_bytes": 500_000_000, "device_bytes": None}
    got = shown.texts(compute.cost(results.load(folder(make.latency(memory=memory, load_ms=712.0), make.parity()))))[0]
    assert (got["Model (MB)"], got["Process (MB)"], got["Device (MB)"], got["Load (ms)"]) == ("353", "500", "-", "712")


def test_gain_and_change_of_a_precision(make: Any, folder: Any) -> None:
    changed = make.accuracy(0.77, precision="int8", reference_top1=0.78, mcnemar_p=0.03)
    proofs = [make.parity(), make.parity(precision="int8")]
    found = results.load(folder(make.latency(120.0), make.latency(60.0, precision="int8"), *proofs, changed))
    got = row(accuracy.precision(found), 1)
    assert got["Gain over its own fp32"] == pytest.approx(2.0)
    assert got["Change of top-1"] == pytest.approx(-0.01)


@pytest.mark.parametrize(
    ("fields", "said", "median", "verdict"),
    [
        ({"target": 0.01}, "unstable", 50.0, "fastest"),
        ({"target": 0.01, "disturbed": "other processes took 14 %"}, "unstable", 50.0, "fastest, on a busy machine"),
        ({"target": 0.01, "disturbed": "other processes took 14 %"}, "unstable", 90.0, "tie, on a busy machine"),
        ({"target": 0.01, "processes": [{"steady": False}]}, "unstable", 50.0, "fastest"),
        ({"target": 0.5}, "unstable", 90.0, "tie"),
        ({}, "unstable", 50.0, "fastest"),
    ],
)
def test_what_has_a_number_is_ranked_by_what_is_known_of_it(
    make: Any, folder: Any, fields: dict[str, Any], said: str, median: float, verdict: str
) -> None:
    wide = make.latency(median, 5.0, status="unstable", reason="wide", runtime="openvino", **fields)
    proofs = [make.parity(), make.parity(runtime="openvino")]
    found = results.load(folder(wide, make.latency(100.0), *proofs))
    ranked, winners = standing.ranking(found, found.of(Latency))
    assert ranked == verdict
    assert winners[0].runtime == "openvino"
    assert shown.bold(latency.latency(found)) == ([f"50 ({said})"] if verdict.startswith("fastest") else [])


def test_machines_are_never_ranked_against_each_other(make: Any, tmp_path: Path) -> None:
    paths = []
    for cpu, median in (("AMD EPYC", 100.0), ("Intel Xeon", 10.0)):
        run = tmp_path / cpu
        run.mkdir()
        records = [make.latency(median), make.parity()]
        (run / "results.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
        (run / "environment.json").write_text(json.dumps({"machine": {"cpu": cpu, "cores_usable": 2}}))
        paths.append(run)
    found = results.load(paths)
    rows = shown.texts(answer(found))
    assert [(one["Machine"], one["Verdict"]) for one in rows] == [
        ("AMD EPYC, 2 cores", "the only one"),
        ("Intel Xeon, 2 cores", "the only one"),
    ]
    report = tables.build(found)
    for table in report.tables:
        assert any("Machine" in column.full for column in table.columns) or table.name == "size", table.name
    assert "Intel Xeon" in markdown.render(report)
    assert "Intel Xeon" in latex.render(report)


def test_the_most_queries_per_second(make: Any, folder: Any) -> None:
    served = make.latency(None) | {"kind": "server", "qps_max": 6.5, "percentile": 99, "latency_bound_ms": 300.0}
    points = [{"qps_target": 7.0, "p99_ms": 280.0, "valid": True, "met": True}, {"qps_target": 9.0, "valid": False}]
    rows = shown.texts(throughput.server(results.load(folder(served | {"points": points}, make.parity()))))
    assert {(row["Most queries/s"], row["Percentile"], row["Bound (ms)"]) for row in rows} == {("6.50", "p99", "300")}
    assert [(row["Rate (queries/s)"], row["p99 (ms)"], row["Kept the bound"]) for row in rows] == [
        ("7.00", "280", "yes"),
        ("9.00", "-", "-"),
    ]
