"""Paddle2ONNX's graph is the same model and nothing of ours; the verdict follows from ratios that are made up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner, Result

from convert.artifact import Artifact
from convert.common.errors import CheckFailed
from runtimes.base import Runtime, UnavailableError
from runtimes.system.speed_probe import Probe
from scripts import check_claims, graphs, interleaved


def logits(artifact: Artifact) -> np.ndarray:
    images = np.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=np.float32)
    session = onnxruntime.InferenceSession(str(artifact.onnx))
    return np.asarray(session.run(None, {session.get_inputs()[0].name: images})[0])


def test_the_other_graph_is_paddle2onnx_own(toy_artifact: Artifact, tmp_path: Path) -> None:
    theirs = graphs.by_paddle2onnx(toy_artifact, tmp_path)
    model = onnx.load(theirs.onnx)
    assert model.graph.output[0].name != "logits"
    assert len(model.graph.node) > 2 * len(onnx.load(toy_artifact.onnx).graph.node)
    assert theirs.sha256 != toy_artifact.sha256
    other = logits(theirs)
    np.testing.assert_allclose(logits(toy_artifact), other, atol=2e-6 * np.abs(other).max())


def compare(
    monkeypatch: pytest.MonkeyPatch,
    artifact: Artifact,
    ratios: list[float],
    speeds: tuple[float, ...] = (1.0,),
    words: tuple[str, ...] = ("--cells", "ort-cpu:fp32"),
) -> Result:
    """The command, with our graph in these ratios to the other, round by round."""
    theirs = Artifact(artifact.path / "theirs", artifact.manifest)
    readings = itertools.cycle(speeds)
    visits: dict[str, Iterator[float]] = {}

    def visit_ms(graph: Artifact, runtime: Runtime, precision: str, batch: int, seconds: float) -> float:
        if runtime.name == "mnn":
            raise UnavailableError("not on this processor")
        name = f"{runtime.name} {precision}"
        again = itertools.chain.from_iterable((ratio, ratio) for ratio in [1.0, *ratios])  # the first visits, too
        ratio = next(visits.setdefault(name, again))
        return 10 * ratio if graph is artifact else 10.0

    monkeypatch.setattr("convert.cli.artifacts", lambda model, weights, precision, root: {model: artifact})
    monkeypatch.setattr(graphs, "by_paddle2onnx", lambda *_: theirs)
    monkeypatch.setattr(graphs, "visit_ms", visit_ms)
    monkeypatch.setattr(interleaved, "Probe", lambda: Probe(read=lambda: next(readings)))
    arguments = ["--only", "graphs", "--model", "ViT_base_patch32_384", "--rounds", str(len(ratios)), *words]
    return CliRunner().invoke(check_claims.main, arguments, env={"COLUMNS": "200"})


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
        assert f"failed: does not hold: graphs, toy on ort-cpu:fp32: {mean:.3f}" in result.output


def test_a_machine_that_is_never_quiet_gives_no_verdict(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact
) -> None:
    result = compare(monkeypatch, toy_artifact, [1.2] * 4, speeds=(1.0, 1.5))
    assert result.exit_code == 2
    assert (
        "cannot tell: graphs, toy on ort-cpu:fp32: the machine changed its speed in nearly every round" in result.output
    )


def test_every_cell_is_held_against_its_own_and_what_cannot_run_is_named(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact
) -> None:
    words = ("--cells", "ort-cpu:fp32,ort-cpu:bf16,openvino:fp32,openvino:bf16,mnn:fp32")
    result = compare(monkeypatch, toy_artifact, [0.9, 0.91], words=words)
    assert result.exit_code == 0, result.output
    rows = [line for line in result.stdout.splitlines() if " 0.905 " in line]
    measured = ("ort-cpu:fp32", "openvino:fp32", "openvino:bf16")
    assert [one in row for one, row in zip(measured, rows, strict=True)] == [True] * 3
    assert "not measured: ort-cpu:bf16: ort-cpu has no bf16" in result.output
    assert "not measured: toy on mnn:fp32, ours: not on this processor" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--cells", "openvino:int8"), "both graphs are FP32 files, which run in fp32 or bf16"),
        (("--cells", "ort-cpu:bf16"), "nothing of that can be measured here"),
    ],
)
def test_what_is_refused(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact, words: tuple[str, ...], message: str
) -> None:
    result = compare(monkeypatch, toy_artifact, [0.9, 0.9], words=words)
    assert result.exit_code == 2
    assert message in result.output


def test_a_graph_that_a_runtime_does_not_run_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact
) -> None:
    """Paddle2ONNX's Swin has sequences, which OpenVINO lacks: ours alone runs, and the other cells are measured."""

    def visit_ms(graph: Artifact, runtime: Runtime, precision: str, batch: int, seconds: float) -> float:
        if runtime.name == "openvino" and graph is not toy_artifact:
            raise CheckFailed("RuntimeError: no SequenceMap")
        return 10.0

    compare(monkeypatch, toy_artifact, [1.0] * 3)  # which replaces what is replaced again
    monkeypatch.setattr(graphs, "visit_ms", visit_ms)
    words = [
        "--only",
        "graphs",
        "--model",
        "ViT_base_patch32_384",
        "--rounds",
        "3",
        "--cells",
        "openvino:fp32,ort-cpu:fp32",
    ]
    result = CliRunner().invoke(check_claims.main, words, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert "openvino runs ours alone" in result.output
    assert "toy on ort-cpu:fp32: 1.000" in result.output
