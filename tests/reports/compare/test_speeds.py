from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reports import runs
from tests.reports.compare.comparing import Records, one, run, stored


@pytest.fixture
def compared(tmp_path: Path) -> Callable[..., tuple[dict[str, Any], int]]:
    """The comparison of two sets of records as JSON, and its exit status."""

    def both(base: Records, new: Records, *options: str, now: Any = runs.ENVIRONMENT) -> tuple[dict[str, Any], int]:
        folders = [
            stored(tmp_path / name, records, environment)
            for name, records, environment in (("base", base, runs.ENVIRONMENT), ("new", new, now))
        ]
        result = run(*folders, *options, "--json")
        assert result.exit_code in (0, 1, *(3 for option in options if option == "--fail-unknown")), result.output
        return json.loads(result.stdout), result.exit_code

    return both


def only(found: dict[str, Any], kind: str = "latency") -> dict[str, Any]:
    (cell,) = [cell for cell in found["cells"] if cell["kind"] == kind]
    return dict(cell)


@pytest.mark.parametrize("seed", range(1, 11))
def test_another_run_of_the_same_is_no_regression(compared: Any, seed: int) -> None:
    found, status = compared(runs.matrix(0), runs.matrix(seed), "--fail", "median:5%")
    assert status == 0
    assert {cell["verdict"] for cell in found["cells"]} == {"no change"}


@pytest.mark.parametrize("processes", [2, 5])
def test_a_slow_down_of_a_twentieth_fails(compared: Any, processes: int) -> None:
    base, new = runs.matrix(0, processes=processes), runs.matrix(1, slower=0.05, processes=processes)
    found, status = compared(base, new, "--fail", "median:5%")
    assert status == 1
    group = next(cell for cell in found["cells"] if cell["kind"] == "group" and cell["cell"].endswith("all 12 cells"))
    assert group["verdict"] == "slower"
    assert group["ratio_ci95"][0] < 1.05 < group["ratio_ci95"][1]
    back, status = compared(new, base)
    assert status == 0
    assert "faster" in {cell["verdict"] for cell in back["cells"]}


def test_what_disturbed_both_is_said_of_both(compared: Any) -> None:
    sides = {"BASE": runs.matrix(0), "NEW": runs.matrix(1)}
    for which, records in sides.items():
        hit = next(record for record in records if record["kind"] == "latency")
        hit |= {"disturbed": f"a {which.lower()} program ran", "status": "unstable"}
    found, _ = compared(sides["BASE"], sides["NEW"])
    (notes,) = [cell["notes"] for cell in found["cells"] if any("disturbed" in note for note in cell["notes"])]
    assert notes == ["BASE: disturbed: a base program ran; NEW: disturbed: a new program ran"]


@pytest.mark.parametrize("which", ["BASE", "NEW"])
def test_a_disturbed_number_proves_nothing_and_its_neighbours_are_judged(compared: Any, which: str) -> None:
    """Of two equal runs one met a machine that was slowed down, and by more than the speed probe saw."""
    sides = {"BASE": runs.matrix(0), "NEW": runs.matrix(1, slower=0.3)}
    hit = next(record for record in sides[which] if record["kind"] == "latency")
    hit |= {"disturbed": "the machine itself was 13% slower than at its best", "status": "unstable"}
    found, status = compared(sides["BASE"], sides["NEW"], "--fail", "median:5%")
    assert status == 1  # for the eleven others
    verdicts = {cell["cell"]: cell for cell in found["cells"] if cell["kind"] == "latency"}
    (doubtful,) = [cell for cell in verdicts.values() if cell["verdict"] != "slower"]
    assert doubtful["verdict"] == "cannot tell"
    assert f"{which}: disturbed: the machine itself was 13%" in " ".join(doubtful["notes"])
    assert {cell["cell"][-12:] for cell in found["cells"] if cell["kind"] == "group"} >= {
        "all 11 cells",
        " all 2 cells",
    }


def test_measured_below_the_threshold_and_yet_reaching_it(compared: Any) -> None:
    """A true slow-down by the threshold is measured below it every other time."""
    found, status = compared(one(100.0), one(104.7, seed=4))
    cell = only(found)
    assert cell["ratio"] < 1.05 < cell["ratio_ci95"][1]
    assert (cell["verdict"], status) == ("slower", 1)
    assert "median:5%" in cell["regression"]
    _, status = compared(one(100.0), one(104.7, seed=4), "--fail", "median:10%")
    assert status == 0


def test_certain_but_too_small_to_matter(compared: Any) -> None:
    steady: dict[str, Any] = {"between": 0.0005, "inside": 0.001}
    found, _ = compared(one(100.0, **steady), one(104.0, seed=2, **steady))
    assert only(found)["verdict"] == "slower"
    found, _ = compared(one(100.0, **steady), one(104.0, seed=2, **steady), "--smallest", "3%")
    assert only(found)["verdict"] == "no change"


def test_what_the_machine_changed_by_is_taken_out(compared: Any) -> None:
    slow_machine = one(107.0, seed=2, speed_ms=4.25 * 1.07)
    found, status = compared(one(100.0), slow_machine)
    assert (only(found)["verdict"], status) == ("no change", 0)
    assert only(found)["change"] == pytest.approx(0.0, abs=0.01)
    assert "7.0% slower in NEW, which is taken out of the change" in found["notes"][0]
    assert only(found)["notes"] == [], "said once"
    found, status = compared(one(100.0), one(120.0, seed=2, speed_ms=4.25 * 1.07))
    assert (only(found)["verdict"], status) == ("slower", 1)  # by more than the machine
    found, status = compared(one(100.0), one(100.0, seed=2, speed_ms=4.25 * 0.93))
    assert (only(found)["verdict"], status) == ("slower", 1)  # the machine got faster, the cell did not


def test_a_product_on_the_processor_says_nothing_of_a_gpu(compared: Any) -> None:
    base, new = (one(100.0, seed=seed, speed_ms=speed) for seed, speed in ((1, 4.25), (2, 4.25 * 1.07)))
    for record in (*base, *new):
        record["device"] = "CUDA:0"
    found, _ = compared(base, new)
    assert only(found)["change"] == pytest.approx(0.0, abs=0.01)
    assert not any("machine itself" in note for note in [*only(found)["notes"], *found["notes"]])


def test_a_cell_whose_machine_differed_from_the_others_says_so(compared: Any) -> None:
    base = [*one(100.0), one(100.0, seed=3, batch=4)[-1]]
    new = [*one(100.0, seed=2), one(100.0, seed=4, batch=4, speed_ms=4.25 * 1.05)[-1]]
    found, _ = compared(base, new)
    notes = {cell["cell"]: " ".join(cell["notes"]) for cell in found["cells"] if cell["kind"] == "latency"}
    ((_, quiet), (_, slow)) = sorted(notes.items(), key=lambda item: "batch 4" in item[0])
    assert "the machine itself was 5.0% slower" in slow
    assert "the machine itself did not change" in quiet


def test_too_noisy_to_tell(compared: Any) -> None:
    base, new = ([one(100.0)[0], runs.latency([[low] * 9, [high] * 9])] for low, high in ((90.0, 110.0), (95.0, 114.0)))
    found, status = compared(base, new)
    assert (only(found)["verdict"], status) == ("cannot tell", 0)
    assert "more processes are needed" in only(found)["notes"][-1]
    assert "median:5% cannot be excluded" in found["notes"][-1]


def test_records_without_processes_say_what_is_assumed(compared: Any) -> None:
    old = one(100.0)
    for name in ("processes", "format"):
        old[1].pop(name)
    found, _ = compared(old, one(103.0, seed=3))
    assert only(found)["verdict"] == "no change"
    assert "2 % between processes is assumed" in only(found)["notes"][0]
    found, _ = compared(old, one(130.0, seed=3))
    assert only(found)["verdict"] == "slower"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"threads": 4}, "threads 2, now 4"),
        ({"settings": {"x": "1"}}, "settings none, now x=1"),
        ({"streams": 2}, "streams"),
    ],
)
def test_other_options_are_said_and_not_compared(compared: Any, fields: dict[str, Any], words: str) -> None:
    new = [*one(100.0), *one(200.0, **fields)[1:]]
    proof = runs.common("parity", passed=True, batches=[1, 4, 8], **fields)
    found, status = compared(one(100.0), [proof, new[-1]])
    assert status == 0
    assert only(found)["verdict"] == "not comparable"
    assert words in only(found)["notes"][-1]


def test_another_machine_is_said_and_not_compared(compared: Any) -> None:
    other = copy.deepcopy(runs.ENVIRONMENT)
    other["machine"]["cores_usable"] = 4
    found, status = compared(one(100.0), one(200.0), now=other)
    assert (only(found)["verdict"], status) == ("not comparable", 0)
    assert "AMD EPYC, 2 cores; now AMD EPYC, 4 cores" in only(found)["notes"][0]
    found, _ = compared(one(100.0), one(200.0), now=None)
    assert "not known" in only(found)["notes"][0]


def test_versions_and_artifacts_are_what_is_compared(compared: Any) -> None:
    changed = {"artifact": "b" * 64, "runtime_version": "1.32.0"}
    new = [record | changed for record in one(120.0)]
    environment = runs.ENVIRONMENT | {"packages": {"onnxruntime": "1.32.0"}}
    found, status = compared(one(100.0), new, now=environment)
    assert (only(found)["verdict"], status) == ("slower", 1)
    assert only(found)["notes"] == ["another artifact", "another version of the runtime"]
    assert found["notes"][0] == "Different on AMD EPYC, 2 cores: onnxruntime 1.31.0, now 1.32.0."


def test_what_broke_fails_whatever_the_thresholds(compared: Any) -> None:
    crashed = one(100.0)
    crashed[1] |= {"status": "failed", "reason": "killed", "median_ms": None, "samples_ms": []}
    found, status = compared(one(100.0), crashed, "--fail", "accuracy:1%")
    assert (only(found)["verdict"], status) == ("worse", 1)
    assert only(found)["regression"] == "NEW: failed: killed"
    wrong = one(100.0)
    wrong[0] |= {"passed": False, "status": "failed", "reason": "logits differ"}
    found, status = compared(one(100.0), wrong)
    assert status == 1
    assert only(found, "parity")["regression"] == "parity fails now: logits differ"
    assert "unproven" in only(found)["regression"]
    found, status = compared(one(100.0), one(100.0)[1:])  # not checked is not failed
    assert (only(found)["verdict"], status) == ("not comparable", 0)
    found, status = compared(crashed, crashed)
    assert (only(found)["verdict"], status) == ("not comparable", 0)


def accuracy(outcomes: str, **fields: Any) -> dict[str, Any]:
    top1 = outcomes.count("1") / len(outcomes)
    about = {"dataset": "val", "images": len(outcomes), "selection_sha256": "c" * 64, "passed": True}
    return runs.common("accuracy", outcomes=outcomes, top1=top1, **{**about, **fields})


def test_accuracy_is_compared_image_by_image(compared: Any) -> None:
    base, new = "1" * 900 + "0" * 100, "1" * 870 + "0" * 130
    found, status = compared([accuracy(base)], [accuracy(new)], "--fail", "accuracy:2%")
    assert (only(found, "accuracy")["verdict"], status) == ("worse", 1)
    assert only(found, "accuracy")["change"] == pytest.approx(-0.03)
    assert "-3.00 pp" in only(found, "accuracy")["regression"]
    _, status = compared([accuracy(base)], [accuracy(new)], "--fail", "accuracy:5%")
    assert status == 0
    shuffled = "1" * 880 + "0" * 100 + "1" * 20  # 20 lost, 20 won
    found, _ = compared([accuracy(base)], [accuracy(shuffled)])
    assert only(found, "accuracy")["verdict"] == "no change"
    found, _ = compared([accuracy(base)], [accuracy(new, selection_sha256="d" * 64)])
    assert only(found, "accuracy")["verdict"] == "not comparable"
    assert only(found, "accuracy")["notes"] == ["measured on other images"]


def throughput(rates: list[float], **fields: Any) -> dict[str, Any]:
    processes = [{"count": 0, "median_ms": None, "images_per_s": rate, "speed_ms": [4.25, 4.25]} for rate in rates]
    about = {"batch": 4, "streams": 2, "threads": 2, "searched": [{"batch": 4, "streams": 2}]}
    return runs.common("throughput", images_per_s=float(np.mean(rates)), processes=processes, **{**about, **fields})


def test_a_lower_throughput_is_slower(compared: Any) -> None:
    proof = one(100.0)[0]
    base, new = [50.0, 50.1, 49.9, 50.2], [45.0, 45.1, 44.9, 45.0]
    found, status = compared([proof, throughput(base)], [proof, throughput(new, batch=8)])
    cell = only(found, "throughput")
    assert (cell["verdict"], status) == ("slower", 1)
    assert "best at batch 4, 2 streams, now at batch 8, 2 streams" in cell["notes"]
    slowed = throughput(new)
    for process in slowed["processes"]:
        process["speed_ms"] = [4.25 * 1.1] * 2
    found, _ = compared([proof, throughput(base)], [proof, slowed])
    assert only(found, "throughput")["change"] == pytest.approx(1.1 * 45 / 50 - 1, abs=0.01), "a rate falls with it"
    found, status = compared([proof, throughput(new)], [proof, throughput(base)])
    assert (only(found, "throughput")["verdict"], status) == ("faster", 0)


def test_a_group_has_the_model_of_its_cells(compared: Any) -> None:
    def of(model: str) -> Records:
        return [record | {"model": model} for record in (*one(100.0), one(100.0, batch=4)[1])]

    found, _ = compared([*of("a"), *of("b")], [*of("a"), *of("b")])
    groups = {cell["cell"]: cell["model"] for cell in found["cells"] if cell["kind"] == "group"}
    assert groups == {"a, all 2 cells": "a", "b, all 2 cells": "b", "ort-cpu fp32, all 4 cells": ""}


def test_rates_of_a_server_are_shown_and_not_judged(compared: Any) -> None:
    def server(qps: float | None, **fields: Any) -> Records:
        return [one(100.0)[0], runs.common("server", qps_max=qps, batch=1, threads=2, percentile=99, **fields)]

    found, status = compared(server(50.0), server(10.0))
    cell = only(found, "server")
    assert (cell["base"], cell["new"], cell["verdict"], status) == (50.0, 10.0, "cannot tell", 0)
    assert cell["notes"] == ["of one process each: nothing tells how far they vary"]
    found, status = compared(server(50.0), server(None, status="failed", reason="killed"))
    cell = only(found, "server")
    assert (cell["verdict"], cell["notes"], status) == ("not comparable", ["NEW: failed: killed"], 0)


def test_of_servers_alone_nothing_can_be_said(compared: Any) -> None:
    parity, latency = one(100.0)

    def server(qps: float) -> dict[str, Any]:
        return runs.common("server", qps_max=qps, batch=1, threads=2, percentile=99)

    found, status = compared([parity, server(50.0)], [parity, server(10.0)], "--fail-unknown")
    assert (found["outcome"], status) == ("nothing can be said", 3), "a parity that holds says nothing of a rate"
    found, status = compared([parity, latency, server(50.0)], [parity, latency, server(10.0)], "--fail-unknown")
    assert (found["outcome"], status) == ("it holds", 0), "the latency was asked for, and answers"


def test_percentiles_are_compared_when_asked_for(compared: Any) -> None:
    base, new = (one(centre, samples=20) for centre in (100.0, 115.0))
    for records in (base, new):
        records[1]["p90_ms"] = float(np.percentile(records[1]["samples_ms"], 90))
    found, status = compared(base, new, "--fail", "p90:10%")
    cell = next(cell for cell in found["cells"] if cell["figure"] == "p90")
    assert (cell["verdict"], status) == ("slower", 1)
    new[1]["p90_ms"] = None
    found, _ = compared(base, new, "--fail", "p90:10%")
    cell = next(cell for cell in found["cells"] if cell["figure"] == "p90")
    assert cell["notes"] == ["too few samples for this percentile"]


def test_one_process_whose_run_knew_how_far_processes_lie_apart(compared: Any) -> None:
    """A record may hold one visit of several: its stored interval says what the run learnt from the others."""
    base, new = ([one(100.0)[0], runs.latency([[level] * 9])] for level in (100.0, 104.0))
    for record in (base[1], new[1]):
        record["interval"] = {"method": "", "between_cv": 0.07, "dof": 4, "processes": 1}
    found, _ = compared(base, new)
    assert only(found)["verdict"] == "cannot tell"
    assert "assumed" not in " ".join(only(found)["notes"])
    low, high = only(found)["ratio_ci95"]
    half = math.log(high / low) / 2
    # Student's t with 8 degrees of freedom (2.306) times the root of two times 7 %, and a little of the runs' own.
    assert half == pytest.approx(2.306 * 0.07 * 2**0.5, rel=0.05)
