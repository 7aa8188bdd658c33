"""The verdict follows from ratios that are made up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from convert.artifact import Artifact
from runtimes.base import Runtime, UnavailableError
from runtimes.system.speed_probe import Probe
from scripts import compare_graphs, interleaved
from scripts.compare_graphs import Graphs


def test_bf16_is_the_runtimes_own_switch_on_the_fp32_files(
    toy_toml: Path, toy_root: Path, toy_artifact: Artifact, tmp_path: Path
) -> None:
    graphs = compare_graphs.both(str(toy_toml), None, toy_root, "bf16", tmp_path)
    again = compare_graphs.both(str(toy_toml), None, toy_root, "fp32", tmp_path)
    assert graphs.ours.path == again.ours.path == toy_artifact.path
    assert graphs.theirs.path == again.theirs.path == tmp_path / "fp32"


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

    def visit_ms(graph: Artifact, runtime: Runtime, precision: str, batch: int, seconds: float) -> float:
        if runtime.name == "mnn":
            raise UnavailableError("not on this processor")
        name = f"{runtime.name} {precision}"
        again = itertools.chain.from_iterable((ratio, ratio) for ratio in ratios)
        ratio = next(visits.setdefault(name, again))
        return 10 * ratio if graph is artifact else 10.0

    def both(*_: Any, folder: Path) -> Graphs:
        return Graphs(artifact, theirs)

    monkeypatch.setattr(compare_graphs, "both", both)
    monkeypatch.setattr(compare_graphs, "visit_ms", visit_ms)
    monkeypatch.setattr(interleaved, "Probe", lambda: Probe(read=lambda: next(readings)))
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
        assert f"failed: does not hold: graphs, toy on ort-cpu:fp32: {mean:.3f}" in result.output


def test_a_machine_that_is_never_quiet_gives_no_verdict(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact
) -> None:
    result = compare(monkeypatch, toy_artifact, [1.2] * 4, speeds=(1.0, 1.5))
    assert result.exit_code == 2
    assert (
        "cannot tell: graphs, toy on ort-cpu:fp32: the machine changed its speed in nearly every round" in result.output
    )


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
