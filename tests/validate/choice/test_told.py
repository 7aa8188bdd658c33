"""The ladder, what is advised, and which way out a runtime has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from convert.artifact import Artifact
from runtimes import registry
from runtimes.base import Options
from runtimes.bench.plan.matrix import Cell
from runtimes.records.kinds import TimedRecord
from runtimes.records.parts import Effective
from tests.validate.choice.made_up import Made, latency, runner, throughput
from validate.choice import deliver, race, told
from validate.choice.budget import LATENCY, parse
from validate.choice.candidates import Candidates
from validate.choice.runner import ACCURACY


def test_the_ladder_begins_with_the_choice_and_ends_with_who_fell_first(toy_artifact: Artifact) -> None:
    runners = (
        runner("paddle fp32", 500),
        runner("openvino fp32", 30),
        runner("mnn fp32", 10),
        runner("ort-cpu fp32", 9),
    )
    steps = Made(final={runners[3].name: latency(20.0)})
    limits = parse("p50<100ms")
    decision = race.run(runners, limits, steps)
    made = registry.get("ort-cpu")
    cells = tuple(Cell("toy", toy_artifact, made, "fp32", Options(threads=4), 1) for _ in runners)
    found = told.record(decision, Candidates(runners, cells, ("int8: no",)), limits, LATENCY, "again", ["little"])
    assert [one.runtime for one in found.contenders] == ["mnn", "ort-cpu", "openvino", "paddle"]
    assert [one.step for one in found.contenders] == ["final", "final", "look", "look"]
    chosen, slower, beaten, fell = (one.outcome for one in found.contenders)
    assert (chosen, slower) == ("chosen", "slower")
    assert beaten.startswith("beaten: ")
    assert fell.startswith("misses p50<100ms")
    assert (found.status, found.left_out, found.limited, found.command) == ("ok", ("int8: no",), ("little",), "again")
    assert found.proof[0].startswith("p50<100ms: 10 ms, a new measurement up to 10.3 ms")


def test_a_fast_int8_that_lost_is_worth_a_search() -> None:
    field = [runner("ort-cpu fp32", 10), runner("openvino int8", 5), runner("mnn int8", 20)]
    decision = race.run(field, parse(""), Made(top1={field[1].name: False, field[2].name: False}))
    assert decision.chosen is field[0]
    assert "int8 on openvino is faster and loses too much" in told.advice(decision, field)
    assert told.advice(decision, [field[0], field[2]]) == ""


def test_int8_that_holds_with_another_smoothing_needs_no_search() -> None:
    field = [runner("ort-cpu fp32", 10), runner("openvino int8", 5), runner("openvino int8", 5.1)]
    field[1].smooth, field[1].later, field[2].smooth = 0.0, 1, 0.5
    decision = race.run(field, parse(""), Made(top1={field[1].name: False}))
    assert decision.chosen is field[2]
    decision = replace(decision, chosen=field[0])  # which may happen on a busy machine
    assert told.advice(decision, field) == ""


def test_without_a_choice_int8_is_held_against_the_fastest_fp32() -> None:
    field = [runner("ort-cpu fp32", 10), runner("openvino int8", 5), runner("mnn int8", 20)]
    lost = {field[1].name: False, field[2].name: False}
    decision = race.run(field, parse("memory<300MB, p50<6ms"), Made(top1=lost))
    assert decision.chosen is None
    field[2].holds, field[2].step = False, ACCURACY
    assert "int8 on openvino is faster" in told.advice(decision, field)
    assert told.advice(decision, [field[0], field[2]]) == ""
    assert told.advice(decision, field[1:]) == "", "nothing tells what it would be faster than"


def test_an_unstable_choice_says_so() -> None:
    one = runner("ort-cpu fp32", 10)
    one.final = latency(10.0, status="unstable", reason="other programs ran")
    assert told.proof(one, parse("p50<40ms"))[0] == "other programs ran"
    one.final = latency(10.0)
    assert told.proof(one, parse("p50<40ms"))[0].startswith("p50<40ms: ")


def test_the_gate_fails_by_no_percentile_that_its_base_lacks(toy_artifact: Artifact, tmp_path: Path) -> None:
    one, cell = runner("ort-cpu fp32", 10), Cell("toy", toy_artifact, registry.get("ort-cpu"), "fp32", Options(), 1)
    for p99, fails in ((None, "--fail median:5%"), (10.5, "--fail median:5% --fail p99:5%")):
        one.final = latency(10.0, p90_ms=10.4, p99_ms=p99)
        _, compare = deliver.gate(tmp_path, one, cell, parse("p99<50ms, p50<40ms, memory<1GB"))
        assert compare.endswith(f" new {fails}")


def test_what_was_measured_and_is_not_in_the_folder_is_named(toy_artifact: Artifact) -> None:
    def unset(runtime: str, precision: str, found: TimedRecord, **cell: Any) -> tuple[str, ...]:
        one, options = runner(f"{runtime} {precision}", 10), cell.pop("options", Options(threads=4))
        one.final = found
        manifest = replace(toy_artifact.manifest, precision=precision)
        artifact = replace(toy_artifact, manifest=manifest)
        return deliver.unset(one, Cell("toy", artifact, registry.get(runtime), precision, options, 1, **cell))

    def openvino(hint: str, partitioner: str, shape: str = "[?,3,36,36]") -> TimedRecord:
        details = {
            "INFERENCE_PRECISION_HINT": hint,
            "partitioner": f"TbbPartitioner.{partitioner}",
            "input_shape": shape,
        }
        return latency(10.0, effective=Effective(details=details))

    assert unset("ort-cpu", "fp32", latency(10.0)) == ()
    assert unset("openvino", "fp32", openvino("f32", "STATIC")) == (), "OpenVINO's own, which nobody set"
    assert unset("openvino", "int8", openvino("bf16", "AUTO", "[1,3,36,36]")) == (
        "INFERENCE_PRECISION_HINT=bf16",
        "TBB_PARTITIONER=AUTO",
        "input_shape=[1,3,36,36]",
    )
    asked = Options(extra={"partitioner": "static", "isa": "avx2", "int8_rest": "fp32"})
    assert unset("openvino", "int8", openvino("f32", "STATIC"), options=asked) == ("isa=avx2", "TBB_PARTITIONER=STATIC")
    tanh, erf = (Options(extra={"gelu": one}) for one in ("tanh", "erf"))
    assert unset("mnn", "fp32", latency(10.0), options=tanh) == ("gelu=tanh",)
    assert unset("mnn", "fp32", latency(10.0), options=erf) == (), "which the folder has"
    assert unset("ort-cpu", "fp32", throughput(9.0, batch=8, streams=2), mode="throughput") == ("batch=8", "streams=2")
    assert unset("openvino", "fp32", latency(10.0), options=Options(device="GPU")) == ("device=GPU",)


def test_each_runtime_has_its_way_out() -> None:
    def name(runtime: str, precision: str = "fp32") -> str | None:
        found = deliver.target_of(runtime, registry.get(runtime).reads, precision)
        return found.name if found else None

    assert [name(one) for one in ("ort-cpu", "openvino", "mnn", "ncnn")] == ["onnx", "openvino", "mnn", "ncnn"]
    assert name("openvino", "int8") == "openvino"
    assert name("tensorrt", "fp16") == "onnx", "it reads that"
    assert name("paddle") is None


@pytest.mark.parametrize(
    ("runtime", "lines"),
    [
        ("openvino", ["  backend: openvino", "  backend_config:", "    cpu_num_threads: 4"]),
        ("paddle", ["  backend: paddle", "  backend_config:", "    run_mode: mkldnn", "    cpu_threads: 4"]),
    ],
)
def test_paddlex_gets_its_own_words(runtime: str, lines: list[str], toy_artifact: Artifact, tmp_path: Path) -> None:
    one = runner(f"{runtime} fp32", 10)
    cell = Cell("toy", toy_artifact, registry.get(runtime), "fp32", Options(threads=4), 1)
    assert deliver.hpi(tmp_path, one, cell) == tmp_path / deliver.HPI
    assert (tmp_path / deliver.HPI).read_text().splitlines()[3:] == ["  auto_config: False", *lines]
    elsewhere = replace(cell, options=Options(device="GPU"))
    assert deliver.hpi(tmp_path, one, elsewhere) is None
    assert deliver.hpi(tmp_path, runner("mnn fp32", 10), cell) is None
