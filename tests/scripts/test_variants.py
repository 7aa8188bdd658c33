"""Which cells are measured, the table and the verdict, on times that are made up."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from convert.artifact import Artifact
from runtimes import registry
from runtimes.base import Runtime, UnavailableError
from runtimes.system.speed_probe import Probe
from scripts import check_claims, interleaved, variants
from scripts.interleaved import Rounds

MS = {"paddle fp32": 40.0, "openvino int8": 10.0, "openvino fp32": 32.0, "ort-cpu int8": 12.5, "mnn fp32": 50.0}


def compare(
    monkeypatch: pytest.MonkeyPatch, artifact: Artifact, *words: str, speeds: tuple[float, ...] = (1.0,)
) -> Result:
    """The command on cells that take what MS says, a little more from round to round, and no bf16 on the processor."""
    readings, visits = itertools.cycle(speeds), dict.fromkeys(MS, 0)

    def visit_ms(visited: Artifact, runtime: Runtime, precision: str, batch: int, seconds: float) -> float:
        assert visited is artifacts[precision]
        name = f"{runtime.name} {precision}"
        if name not in MS:
            raise UnavailableError("not on this processor")
        visits[name] += 1
        return MS[name] * batch * 1.01 ** visits[name]

    artifacts = {name: Artifact(artifact.path / name, artifact.manifest) for name in ("fp32", "bf16", "int8")}
    monkeypatch.setattr(variants, "visit_ms", visit_ms)
    monkeypatch.setattr(interleaved, "Probe", lambda: Probe(read=lambda: next(readings)))
    monkeypatch.setattr("convert.cli.artifacts", lambda model, weights, precision, root: {model: artifacts[precision]})
    monkeypatch.setattr(registry, "examine", lambda names: {name: {"reason": None} for name in names} | GONE)
    arguments = ["--only", "variants", "--rounds", "3", *words]
    return CliRunner().invoke(check_claims.main, arguments, env={"COLUMNS": "200"})


GONE: dict[str, dict[str, Any]] = {"ort-cuda": {"reason": "no CUDA provider"}}


def test_the_table_ends_with_the_fastest_cell(monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact) -> None:
    result = compare(monkeypatch, toy_artifact, "--cells", f"{variants.CELLS},ort-cuda:fp32")
    # ort-cpu in FP32 has no time in MS: it is as if this machine could not run it.
    assert result.exit_code == 0, result.output
    rows = [[part.strip() for part in line.split("│")[1:-1]] for line in result.output.splitlines() if "│" in line]
    assert [(row[1], row[3]) for row in rows] == [
        ("toy, batch 1, mnn:fp32", "0.80"),
        ("toy, batch 1, openvino:fp32", "1.25"),
        ("toy, batch 1, ort-cpu:int8", "3.20"),
        ("toy, batch 1, openvino:int8", "4.00"),
        ("toy, batch 1, fastest: openvino:int8", "4.00"),
    ]
    lines = result.output.splitlines()
    for reason in (
        "ort-cuda:fp32: no CUDA provider",
        "toy, batch 1, openvino:bf16: not on this processor",
        "toy, batch 1, ort-cpu:fp32: not on this processor",
    ):
        assert f"not measured: {reason}" in lines
    assert any("paddlepaddle 3." in line and "openvino 20" in line for line in lines), "the machine and the versions"


@pytest.mark.parametrize(("at_least", "status"), [("3.9", 0), ("4.1", 1)])
def test_the_fastest_cell_has_to_be_as_fast_as_asked(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact, at_least: str, status: int
) -> None:
    result = compare(monkeypatch, toy_artifact, "--at-least", at_least, "--batch", "4")
    assert result.exit_code == status, result.output
    told = "failed: does not hold: variants, toy, batch 4, fastest: openvino:int8: 4.00"
    assert (told in result.output) == bool(status)


def test_the_baseline_is_no_cell_that_could_win(monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact) -> None:
    result = compare(monkeypatch, toy_artifact, "--cells", "mnn:fp32,paddle:fp32", "--at-least", "0.9")
    assert result.exit_code == 1
    assert "fastest: mnn:fp32: 0.80" in result.output


def test_a_machine_that_is_never_quiet_gives_no_verdict(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact
) -> None:
    result = compare(monkeypatch, toy_artifact, speeds=(1.0, 1.5))
    assert result.exit_code == 2
    assert "cannot tell: variants, toy, batch 1: the machine changed its speed in nearly every round" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--cells", "openvino"), "--cells openvino: RUNTIME:PRECISION is needed"),
        (("--cells", "openvino:fp33"), "fp33 is none of"),
        (("--cells", "openvina:fp32"), "unknown runtime openvina"),
        (("--cells", "openvino:bf16"), "a cell to hold against it are needed; only paddle:fp32 can run here"),
        (("--model", "ViT_tiny"), "ViT_tiny"),
    ],
)
def test_what_is_refused(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact, words: tuple[str, ...], message: str
) -> None:
    result = compare(monkeypatch, toy_artifact, *words)
    assert result.exit_code == 2, result.output
    assert message in result.output


def test_a_toy_for_real(
    monkeypatch: pytest.MonkeyPatch, toy_toml: Path, toy_root: Path, toy_artifact: Artifact
) -> None:
    monkeypatch.setattr(interleaved, "Probe", lambda: Probe(read=lambda: 1.0))  # this machine may be too busy to tell
    words = ["--model", str(toy_toml), "--artifacts", str(toy_root), "--cells", "openvino:fp32"]
    result = CliRunner().invoke(
        check_claims.main, ["--only", "variants", *words, "--rounds", "2", "--seconds", "0.02"], env={"COLUMNS": "200"}
    )
    assert result.exit_code == 0, result.output
    assert "toy, batch 1, fastest: openvino:fp32" in result.output


def test_what_is_stated_holds_unless_it_is_the_other_way_round_beyond_the_interval() -> None:
    stated = {"a": 0.57, "b": 1.28, "c": 1.39, "d": 4.35}
    times = {variants.BASELINE: 40.0, "a": 38.0, "b": 42.0, "c": 30.0, "d": 10.0, "e": 20.0}
    rounds = Rounds([times, {**times, "b": 39.0}, times], 0)
    found = variants.judge("vit", rounds, list("abcde"), stated, 3.0)
    assert [(one.subject, one.stated, one.verdict) for one in found] == [
        ("vit, b", "1.28", "holds"),
        ("vit, a", "0.57", "DOES NOT HOLD"),
        ("vit, c", "1.39", "holds"),
        ("vit, e", "", ""),
        ("vit, d", "4.35", "holds"),
        ("vit, fastest: d", "at least 3", "holds"),
    ]
