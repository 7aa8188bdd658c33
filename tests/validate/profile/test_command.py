"""`python -m validate.profile`: what it prints and how it ends."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import helper, numpy_helper

from convert import cli
from convert.artifact import Artifact
from convert.build import Request, obtain
from runtimes import registry
from runtimes.base import Effective
from runtimes.bench.ceiling import kept
from runtimes.bench.ceiling.reach import Ceiling
from runtimes.profiled import profile as profiler
from runtimes.profiled.layers import LayerTime
from runtimes.profiled.profile import LayerProfile
from validate.profile import __main__ as command

Run = Callable[..., Result]
BLOCKS = ["embedding", "blocks.0", "blocks.1", "head"]


@pytest.fixture
def run(at_once: None, monkeypatch: pytest.MonkeyPatch, toy_toml: Path, toy_root: Path, toy_artifact: Artifact) -> Run:
    monkeypatch.setattr(profiler, "_WARM_S", 0.01)
    monkeypatch.setattr(kept, "read", lambda: None)

    def invoke(*arguments: str, root: Path = toy_root) -> Result:
        options = ["--model", str(toy_toml), "--artifacts", str(root), "--threads", "1", "--runs", "3"]
        return CliRunner().invoke(command.main, [*options, *arguments], prog_name="python -m validate.profile")

    return invoke


def entries(result: Result) -> Iterator[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    yield from json.loads(result.stdout)["profile"]


def test_two_runtimes_side_by_side(run: Run, tmp_path: Path) -> None:
    result = run("--runtime", "ort-cpu,openvino", "--json", "--out", str(tmp_path / "out"))
    found = list(entries(result))
    assert [entry["runtime"] for entry in found] == ["ort-cpu", "openvino"]
    for entry in found:
        assert [row["block"] for row in entry["blocks"]] == BLOCKS
        for rows in (entry["blocks"], entry["operators"], entry["layers"]):
            assert sum(row["ms"] for row in rows) == pytest.approx(entry["layers_ms"])
        assert entry["layers_ms"] + entry["outside_ms"] == pytest.approx(entry["run_ms"])
        assert entry["plain_ms"] > 0
        assert entry["precision"] == entry["effective"]["precision"] == "fp32"
    assert json.loads((tmp_path / "out" / "profile.json").read_text())["profile"] == found
    head = next(line for line in result.stderr.splitlines() if "ort-cpu fp32" in line)
    assert "openvino fp32" in head
    for words in ("not attributed", "of no known block"):
        assert words not in result.stderr
    assert "outside of layers" in result.stderr
    why = "the ceiling of this machine is not known: `python -m runtimes.bench.ceiling` measures it"
    assert result.stderr.splitlines().count(why) == 1


@pytest.mark.parametrize("name", ["paddle", "mnn"])
def test_the_others_that_have_a_profiler(run: Run, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if reason := registry.get(name).unavailable():
        pytest.skip(reason)
    monkeypatch.chdir(tmp_path)
    (entry,) = entries(run("--runtime", name, "--json"))
    assert list(tmp_path.iterdir()) == []  # Paddle's profiler would leave its traces where somebody works
    assert [row["block"] for row in entry["blocks"]] == BLOCKS
    # Paddle computes its last block for every token, the others what the ONNX graph has.
    macs = {row["block"]: row["macs"] for row in entry["blocks"]}
    assert (macs["blocks.0"] == macs["blocks.1"]) is (name == "paddle")


def test_the_precision_that_ran_is_shown(run: Run) -> None:
    found = list(entries(run("--runtime", "ort-cpu", "--precision", "fp32,int8", "--json")))
    assert [entry["precision"] for entry in found] == ["fp32", "int8"]
    fp32, int8 = ({(row["operator"], row["precision"]) for row in entry["operators"]} for entry in found)
    assert ("MatMulIntegerToFloat", "int8") in int8
    assert "int8" not in {precision for _, precision in fp32}


@pytest.mark.skipif("bf16" in registry.get("openvino").lacks(), reason="this processor has no bf16 for OpenVINO")
def test_bf16_is_what_ran(run: Run) -> None:
    (entry,) = entries(run("--runtime", "openvino", "--precision", "bf16", "--json"))
    assert entry["precision"] == "bf16"
    assert ("FullyConnected", "bf16") in {(row["operator"], row["precision"]) for row in entry["operators"]}


def test_what_ran_in_another_precision_is_no_profile_of_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = LayerProfile((LayerTime("a", "MatMul", 1.0),), 1.0, 1.0, 1, 1, Effective("bf16", "CPU", {}))
    monkeypatch.setattr(profiler, "profile", lambda *rest: ran)
    result = run("--runtime", "ort-cpu", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["profile"] == []
    assert "toy fp32 on ort-cpu at batch 1: ort-cpu computed in bf16 instead of fp32" in result.stderr


SLOW_MS = 1e6


def slowed(real: Callable[..., LayerProfile]) -> Callable[..., LayerProfile]:
    """A real profile, in which the planted products take that long."""

    def profile(*asked: Any) -> LayerProfile:
        found = real(*asked)
        layers = [
            replace(one, ms=SLOW_MS) if any(name.startswith("planted.MatMul") for name in one.nodes) else one
            for one in found.layers
        ]
        return replace(found, layers=tuple(layers))

    return profile


def test_a_large_layer_is_in_its_block(run: Run, toy_artifact: Artifact, toy_root: Path, tmp_path: Path) -> None:
    """The toy with two large products in its second block, as each runtime runs them. How slow they are is planted too:
    on a busy machine any layer may take the longest."""
    shutil.copytree(toy_artifact.path.parent, tmp_path / toy_artifact.path.parent.name)
    file = tmp_path / toy_artifact.path.relative_to(toy_root) / "model.onnx"
    model = onnx.load(file)
    norms = [node for node in model.graph.node if node.op_type == "LayerNormalization"]
    (tensor,) = norms[2].output  # the first of the second block
    wide = numpy_helper.from_array(np.full((16, 60_000), 1e-6, np.float32), "planted.wide")
    back = numpy_helper.from_array(np.full((60_000, 16), 1e-6, np.float32), "planted.back")
    model.graph.initializer.extend([wide, back])
    for node in model.graph.node:
        for number, name in enumerate(node.input):
            if name == tensor:
                node.input[number] = "planted.sum"
    at = list(model.graph.node).index(norms[2]) + 1
    for node in (
        helper.make_node("Add", [tensor, "planted.narrow"], ["planted.sum"], "planted.Add"),
        helper.make_node("MatMul", ["planted.large", "planted.back"], ["planted.narrow"], "planted.MatMul.1"),
        helper.make_node("MatMul", [tensor, "planted.wide"], ["planted.large"], "planted.MatMul.0"),
    ):
        model.graph.node.insert(at, node)
    onnx.checker.check_model(model)
    onnx.save(model, file)
    planted = Artifact(file.parent, toy_artifact.manifest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "artifacts", lambda models, *rest: {models: planted})
        patch.setattr(profiler, "profile", slowed(profiler.profile))
        found = list(entries(run("--runtime", "ort-cpu,openvino", "--json")))
    for entry in found:
        slow = [one for one in entry["layers"] if one["ms"] >= SLOW_MS]
        assert {one["block"] for one in slow} == {"blocks.1"}
        assert len(slow) == 2
        (row,) = (row for row in entry["blocks"] if row["ms"] >= SLOW_MS)
        assert row["block"] == "blocks.1"
        # Two products of 16 by 60,000 for each of 17 tokens are nearly all that it multiplies.
        assert row["macs"] / entry["total"]["macs"] > 0.9
        assert max(entry["operators"], key=lambda one: one["ms"])["ms"] >= SLOW_MS


@pytest.fixture(scope="session")
def wide(toy_toml: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy's spec with a thousand times the classes, converted beside its file."""
    file = tmp_path_factory.mktemp("wide") / "wide.toml"
    file.write_text(toy_toml.read_text().replace("class_num = 7", "class_num = 9000").replace('"toy"', '"wide"'))
    obtain(Request(str(file), "seeded:1", root=file.parent), print)
    return file


def test_a_wide_head_is_in_the_head(wide: Path, run: Run) -> None:
    arguments = ["--model", str(wide), "--runtime", "ort-cpu", "--json", "--batch", "2"]
    (entry,) = entries(run(*arguments, root=wide.parent))
    macs = {row["block"]: row["macs"] for row in entry["blocks"]}
    assert macs["head"] == 2 * 16 * 9000


def test_a_runtime_without_a_profiler_is_refused_in_a_line(run: Run) -> None:
    if reason := registry.get("ncnn").unavailable():
        pytest.skip(reason)
    result = run("--runtime", "ort-cpu,ncnn")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line == (
        "error: no layer times of ncnn: it has no profiler that can be asked from Python; leave it out of --runtime"
    )


def test_a_precision_that_nobody_has_is_refused(run: Run) -> None:
    result = run("--runtime", "ort-cpu", "--precision", "bf16")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == "error: --precision bf16: none of ort-cpu has it"


def test_a_ceiling_of_this_machine_stands_beside(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ceiling = Ceiling(
        gflops={"fp32": 100.0, "int8": None},
        how={},
        unmeasured={"int8": "no instructions for it"},
        gpus=(),
        threads=1,
        foreign_load=0.0,
        time_utc="",
        occasions=3,
    )
    monkeypatch.setattr(kept, "read", lambda: ceiling)
    result = run("--runtime", "ort-cpu", "--json")
    (entry,) = entries(result)
    for row in (*entry["blocks"], entry["total"]):
        assert row["ceiling_share"] == pytest.approx(2 * row["gmac_per_s"] / 100)
    assert "of ceiling" in result.stderr
    assert "no ceiling" not in result.stderr
    result = run("--runtime", "ort-cpu", "--precision", "int8")
    assert "of ceiling" not in result.stderr
    assert "no ceiling in int8: no instructions for it" in result.stderr
    monkeypatch.setattr(kept, "read", lambda: replace(ceiling, threads=64))
    assert "no ceiling of 1 thread: it is that of 64" in run("--runtime", "ort-cpu").stderr
    monkeypatch.setattr(kept, "read", lambda: replace(ceiling, disturbed="never measured undisturbed"))
    result = run("--runtime", "ort-cpu")
    assert "of ceiling" not in result.stderr
    assert "no share of the ceiling, which is doubtful: never measured undisturbed" in result.stderr
