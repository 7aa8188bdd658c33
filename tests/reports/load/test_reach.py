"""A speed beyond what the machine can do is refused as one without parity is, wherever speeds are shown."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from convert.common.language import translated
from reports.export import __main__ as export
from reports.html import chart_data
from reports.load import results
from reports.render import markdown, plain
from reports.tables import report as tables
from reports.tables import standing
from runtimes.bench.ceiling.believed import MARGIN, WINOGRAD, images_per_s, too_fast
from runtimes.records.kinds import Latency, Server, Throughput
from tests.reports.compare.comparing import run as compared

MACS = {"published": 90_000_000_000, "total": 100_000_000_000}  # 200 GFLOP for an image
GFLOPS = {"fp32": 200.0, "bf16": 400.0, "int8": 500.0}
MACHINE: dict[str, Any] = {"machine": {"cpu": "AMD EPYC", "cores_usable": 2}, "ceiling": {"gflops": GFLOPS}}


def said(make: Any, folder: Any, environment: dict[str, Any] = MACHINE, **fields: Any) -> str | None:
    """What is said against a latency whose parity passed: 200 GFLOP in so many ms."""
    cell = make.latency(**{"model_info": {"macs": MACS}, **fields})
    proof = {name: cell[name] for name in ("runtime", "precision", "device")}
    found = results.load(folder(cell, make.parity(**proof), environment=environment))
    return found.doubt(found.of(Latency)[0])


def test_an_impossible_speed_says_why(make: Any, folder: Any) -> None:
    why = said(make, folder, median=100.0)
    assert why == (
        "faster than the machine can be: 2,000 GFLOP/s are 10.0 times its ceiling in fp32 (200 GFLOP/s), and at most "
        "2.5 times are believed"
    )
    assert translated(why, "zh").startswith(
        "比机器可能达到的还快：2,000 GFLOP/s 是其 fp32 上限（200 GFLOP/s）的 10.0 倍"
    )
    assert said(make, folder, median=100.0, batch=2, model_info={"macs": {**MACS, "computed": 10**9}}) is None, "1 GMAC"


def test_a_speed_within_the_margin_is_believed(make: Any, folder: Any) -> None:
    at_ceiling = 1000.0
    assert said(make, folder, median=at_ceiling / MARGIN * 1.01) is None
    assert said(make, folder, median=at_ceiling / MARGIN * 0.99)
    assert said(make, folder, median=at_ceiling / MARGIN * 0.99 * 4, batch=4), "of the whole batch"


def test_winograds_algorithm_multiplies_less_than_is_counted(make: Any, folder: Any) -> None:
    for macs in ({**MACS, "published": MACS["total"]}, {"total": MACS["total"]}):  # no attention, and not known
        assert said(make, folder, median=1000.0 / MARGIN / WINOGRAD * 1.01, model_info={"macs": macs}) is None
        assert said(make, folder, median=1000.0 / MARGIN / WINOGRAD * 0.99, model_info={"macs": macs})


@pytest.mark.parametrize(
    ("effective", "median", "believed"),
    [
        ({"precision": "bf16"}, 300.0, True),  # asked for fp32, ran as bf16: 667 GFLOP/s, of 400
        ({"precision": "fp32"}, 300.0, False),
        (None, 200.0, True),  # 1,000 GFLOP/s: it may have been int8
        (None, 90.0, False),
        ({"precision": "tf32"}, 1.0, True),  # which has no ceiling
        ({"precision": "fp32", "arithmetic": {"shares": {"fp32": 0.9, "bf16": 0.1}}}, 300.0, True),
        ({"precision": "fp32", "device": "GPU"}, 1.0, True),  # which has none either
        ({"precision": "not reported by the server", "device": "not reported by the server"}, 1.0, True),
        ({"precision": "int8"}, 0.98 * 1e3 * 200 / (800 * MARGIN), False),  # twice what bf16 has
        ({"precision": "int8"}, 1.02 * 1e3 * 200 / (800 * MARGIN), True),
    ],
)
def test_the_ceiling_is_that_of_what_ran(make: Any, folder: Any, effective: Any, median: float, believed: bool) -> None:
    assert (said(make, folder, effective=effective, median=median) is None) is believed


def test_where_no_ceiling_is_known_nothing_is_refused(make: Any, folder: Any) -> None:
    doubtful = {**MACHINE["ceiling"], "disturbed": "never measured undisturbed"}
    for environment in ({}, {"machine": MACHINE["machine"]}, MACHINE | {"ceiling": doubtful}):
        assert said(make, folder, environment, median=2.0) is None
    assert said(make, folder, median=2.0, model_info=None) is None, "nor where the work is not known"


def test_the_ceiling_of_the_only_gpu_counts(make: Any, folder: Any) -> None:
    on_gpu = {"device": "GPU", "effective": {"precision": "fp32", "device": "GPU"}, "median": 1.0}
    for gpus, refused in (
        ([{"gflops": {"fp32": 60e3}}], True),
        ([{"gflops": {"fp32": 250e3}}], False),
        ([{}, {}], False),
    ):
        ceiling: dict[str, Any] = {**MACHINE["ceiling"], "gpus": gpus}
        assert bool(said(make, folder, MACHINE | {"ceiling": ceiling}, **on_gpu)) is refused


def test_a_rate_is_refused_likewise(make: Any, folder: Any) -> None:
    rate = {"kind": "throughput", "images_per_s": 4.0, "model_info": {"macs": MACS}, "status": "ok"}
    found = results.load(folder(make.latency(None) | rate, make.parity(), environment=MACHINE))
    (cell,) = found.of(Throughput)
    assert images_per_s(cell) == 4.0
    assert "800 GFLOP/s are 4.0 times" in str(too_fast(MACHINE, cell))
    assert too_fast(MACHINE, replace(cell, images_per_s=2.4)) is None
    assert found.proven(cell) is False


def test_no_table_chart_or_ranking_shows_it(make: Any, folder: Any, tmp_path: Path) -> None:
    info = {"model_info": {"macs": MACS}}
    records = [make.latency(1234.5, **info), make.latency(77.125, runtime="openvino", **info)]
    records += [make.parity(), make.parity(runtime="openvino")]
    run = folder(*records, environment=MACHINE)
    found = results.load(run)
    assert [one.runtime for one in standing.ranking(found, found.of(Latency))[1]] == ["ort-cpu"]
    report = tables.build(found)
    assert "unproven: faster than the machine can be" in markdown.render(report)
    assert not re.search(r"\b77\b", markdown.render(report))
    assert "77.125" not in json.dumps(plain.document(report)["tables"])
    assert [cell.record.runtime for cell in chart_data.drawn(found, Latency)] == ["ort-cpu"]
    packed = tmp_path / "run.vitbench.json.gz"
    export.main([str(run), "--out", str(packed)], standalone_mode=False)
    assert [one.runtime for one in results.load(packed).of(Latency) if results.load(packed).doubt(one)] == ["openvino"]


def test_a_comparison_fails_where_a_speed_became_impossible(make: Any, folder: Any) -> None:
    info, proofs = {"model_info": {"macs": MACS}}, [make.parity()]
    slow, fast = (
        folder(make.latency(median, **info), *proofs, environment=MACHINE, name=name)
        for name, median in (("slow", 1200.0), ("fast", 77.125))
    )
    broke = compared(slow, fast)
    assert (broke.exit_code, "faster than the machine can be" in broke.stderr) == (1, True)
    assert compared(fast, slow).exit_code == 0


@pytest.mark.parametrize(
    ("curve", "refused"),
    [
        ({"qps_max": 4.0}, True),
        ({"qps_max": 2.4}, False),
        ({"qps_max": None, "points": [{"qps": 1.0}, {"qps": 4.0}]}, True),
        ({"qps_max": 1.0, "capacity_qps": 4.0}, True),
        ({"qps_max": None, "points": None}, False),
    ],
)
def test_a_server_completes_no_more_than_the_machine_can(
    make: Any, folder: Any, curve: dict[str, Any], refused: bool
) -> None:
    server = {"kind": "server", "model_info": {"macs": MACS}, "status": "ok", "batch": 1, **curve}
    found = results.load(folder(make.latency(None) | server, make.parity(), environment=MACHINE))
    (cell,) = found.of(Server)
    assert bool(too_fast(MACHINE, cell)) is refused
    assert found.proven(cell) is not refused
    report = tables.build(found)
    assert ("unproven: faster than the machine can be" in markdown.render(report)) is refused
