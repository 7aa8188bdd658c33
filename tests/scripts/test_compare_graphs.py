"""Paddle2ONNX's own output is the same model and nothing of ours; the verdict follows from ratios that are made up."""

from __future__ import annotations

import itertools
import math
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner, Result

from convert.artifact import Artifact
from convert.build import Request, obtain
from runtimes.base import UnavailableError
from runtimes.bench.plan.matrix import Cell
from runtimes.system.speed_probe import Probe
from scripts import compare_graphs


def logits(artifact: Artifact) -> np.ndarray:
    images = np.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=np.float32)
    session = onnxruntime.InferenceSession(str(artifact.onnx))
    return np.asarray(session.run(None, {session.get_inputs()[0].name: images})[0])


def test_the_other_graph_is_paddle2onnx_own(toy_artifact: Artifact, tmp_path: Path) -> None:
    theirs = compare_graphs.plain(toy_artifact, tmp_path)
    model = onnx.load(theirs.onnx)
    assert model.graph.output[0].name != "logits"
    assert len(model.graph.node) > 2 * len(onnx.load(toy_artifact.onnx).graph.node)
    assert theirs.sha256 != toy_artifact.sha256
    other = logits(theirs)
    np.testing.assert_allclose(logits(toy_artifact), other, atol=2e-6 * np.abs(other).max())


@pytest.fixture
def int8_root(toy_toml: Path, toy_artifact: Artifact, tmp_path: Path) -> Path:
    """A folder with the toy in FP32 and in int8, where two layers stay FP32."""
    root = tmp_path / "artifacts"
    shutil.copytree(toy_artifact.path, root / "toy" / "fp32")
    obtain(Request(str(toy_toml), None, "int8", root=root, keep_fp32=("blocks.1.mlp.fc1", "head")), print)
    return root


def operators(artifact: Artifact) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(artifact.onnx).graph.node)


def test_in_int8_both_graphs_have_the_same_operators_in_it(toy_toml: Path, int8_root: Path, tmp_path: Path) -> None:
    graphs = compare_graphs.both(str(toy_toml), None, int8_root, "recipe", "int8", tmp_path)
    ours, theirs = graphs["ours"], graphs["theirs"]
    assert (ours.precision, theirs.precision) == ("int8", "int8")
    for name in ("multiplying", "kept_fp32", "smoothed", "calibration"):
        assert ours.manifest[name] == theirs.manifest[name]
    counts, others = operators(ours), operators(theirs)
    assert counts["DequantizeLinear"] == others["DequantizeLinear"] == 2 * 8, "of ten layers two stay"
    assert others["Identity"] > 20, "it is Paddle2ONNX's own graph still"
    other = logits(theirs)
    assert 0 < np.abs(logits(ours) - other).max() < 0.02 * np.abs(other).max()


def test_onnxruntimes_own_quantizer_takes_the_graph_as_it_comes(
    toy_toml: Path, int8_root: Path, tmp_path: Path
) -> None:
    graphs = compare_graphs.both(str(toy_toml), None, int8_root, "onnxruntime", "int8", tmp_path)
    theirs = graphs["theirs"]
    assert (theirs.precision, theirs.path.name) == ("int8", "onnxruntime")
    counts = operators(theirs)
    assert counts["MatMul"] + counts["Conv"] == 10 + 2 * 2, "the products of attention too"
    assert counts["DequantizeLinear"] >= 2 * 10
    assert counts["Identity"] > 20
    other = logits(theirs)
    assert 0 < np.abs(logits(graphs["ours"]) - other).max() < 0.1 * np.abs(other).max()


def test_bf16_is_the_runtimes_own_switch_on_the_fp32_files(
    toy_toml: Path, toy_root: Path, toy_artifact: Artifact, tmp_path: Path
) -> None:
    graphs = compare_graphs.both(str(toy_toml), None, toy_root, "recipe", "bf16", tmp_path)
    again = compare_graphs.both(str(toy_toml), None, toy_root, "recipe", "fp32", tmp_path)
    assert graphs["ours"].path == again["ours"].path == toy_artifact.path
    assert graphs["theirs"].path == again["theirs"].path == tmp_path / "fp32"


def compare(
    monkeypatch: pytest.MonkeyPatch,
    artifact: Artifact,
    ratios: list[float],
    speeds: tuple[float, ...] = (1.0,),
    words: tuple[str, ...] = ("--runtime", "ort-cpu"),
) -> Result:
    """The command, with our graph in these ratios to the other, round by round."""
    theirs = Artifact(artifact.path / "theirs", artifact.manifest)
    readings = itertools.cycle(speeds)
    visits: dict[str, Iterator[float]] = {}

    def visit_ms(cell: Cell, seconds: float) -> float:
        if cell.runtime.name == "mnn":
            raise UnavailableError("not on this processor")
        name = f"{cell.runtime.name} {cell.options.precision}"
        again = itertools.chain.from_iterable((ratio, ratio) for ratio in ratios)
        ratio = next(visits.setdefault(name, again))
        return 10 * ratio if cell.artifact is artifact else 10.0

    def both(*_: Any, folder: Path) -> dict[str, Artifact]:
        return {"ours": artifact, "theirs": theirs}

    monkeypatch.setattr(compare_graphs, "both", both)
    monkeypatch.setattr(compare_graphs, "visit_ms", visit_ms)
    monkeypatch.setattr(compare_graphs, "Probe", lambda: Probe(read=lambda: next(readings)))
    arguments = ["--model", "ViT_base_patch32_384", "--rounds", str(len(ratios)), *words]
    return CliRunner().invoke(compare_graphs.main, arguments, env={"COLUMNS": "200"})


@pytest.mark.parametrize(
    ("ratios", "status"),
    [([0.9, 0.91, 0.92], 0), ([1.05, 1.06, 1.07], 1), ([1.05, 0.99, 1.02], 0), ([0.97, 1.01, 0.98], 0)],
)
def test_only_what_is_slower_beyond_its_interval_fails(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact, ratios: list[float], status: int
) -> None:
    result = compare(monkeypatch, toy_artifact, ratios)
    assert result.exit_code == status, result.output
    mean = math.exp(float(np.log(ratios).mean()))
    assert f" {mean:.3f} " in result.output
    if status:
        assert f"failed: slower than Paddle2ONNX's own output: toy on ort-cpu:fp32 {mean:.3f}" in result.output


def test_a_machine_that_is_never_quiet_gives_no_verdict(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact
) -> None:
    result = compare(monkeypatch, toy_artifact, [1.2] * 4, speeds=(1.0, 1.5))
    assert result.exit_code == 2
    assert "the machine changed its speed in nearly every round of toy on ort-cpu:fp32" in result.output


def test_every_precision_is_held_against_its_own_and_what_cannot_run_is_named(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact
) -> None:
    words = ("--precision", "fp32,bf16,int8", "--runtime", "ort-cpu,openvino,mnn")
    result = compare(monkeypatch, toy_artifact, [0.9, 0.91], words=words)
    assert result.exit_code == 0, result.output
    rows = [line for line in result.output.splitlines() if " 0.905 " in line]
    measured = ("ort-cpu:fp32", "openvino:fp32", "openvino:bf16", "ort-cpu:int8", "openvino:int8")
    assert [one in row for one, row in zip(measured, rows, strict=True)] == [True] * 5
    assert "not measured: ort-cpu:bf16: ort-cpu has no bf16" in result.output
    assert "not measured: toy on mnn:fp32: not on this processor" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--precision", "fp16"), "choose from fp32, bf16, int8"),
        (("--precision", "bf16", "--runtime", "ort-cpu"), "nothing of what was asked for can be measured here"),
    ],
)
def test_what_is_refused(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact, words: tuple[str, ...], message: str
) -> None:
    result = compare(monkeypatch, toy_artifact, [0.9, 0.9], words=words)
    assert result.exit_code == 2
    assert message in result.output
