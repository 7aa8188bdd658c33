"""Which cell has the most per second: each question for itself, and nothing ranked that differs in it."""

from __future__ import annotations

from typing import Any

import pytest

from reports.load import results
from reports.tables import report as tables
from reports.tables import throughput
from runtimes.records.kinds import ASKED_FOR
from tests.reports.shown import texts


def served(make: Any, runtime: str, qps: float | None, percentile: int = 99, **fields: Any) -> dict[str, Any]:
    numbers = {"qps_max": qps, "percentile": percentile, "latency_bound_ms": 100.0, "bound": ASKED_FOR}
    found: dict[str, Any] = make.latency(None)
    return found | {"kind": "server", "runtime": runtime, **numbers, "points": [{"valid": True}], **fields}


def driven(make: Any, runtime: str, rate: float, half: float, **fields: Any) -> dict[str, Any]:
    numbers = {"images_per_s": rate, "ci95_images_per_s": [rate - half, rate + half], "batch": 4}
    found: dict[str, Any] = make.latency(None)
    return found | {"kind": "throughput", "runtime": runtime, **numbers, **fields}


def rows(make: Any, folder: Any, *records: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    proofs = [make.parity(runtime=name) for name in ("ort-cpu", "openvino", "mnn")]
    table = throughput.rates(results.load(folder(*proofs, *records)))
    return [(row["Question"], row["Verdict"], row["Runtime"], row["Per second"]) for row in texts(table)]


def test_percentiles_and_bounds_are_never_ranked_together(make: Any, folder: Any) -> None:
    found = rows(
        make,
        folder,
        served(make, "ort-cpu", 20.0),
        served(make, "openvino", 30.0),
        served(make, "mnn", 90.0, percentile=90),
        served(make, "mnn", 95.0, latency_bound_ms=200.0),
    )
    assert sorted(found) == [
        ("requests/s, p90 within 100 ms", "the only one", "mnn fp32", "90.0"),
        ("requests/s, p99 within 100 ms", "highest", "openvino fp32", "30.0"),
        ("requests/s, p99 within 200 ms", "the only one", "mnn fp32", "95.0"),
    ]


def test_bounds_that_nobody_asked_for_are_each_cells_own(make: Any, folder: Any) -> None:
    own: dict[str, Any] = {"bound": "3 x the median latency of an idle machine"}
    found = rows(make, folder, served(make, "ort-cpu", 20.0, **own), served(make, "openvino", 30.0, **own))
    assert [verdict for _, verdict, *_ in found] == ["the only one"] * 2


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({"points": [{"valid": False, "qps_target": 3.0}], "qps_max": None}, "cannot tell"),
        ({"disturbed": "busy", "status": "unstable", "reason": "busy"}, "cannot tell"),
        ({"status": "failed", "reason": "broke", "qps_max": None}, "the only one"),
        ({"qps_max": None}, "highest"),
    ],
)
def test_where_one_is_open_nothing_is_ranked(make: Any, folder: Any, fields: dict[str, Any], verdict: str) -> None:
    ((_, found, *_),) = rows(make, folder, served(make, "ort-cpu", 20.0), served(make, "openvino", 10.0, **fields))
    assert found == verdict


@pytest.mark.parametrize(("half", "verdict"), [(1.0, "highest"), (30.0, "tie")])
def test_throughputs_tie_where_their_intervals_meet(make: Any, folder: Any, half: float, verdict: str) -> None:
    found = rows(make, folder, driven(make, "ort-cpu", 80.0, half), driven(make, "openvino", 120.0, half))
    assert [(one[0], one[1], one[2]) for one in found] == [("images/s, back to back", verdict, "openvino fp32")]


def test_an_absurd_interval_is_unknown(make: Any, folder: Any) -> None:
    rate = driven(make, "ort-cpu", 120.9, 1.0, ci95_images_per_s=[0.9, 15425.8])
    found = results.load(folder(make.parity(), rate))
    for table in (throughput.rates(found), throughput.throughput(found)):
        assert [row["95 % interval"] for row in texts(table)] == ["unknown"]


def test_what_was_not_asked_for_has_no_section(make: Any, folder: Any) -> None:
    names = [
        table.name
        for table in tables.build(results.load(folder(make.parity(), driven(make, "ort-cpu", 9.0, 1.0)))).tables
    ]
    assert names == ["rates", "throughput", "size", "parity", "environment"]


def test_joules_have_a_column_where_some_cell_knows_them(make: Any, folder: Any) -> None:
    """Their digits are those in which processes agree; a cell without them says why, and an unproven one nothing."""
    known = {"joules_per_image": 1.2345, "range_joules": [1.2, 1.27], "source": "rapl"}
    unknown = {"reason": "the energy counter did not move", "source": "rapl"}
    proofs = [make.parity(runtime=name) for name in ("ort-cpu", "openvino")]
    cells = [
        driven(make, "ort-cpu", 80.0, 1.0, energy=known),
        driven(make, "openvino", 70.0, 1.0, energy=unknown),
        driven(make, "mnn", 60.0, 1.0, energy=known),
    ]
    table = throughput.throughput(results.load(folder(*proofs, *cells)))
    assert {row["Runtime"]: row["Joules per image"] for row in texts(table)} == {
        "ort-cpu fp32": "1.23",
        "openvino fp32": "-",
        "mnn fp32": "-",
    }
    assert "the energy counter did not move" in table.footnotes
    bare = throughput.throughput(results.load(folder(*proofs, driven(make, "openvino", 70.0, 1.0, energy=unknown))))
    assert "Joules per image" not in texts(bare)[0]
