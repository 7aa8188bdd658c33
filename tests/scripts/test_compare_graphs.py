"""Paddle2ONNX's own output is the same model and nothing of ours; the verdict follows from ratios that are made up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner, Result
from scipy import stats

from convert.artifact import Artifact
from scripts import compare_graphs


def test_the_other_graph_is_paddle2onnx_own(toy_artifact: Artifact, tmp_path: Path) -> None:
    theirs = compare_graphs.plain(toy_artifact, tmp_path)
    model = onnx.load(theirs.onnx)
    assert model.graph.output[0].name != "logits"
    assert len(model.graph.node) > 2 * len(onnx.load(toy_artifact.onnx).graph.node)
    assert theirs.sha256 != toy_artifact.sha256
    images = np.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=np.float32)
    sessions = [onnxruntime.InferenceSession(str(one.onnx)) for one in (theirs, toy_artifact)]
    other, ours = (session.run(None, {session.get_inputs()[0].name: images})[0] for session in sessions)
    np.testing.assert_allclose(ours, other, atol=2e-6 * np.abs(other).max())


def test_the_ratio_and_its_interval() -> None:
    value, low, high = compare_graphs.ratio([(10.0, 9.0), (20.0, 16.2)])
    logarithms = np.log([0.9, 0.81])
    half = stats.t.ppf(0.975, 1) * logarithms.std(ddof=1) / math.sqrt(2)
    assert value == pytest.approx(math.sqrt(0.9 * 0.81))
    assert (low, high) == pytest.approx((value * math.exp(-half), value * math.exp(half)))


class Speeds:
    """A machine whose probe gives these readings, again and again."""

    def __init__(self, *readings: float) -> None:
        self.readings = itertools.cycle(readings)

    def take(self) -> float:
        return next(self.readings)


def compare(
    monkeypatch: pytest.MonkeyPatch, artifact: Artifact, ratios: list[float], speeds: tuple[float, ...] = (1.0,)
) -> Result:
    """The command on one cell, with our graph in these ratios to the other, round by round."""
    theirs = Artifact(artifact.path / "theirs", artifact.manifest)
    visits: Iterator[float] = itertools.chain.from_iterable((ratio, ratio) for ratio in ratios)

    def median_ms(visited: Artifact, cell: compare_graphs.Cell) -> float:
        ratio = next(visits)
        return 10 * ratio if visited is artifact else 10.0

    def artifacts(*_: Any) -> dict[str, Artifact]:
        return {artifact.model: artifact}

    monkeypatch.setattr(compare_graphs, "plain", lambda artifact, folder: theirs)
    monkeypatch.setattr(compare_graphs, "median_ms", median_ms)
    monkeypatch.setattr(compare_graphs, "Probe", lambda: Speeds(*speeds))
    monkeypatch.setattr("convert.cli.artifacts", artifacts)
    arguments = ["--runtime", "ort-cpu", "--rounds", str(len(ratios))]
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
        assert f"failed: slower than Paddle2ONNX's own output: toy on ort-cpu {mean:.3f}" in result.output


def test_a_machine_that_is_never_quiet_gives_no_verdict(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact
) -> None:
    result = compare(monkeypatch, toy_artifact, [1.2] * 4, speeds=(1.0, 1.5))
    assert result.exit_code == 2
    assert "the machine changed its speed in nearly every round of toy on ort-cpu" in result.output
