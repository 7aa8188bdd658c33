"""What the charts draw, recomputed from the raw records by another path."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.html import chart_data, charts
from reports.load import results
from runtimes.records.kinds import Latency, Throughput
from tests.reports import synthetic
from tests.reports.shown import BASE, TINY

RAW = synthetic.records(runtimes=synthetic.RUNTIMES[:5], precisions=("fp32", "bf16", "int8"))


@pytest.fixture
def wide(folder: Any) -> results.Results:
    return results.load(folder(*RAW, environment=synthetic.ENVIRONMENT))


def proven(record: dict[str, Any]) -> bool:
    """Whether a raw record was measured beside a parity that passed."""
    same = [
        r for r in RAW if r["kind"] == "parity" and all(r[k] == record[k] for k in ("model", "runtime", "precision"))
    ]
    return record["status"] in ("ok", "unstable") and same[0]["passed"]


def name(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["model"], row["runtime"], row["precision"], row["batch"]


def raw(kind: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {name(r): r for r in RAW if r["kind"] == kind and proven(r)}


def test_latencies_are_the_medians_of_the_samples(wide: results.Results) -> None:
    rows = {name(row): row for row in chart_data.latencies(chart_data.drawn(wide, Latency))}
    expected = raw("latency")
    assert rows.keys() == expected.keys()
    assert len(rows) < sum(r["kind"] == "latency" for r in RAW), "what failed or is unproven is not drawn"
    for key, row in rows.items():
        assert row["ms"] == pytest.approx(statistics.median(expected[key]["samples_ms"]), rel=1e-12)
        assert (row["ms_low"], row["ms_high"]) == tuple(expected[key]["ci95_ms"])
        assert wide.records[row["number"]].command == expected[key]["command"]


def test_distributions_have_every_sample(wide: results.Results) -> None:
    rows = {name(row): row for row in chart_data.distributions(chart_data.drawn(wide, Latency))}
    assert rows.keys() == raw("latency").keys()
    for key, record in raw("latency").items():
        assert rows[key]["samples"] == pytest.approx(record["samples_ms"], rel=1e-5)
        assert rows[key]["count"] == record["count"]


@given(st.lists(st.floats(0.001, 1e5), min_size=1, max_size=3000))
def test_thinned_samples_keep_their_ends_and_ranks(samples: list[float]) -> None:
    kept = chart_data.thinned(samples)
    assert len(kept) == min(len(samples), chart_data.MOST_SAMPLES)
    assert (min(kept), max(kept)) == pytest.approx((min(samples), max(samples)), rel=1e-5)
    rounded = {float(f"{sample:.6g}") for sample in samples}
    assert set(kept) <= rounded
    if len(samples) > chart_data.MOST_SAMPLES:
        middle = sorted(samples)[len(samples) // 2 - 10 : len(samples) // 2 + 10]
        assert middle[0] * 0.9999 <= statistics.median(kept) <= middle[-1] * 1.0001


def test_accuracies_stand_beside_the_latency_of_the_same_runtime(wide: results.Results) -> None:
    rows = chart_data.accuracies(wide, chart_data.drawn(wide, Latency))
    top1 = {(r["model"], r["runtime"], r["precision"]): r for r in RAW if r["kind"] == "accuracy"}
    assert {name(row) for row in rows} == raw("latency").keys()
    for row in rows:
        record = top1[name(row)[:3]]
        assert row["top1"] == pytest.approx(100 * record["top1"])
        assert [row["top1_low"], row["top1_high"]] == pytest.approx([100 * end for end in record["top1_ci95"]])
        assert row["images"] == "val_list.txt (50000)"


def test_an_accuracy_that_means_nothing_is_not_drawn(make: Any, folder: Any) -> None:
    seeded = {"model": TINY, "model_info": make.weights("seeded")}
    records = [make.latency(), make.parity(), make.accuracy(status="failed", reason="not finite")]
    records += [make.latency(**seeded), make.parity(**seeded), make.accuracy(**seeded)]
    records += [make.latency(runtime="mnn"), make.parity(runtime="mnn"), make.accuracy(runtime="paddle")]
    found = results.load(folder(*records))
    assert len(chart_data.drawn(found, Latency)) == 3
    assert chart_data.accuracies(found, chart_data.drawn(found, Latency)) == []
    assert next(chart for chart in charts.build(found) if chart.name == "accuracy").why


def test_an_accuracy_without_an_interval_is_drawn(make: Any, folder: Any) -> None:
    found = results.load(folder(make.latency(), make.parity(), make.accuracy(0.5) | {"top1_ci95": None}))
    row = chart_data.accuracies(found, chart_data.drawn(found, Latency))[0]
    assert (row["top1"], row["top1_low"], row["top1_text"]) == (50.0, None, "50.0")


def test_rates_are_the_measured_ones(wide: results.Results) -> None:
    rows = chart_data.rates(chart_data.drawn(wide, Throughput))
    measured = {
        (r["model"], r["runtime"], tried["batch"], tried["streams"]): tried["images_per_s"]
        for r in RAW
        if r["kind"] == "throughput" and proven(r)
        for tried in r["searched"]
    }
    assert {(r["model"], r["runtime"], r["batch"], r["streams"]): r["rate"] for r in rows} == measured
    assert len(rows) == len(measured), "what was searched last is the record's own: drawn once"


def test_the_roofline_counts_two_flop_per_mac_and_the_weights_once(wide: results.Results) -> None:
    line = chart_data.roofline(wide, chart_data.drawn(wide, Latency))
    on_cpu = {key: record for key, record in raw("latency").items() if record["device"] == "CPU"}
    assert {name(point) for point in line.points} == on_cpu.keys() < raw("latency").keys()
    size = {"fp32": 4, "bf16": 2, "int8": 1}
    for point in line.points:
        record = on_cpu[name(point)]
        facts, side = record["model_info"], int(record["model"].rsplit("_", 1)[1])
        flop = 2 * facts["macs"]["total"] * record["batch"]
        moved = facts["parameters"]["total"] * size[record["precision"]] + 12 * side * side * record["batch"]
        assert point["intensity"] == pytest.approx(flop / moved)
        assert point["gflops"] == pytest.approx(flop / (statistics.median(record["samples_ms"]) * 1e6))


def test_a_roof_rises_with_the_bandwidth_to_its_peak(wide: results.Results) -> None:
    line = chart_data.roofline(wide, chart_data.drawn(wide, Latency))
    peaks = {"fp32": 220.0, "bf16": 640.0}
    assert {corner["roof"]: corner["peak"] for corner in line.roofs} == peaks, "int8's is not known"
    for roof, peak in peaks.items():
        left, ridge, right = ((c["intensity"], c["gflops"]) for c in line.roofs if c["roof"] == roof)
        assert left[1] == pytest.approx(21.5 * left[0])
        assert ridge == pytest.approx((peak / 21.5, peak))
        assert (right[1], right[0] > ridge[0] > left[0]) == (peak, True)


@pytest.mark.parametrize(
    "ceiling",
    [None, {}, {"gflops": {"fp32": None}, "bandwidth_gb_s": 20.0}, {"gflops": {"fp32": 200.0}, "bandwidth_gb_s": None}],
)
def test_without_ceilings_there_is_a_sentence(make: Any, folder: Any, ceiling: Any) -> None:
    found = results.load(folder(make.latency(), make.parity(), environment={"ceiling": ceiling}))
    chart = next(chart for chart in charts.build(found) if chart.name == "roofline")
    assert chart.data is None
    assert "no roofline" in chart.why


def test_what_ran_in_another_precision_than_asked_moves_that_ones_bytes(make: Any, folder: Any) -> None:
    facts = make.weights("file") | {"preprocessing": {"crop": 384}}
    facts["parameters"]["total"] = 88_297_960
    ran = {"effective": {"precision": "fp32", "device": "CPU"}, "precision": "bf16", "model_info": facts}
    records = [make.latency(**ran), make.parity(**ran)]
    found = results.load(folder(*records, environment=synthetic.ENVIRONMENT))
    point = chart_data.roofline(found, chart_data.drawn(found, Latency)).points[0]
    assert point["intensity"] == pytest.approx(2 * 13_036_376_064 / (4 * 88_297_960 + 12 * 384**2))


def test_several_machines_are_told_apart(make: Any, folder: Any, tmp_path: Path) -> None:
    runs = []
    for cpu, median in (("alpha", 100.0), ("beta", 90.0)):
        environment = synthetic.ENVIRONMENT | {"machine": {"cpu": cpu, "cores_usable": 2}}
        run = folder(make.latency(median), make.parity(), environment=environment)
        runs.append(run.rename(tmp_path / cpu))
    both = results.load(runs)
    rows = chart_data.latencies(chart_data.drawn(both, Latency))
    assert sorted((row["machine"], row["ms"]) for row in rows) == [("alpha, 2 cores", 100.0), ("beta, 2 cores", 90.0)]
    assert {row["label"] for row in rows} == {"ort-cpu fp32 @ alpha, 2 cores", "ort-cpu fp32 @ beta, 2 cores"}
    chart = next(chart for chart in charts.build(both) if chart.name == "roofline")
    assert "several machines" in chart.why
    alone = chart_data.latencies(chart_data.drawn(results.load(runs[0]), Latency))
    assert [(row["machine"], row["label"]) for row in alone] == [("", "ort-cpu fp32")]


def test_the_stored_example_is_drawn(example: Path) -> None:
    found = results.load(example)
    drawn: dict[str, Any] = {chart.name: chart for chart in charts.build(found)}
    assert list(drawn) == ["accuracy", "scaling", "distribution", "rate", "roofline"]
    assert {row["model"] for row in drawn["accuracy"].data["rows"]} == {BASE, TINY}
    medians = {(row["label"], row["batch"]): row["ms"] for row in drawn["scaling"].data["rows"] if row["model"] == BASE}
    assert medians["paddle fp32", 1] == 196.2215
