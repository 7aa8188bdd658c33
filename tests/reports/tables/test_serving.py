"""What a server costs over computing in process."""

from __future__ import annotations

from typing import Any

from reports.load import results
from reports.tables import compute, latency, serving, standing
from reports.tables import report as tables
from runtimes.records.kinds import Latency
from runtimes.records.parts import NOT_REPORTED
from tests.reports.shown import texts

UNKNOWN = {
    "precision": NOT_REPORTED,
    "device": NOT_REPORTED,
    "details": {"backend": "onnxruntime", "processes_seen": 1},
}
TIMES = {"requests": 40, "total_ms": 101.0, "queue_ms": 0.5, "input_ms": 0.25, "compute_ms": 100.0, "output_ms": 0.25}


def served(make: Any, **fields: Any) -> dict[str, Any]:
    return dict(
        make.latency(
            runtime="served",
            samples_ms=[104.0] * 30,
            effective=UNKNOWN,
            **{"server_times": TIMES, "model_info": make.weights("file"), **fields},
        )
    )


def test_what_the_server_counted_stands_beside_what_its_user_waits(make: Any, folder: Any) -> None:
    found = results.load(
        folder(
            make.parity(), make.parity(runtime="served"), make.latency(80.0), make.latency(90.0, batch=4), served(make)
        )
    )
    (row,) = texts(serving.serving(found))
    assert [row[name] for name in ("In the server (ms)", "Queue (ms)", "Compute (ms)", "On the way (ms)")] == [
        *("101", "0.500", "100", "3.00")
    ]
    assert (row["In process"], row["Times the latency in process"]) == ("ort-cpu", "1.300×")
    assert "serving" in [table.name for table in tables.build(found).tables]
    detail = {row["Runtime"]: row for row in texts(latency.detail(found))}["served fp32"]
    assert detail["Ran as"] == NOT_REPORTED
    assert not latency.detail(found).footnotes, "that it ran as something else is not said: nobody knows"
    shares = {row["Runtime"]: row for row in texts(compute.compute(found))}
    assert shares["served fp32"]["Ran as"] == NOT_REPORTED


def test_nothing_is_compared_that_differs_or_is_not_proven(make: Any, folder: Any) -> None:
    others = [make.latency(80.0, threads=1), make.latency(80.0, batch=4), make.latency(80.0, runtime="openvino")]
    found = results.load(folder(make.parity(), make.parity(runtime="served"), *others, served(make)))
    (row,) = texts(serving.serving(found))
    assert (row["In process"], row["Times the latency in process"]) == ("-", "-")
    unproven = results.load(folder(make.latency(80.0), served(make), name="unproven"))
    (row,) = texts(serving.serving(unproven))
    assert {row[name] for name in ("Median (ms)", "In the server (ms)", "In process")} == {"-"}


def test_without_a_server_there_is_no_such_table(make: Any, folder: Any) -> None:
    found = results.load(folder(make.parity(), make.latency()))
    assert "serving" not in [table.name for table in tables.build(found).tables]


def test_a_server_that_is_not_seen_here_is_not_ranked_with_this_machine(make: Any, folder: Any) -> None:
    def ranked(processes: int) -> list[str]:
        seen = {**UNKNOWN, "details": {"backend": "onnxruntime", "processes_seen": processes}}
        proofs = [make.parity(runtime=name) for name in ("ort-cpu", "mnn", "served")]
        cells = [make.latency(200.0), make.latency(300.0, runtime="mnn"), served(make) | {"effective": seen}]
        found = results.load(folder(*proofs, *cells, name=f"seen {processes}"))
        return [cell.runtime for cell in standing.ranking(found, found.of(Latency))[1]]

    assert ranked(1) == ["served"]
    assert ranked(0) == ["ort-cpu"], "another machine's speed is not this one's"
