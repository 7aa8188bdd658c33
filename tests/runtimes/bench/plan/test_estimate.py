"""What a plan is thought to take, from rates or from earlier records, and what does not fit."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.base import Options, usable_cores
from runtimes.bench.plan import estimate
from runtimes.bench.plan.matrix import Cell, key
from runtimes.bench.plan.plan import Plan
from runtimes.bench.plan.settings import Policy
from runtimes.bench.schedule import parity
from runtimes.records import store
from runtimes.records.blank import start
from runtimes.records.kinds import Latency, Parity
from runtimes.system.capacity import Capacity
from tests.runtimes.bench import on_paper

MACHINE = "m"
RECALL = parity.recall
POLICY = Policy(processes=2, min_s=4, min_count=10, max_s=60)
PLENTY = Capacity(1 << 40, 1 << 40)


@pytest.fixture(autouse=True)
def unproven(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "recall", lambda cell, blank, machine: [])


def planned(folder: Path, *cells: Cell, free: Capacity = PLENTY, policy: Policy = POLICY, **options: Any) -> Plan:
    return estimate.plan(cells, policy, MACHINE, folder / "run", free=free, **options)


def stored(folder: Path, cell: Cell, **fields: Any) -> None:
    """A record of a cell, as an earlier run left it."""
    numbers = {"median_ms": 100.0, "load_ms": 3000.0, "first_ms": 1000.0, "status": "ok", "reason": None}
    record = start(Latency, cell.artifact, cell.runtime, cell.options, batch=cell.batch, key=key(cell, MACHINE))
    store.append(folder, dataclasses.replace(record, **{**numbers, **fields}))


def test_time_by_rate_grows_with_the_work_and_shrinks_with_the_threads() -> None:
    big = on_paper.artifact(macs={"total": 2 * 10**11})
    one, two, eight = (
        estimate.cost(on_paper.cell(big, batch=batch, options=Options(threads=threads)), POLICY)
        for batch, threads in ((1, 1), (1, 2), (8, 1))
    )
    assert one.source == "rate"
    assert one.measured_s == pytest.approx(10 * 2e11 / 38e9), "ten inferences, as the minimum count is"
    if usable_cores() > 1:
        assert two.measured_s == pytest.approx(one.measured_s / 2)
    assert eight.measured_s == pytest.approx(2 * 8 * 2e11 / 38e9), "one inference a process is more than the maximum"
    assert estimate.cost(on_paper.cell(big, batch=2, options=Options(threads=1)), POLICY).measured_s == POLICY.max_s
    small = estimate.cost(on_paper.cell(on_paper.artifact(macs={"total": 10})), POLICY)
    assert small.measured_s == 4, "no shorter than the minimum"
    assert small.visit_s == small.fixed_s + 2


def test_more_threads_than_cores_make_nothing_faster() -> None:
    big = on_paper.artifact(macs={"total": 10**13})
    all_cores, too_many = (
        estimate.cost(on_paper.cell(big, options=Options(threads=threads)), Policy(max_s=1e9)).measured_s
        for threads in (usable_cores(), usable_cores() + 7)
    )
    assert all_cores == too_many


def test_an_earlier_record_of_the_same_cell_knows_better(tmp_path: Path) -> None:
    cell = on_paper.cell()
    stored(tmp_path / "old", cell, median_ms=5000.0, peak_memory_bytes=7 << 30, time_utc="1")
    os.utime(tmp_path / "old" / store.RESULTS, (1, 1))
    stored(tmp_path / "new", cell, peak_memory_bytes=5 << 30)
    stored(tmp_path / "new", cell, status="failed", median_ms=None)
    (cost,) = planned(tmp_path, cell).estimate.costs
    assert (cost.source, cost.memory_bytes) == ("record", 5 << 30)
    assert cost.fixed_s == pytest.approx(0.5 + 3 + 1 + 2 * 0.1), "start, load, first inference, warm-up"
    (cost,) = planned(tmp_path, dataclasses.replace(cell, batch=2)).estimate.costs
    assert cost.source == "rate", "another cell"


def test_as_long_as_it_took_to_be_sure_before(tmp_path: Path) -> None:
    cell = on_paper.cell()
    stored(tmp_path / "old", cell, samples_ms=(100.0,) * 300, target=POLICY.target)
    assert planned(tmp_path, cell).estimate.costs[0].measured_s == pytest.approx(30)
    stored(tmp_path / "old", cell, samples_ms=(100.0,) * 300, target=0.5)
    assert planned(tmp_path, cell).estimate.costs[0].measured_s == POLICY.min_s, "for another target it says nothing"


def test_damaged_results_count_for_nothing(tmp_path: Path) -> None:
    cell = on_paper.cell()
    stored(tmp_path / "old", cell)
    (tmp_path / "old" / store.RESULTS).write_text("nonsense\n{}\n")
    assert planned(tmp_path, cell).estimate.costs[0].source == "rate"


def test_a_resumed_run_pays_for_what_is_missing_only(tmp_path: Path) -> None:
    cells = [on_paper.cell(batch=batch) for batch in (1, 2, 4)]
    stored(tmp_path / "run", cells[0], status="unstable")
    stored(tmp_path / "run", cells[1], status="failed", median_ms=None)
    plan = planned(tmp_path, *cells, resume=True)
    assert [cost.source for cost in plan.estimate.costs] == ["stored", "rate", "rate"]
    assert plan.estimate.costs[0].visit_s == 0
    visits = sum(cost.seconds for cost in plan.estimate.costs[1:])
    assert plan.estimate.seconds == pytest.approx(visits + plan.estimate.parity_s)
    assert planned(tmp_path, *cells).estimate.costs[0].source == "record", "without --resume it is measured again"


def test_parity_costs_once_for_a_model_on_a_runtime_and_nothing_when_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(batches=(1, 8))
    cells = [on_paper.cell(batch=batch, options=options) for batch in (1, 8)]
    other = on_paper.cell(on=on_paper.runtime("mnn"), options=options)
    alone = planned(tmp_path, cells[0]).estimate.parity_s
    assert 0 < alone == planned(tmp_path, *cells).estimate.parity_s
    both = planned(tmp_path, *cells, other).estimate.parity_s
    assert alone < both < 2 * alone, "the reference is computed once"
    check = start(Parity, cells[0].artifact, cells[0].runtime, options, batches=(1, 8), passed=True)
    store.append(tmp_path / "run", check)
    assert planned(tmp_path, *cells).estimate.parity_s == 0
    monkeypatch.setattr(parity, "recall", lambda cell, blank, machine: [check])
    assert planned(tmp_path, *cells, other).estimate.parity_s == 0, "kept beside the artifact"


def test_memory_counts_model_images_and_streams() -> None:
    def memory(batch: int = 1, megabytes: int = 100, runtime: str = "ort-cpu", **changes: Any) -> int:
        model = on_paper.artifact(megabytes=megabytes)
        return estimate.memory_bytes(on_paper.cell(model, on_paper.runtime(runtime), batch, **changes))

    assert memory(megabytes=300) - memory() == pytest.approx(1.5 * (200 << 20), abs=1)
    # An image, four times its tokens' width and the MLP's, and two heads' attention, in FP32 and twice.
    per_image = 2 * 4 * (3 * 32 * 32 + 17 * (4 * 16 + 64) + 2 * 17**2)
    assert memory(9) - memory(1) == pytest.approx(8 * per_image, abs=1)
    assert memory(runtime="of another package") == memory(runtime="paddle"), "the largest of those that were measured"


def test_a_search_may_come_to_many_images_and_sessions_and_needs_few(tmp_path: Path) -> None:
    several: dict[str, Any] = {
        "mode": "throughput",
        "mode_options": {"batches": [2, 16]},
        "options": Options(threads=4),
    }
    one, many = (on_paper.cell(on=on_paper.runtime(streams=streams), **several) for streams in (True, False))
    assert estimate.memory_bytes(one) == estimate.memory_bytes(on_paper.cell(batch=64))
    assert estimate.memory_bytes(many) - estimate.memory_bytes(one) == pytest.approx(3 * 1.5 * (100 << 20), abs=1)
    paddle = on_paper.runtime("paddle")
    alone = estimate.memory_bytes(on_paper.cell(on=paddle, batch=64))
    more = estimate.memory_bytes(on_paper.cell(on=paddle, **several)) - alone
    assert more == pytest.approx(3 * ((350 << 20) + 2.1 * (100 << 20)), abs=2), "each in a process of its own"
    smallest = estimate.memory_bytes(on_paper.cell())
    assert smallest < estimate.memory_bytes(many)
    assert planned(tmp_path, many, free=Capacity(smallest, 1 << 40)).refused == ()
    assert len(planned(tmp_path, many, free=Capacity(smallest - 1, 1 << 40)).refused) == 1


def test_other_modes_take_time_for_each_point() -> None:
    model = on_paper.artifact(macs={"total": 38 * 10**8})  # 0.1 s on a thread
    options = Options(threads=1)
    search = on_paper.cell(model, mode="throughput", mode_options={"batches": [1, 2, 4]}, options=options)
    alone = estimate.cost(on_paper.cell(model, options=options), POLICY)
    cost = estimate.cost(search, POLICY)
    assert cost.measured_s == pytest.approx((2 + 3) / 2 * POLICY.min_s), "three points and two processes at the best"
    assert 2.2 * alone.visit_s < cost.visit_s < 2.5 * alone.visit_s


@pytest.mark.parametrize(
    ("milliseconds", "percentile", "max_s", "seconds"),
    [
        # 64 or 662 requests at 0.2 to 1.2 of 10 or 100 a second; above the capacity they take until they are answered.
        (100, 90, 600, 64 / 10 * (1 / 0.2 + 1 / 0.4 + 1 / 0.6 + 1 / 0.8 + 1 + 1 + 2 / 0.7)),
        (10, 99, 600, 662 / 100 * (1 / 0.2 + 1 / 0.4 + 1 / 0.6 + 1 / 0.8 + 1 + 1 + 2 / 0.7)),
        # Half a minute a rate is enough for none but the fastest: 60 requests at 0.2, 64 from 0.4 on.
        (100, 90, 30, 30 + 64 / 10 * (1 / 0.4 + 1 / 0.6 + 1 / 0.8 + 1 + 1 + 2 / 0.7)),
        # Where no maximum is asked for, it takes what the percentile needs.
        (100, 99, None, 662 / 10 * (1 / 0.2 + 1 / 0.4 + 1 / 0.6 + 1 / 0.8 + 1 + 1 + 2 / 0.7)),
        # A model that is so quick that the least time decides: two seconds a rate, and what came above the capacity.
        (0.01, 99, None, 2 * (5 + 1.2 + 2)),
    ],
)
def test_a_server_takes_longest_at_low_rates(
    milliseconds: float, percentile: int, max_s: float | None, seconds: float
) -> None:
    model = on_paper.artifact(macs={"total": int(38e6 * milliseconds)})
    cell = on_paper.cell(model, mode="server", mode_options={"percentile": percentile}, options=Options(threads=1))
    found = estimate.cost(cell, dataclasses.replace(POLICY, max_s=max_s)).measured_s
    assert found == pytest.approx(seconds, rel=0.02)


def test_a_latency_that_is_known_says_how_long_a_server_takes(tmp_path: Path) -> None:
    latency = on_paper.cell()
    server = on_paper.cell(mode="server", mode_options={"percentile": 99, "latency_bound_ms": 50.0})
    endless = dataclasses.replace(POLICY, max_s=None)
    guessed = planned(tmp_path, server, policy=endless).estimate.costs[0]
    stored(tmp_path / "old", dataclasses.replace(latency, batch=2), median_ms=9.0)
    assert planned(tmp_path, server, policy=endless).estimate.costs[0] == guessed, "two images at a time tell nothing"
    stored(tmp_path / "old", latency, median_ms=500.0)
    (known,) = (plan := planned(tmp_path, server, policy=endless)).estimate.costs
    assert (guessed.source, known.source, known.visits) == ("rate", "record", 1)
    assert known.measured_s > 662 / (0.2 * 2), "662 requests at a fifth of two a second"
    assert plan.estimate.seconds - plan.estimate.parity_s == pytest.approx(known.fixed_s + known.measured_s)


def test_a_model_without_a_spec_is_estimated_too() -> None:
    cell = on_paper.cell(on_paper.artifact(spec=None))
    assert estimate.memory_bytes(cell) > estimate.memory_bytes(on_paper.cell())


def test_what_does_not_fit_in_memory_is_refused_and_the_rest_is_planned(tmp_path: Path) -> None:
    small, large = on_paper.cell(), on_paper.cell(on_paper.artifact("large", megabytes=5000))
    plan = planned(tmp_path, large, small, free=Capacity(2 << 30, 1 << 40))
    assert plan.cells == (small,)
    ((cell, reason),) = plan.refused
    assert cell is large
    assert reason == "it needs about 7.4 GiB of memory, and 2.0 GiB are free here"
    assert len(plan.estimate.costs) == 1
    assert plan.estimate.memory_bytes < 1 << 30
    assert planned(tmp_path, large, free=Capacity(None, 1)).refused == (), "unknown is not zero"


def test_what_runtimes_write_has_to_fit_on_the_disk_together(tmp_path: Path) -> None:
    models = [on_paper.artifact(name, 1024, tmp_path) for name in ("a", "b", "c")]
    mnn = on_paper.runtime("mnn")
    cells = [on_paper.cell(model, mnn, batch) for model in models for batch in (1, 2)]
    plan = planned(tmp_path, *cells, on_paper.cell(models[2]), free=Capacity(1 << 40, 2200 << 20))
    assert [(cell.artifact.model, cell.batch) for cell in plan.cells] == [
        ("a", 1),
        ("a", 2),
        ("b", 1),
        ("b", 2),
        ("c", 1),
    ]
    assert plan.estimate.disk_bytes == 2 << 30, "once for a model, and nothing where a runtime writes nothing"
    assert {reason for _, reason in plan.refused} == {
        "its runtime writes about 1.0 GiB, and 0.1 GiB are free there: make room, or take another folder with --cache"
    }


def test_what_was_written_since_the_model_was_converted_is_there(tmp_path: Path) -> None:
    cell = on_paper.cell(on_paper.artifact(folder=tmp_path), on_paper.runtime("mnn"))
    cell.artifact.path.mkdir(parents=True)
    manifest = cell.artifact.path / "manifest.json"
    manifest.write_text("{}")
    assert planned(tmp_path, cell).estimate.disk_bytes == 100 << 20
    converting = planned(tmp_path, cell).estimate.memory_bytes
    (cell.artifact.path / "cache" / "mnn" / "vit-0123456789abcdef").mkdir(parents=True)
    assert planned(tmp_path, cell).estimate.disk_bytes == 0
    assert planned(tmp_path, cell).estimate.memory_bytes < converting, "no converter runs beside it"
    os.utime(manifest, (2**33, 2**33))
    assert planned(tmp_path, cell).estimate.disk_bytes == 100 << 20, "it was of an older model"


def test_openvino_writes_where_it_is_given_a_folder_only(tmp_path: Path) -> None:
    runtime = on_paper.runtime("openvino")
    assert planned(tmp_path, on_paper.cell(on=runtime)).estimate.disk_bytes == 0
    cached = on_paper.cell(on=runtime, options=Options(cache=str(tmp_path / "kept")))
    assert planned(tmp_path, cached).estimate.disk_bytes == 100 << 20


@given(
    st.integers(1, 10**15),
    st.integers(1, 10**6),
    st.sampled_from(["paddle", "ort-cpu", "mnn", "tensorrt", "x"]),
    st.sampled_from(["CPU", "GPU"]),
    st.sampled_from([("latency", {}), ("throughput", {"batches": [1, 4]}), ("server", {"percentile": 99})]),
)
def test_every_estimate_is_a_number_above_zero(macs: int, megabytes: int, runtime: str, device: str, mode: Any) -> None:
    model = on_paper.artifact(megabytes=megabytes, macs={"total": macs})
    options = Options(device=device)
    cell = on_paper.cell(model, on_paper.runtime(runtime), options=options, mode=mode[0], mode_options=mode[1])
    cost = estimate.cost(cell, POLICY)
    assert 0 < cost.fixed_s < float("inf")
    assert POLICY.min_s <= cost.measured_s < float("inf")
    assert cost.memory_bytes > megabytes << 20


def test_kept_parity_is_asked_for_with_the_cells_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "recall", RECALL)
    assert planned(tmp_path, on_paper.cell(on_paper.artifact(folder=tmp_path))).estimate.parity_s > 0


def test_a_model_whose_multiply_accumulates_are_not_counted_has_an_estimate() -> None:
    counted = on_paper.artifact(macs={"published": 200 * 10**7, "total": 200 * 10**7})
    unknown = on_paper.artifact(
        macs={"published": None, "total": None}, parameters={"published": 10**7, "total": 10**7}
    )
    costs = [estimate.cost(on_paper.cell(model), Policy()).fixed_s for model in (counted, unknown)]
    assert costs[0] == costs[1] > 0


def test_an_onnx_file_of_which_nothing_was_counted_has_an_estimate_in_mode_server() -> None:
    nothing = {"published": None, "total": None}
    model = on_paper.artifact(megabytes=8, macs=nothing, parameters=nothing)
    server = on_paper.cell(model, mode="server", mode_options={"percentile": 99})
    assert 0 < estimate.cost(server, Policy()).measured_s < math.inf
