"""The functions of `import vitbench` refuse what the commands refuse, and hand back what is stored."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import vitbench as vb
from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.cli import Asked
from convert.common.errors import CheckFailed, InputError
from convert.model_options import ModelOptions
from reports.load import results
from runtimes.records.kinds import Parity, TimedRecord
from validate.parity.run import ParityRequest, run
from vitbench import api
from vitbench.asking import asked
from vitbench.run_folder import RunFolder

EXAMPLE = Path(__file__).parents[1] / "reports" / "data" / "example"


def test_its_names_are_there_and_no_others() -> None:
    assert vb.__all__ == api.__all__
    assert {vb.convert, vb.parity, vb.bench, vb.accuracy, vb.compare} <= {getattr(api, name) for name in vb.__all__}
    assert (vb.InputError, vb.CheckFailed) == (InputError, CheckFailed)
    assert set(vb.__all__) <= set(dir(vb))
    with pytest.raises(AttributeError, match="no attribute 'load'"):
        vb.load  # noqa: B018


def test_results_that_are_there() -> None:
    run = vb.results(EXAMPLE)
    assert {"latency", "latency-detail", "parity", "environment"} <= set(run.tables)
    table = run.table("latency-detail")
    assert len(table) == len(run.table())
    assert table["Median (ms)"].dtype == float
    shown = run._repr_html_()
    assert shown.count("<table") == len({"latency-detail", "throughput", "server", "accuracy", "parity"})
    with pytest.raises(InputError, match="no table latencies; there are answer, rates, latency, "):
        run.table("latencies")


def test_a_results_folder_says_what_it_is(tmp_path: Path) -> None:
    run = vb.results(EXAMPLE)
    assert re.search(rf"\n{re.escape(str(EXAMPLE))}: .*\d+ latency", repr(run))
    assert " parity" in repr(run)
    lacking = [one for one in results.load((EXAMPLE,)).records if isinstance(one, TimedRecord) and not one.measured]
    assert len(run.problems) == len(lacking) > 0, "what has no numbers, also of a folder that was there"
    assert all(problem in repr(run) for problem in run.problems)
    assert str(lacking[0].reason) in run.problems[0]
    gone = tmp_path / "gone"
    assert "no results folder" in repr(RunFolder(folder=gone, shown=())), "a repr raises nothing"


def test_results_without_a_latency_are_shown_by_what_there_is(tmp_path: Path) -> None:
    lines = (EXAMPLE / "results.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "results.jsonl").write_text("".join(line for line in lines if '"kind": "parity"' in line))
    shutil.copy(EXAMPLE / "environment.json", tmp_path)
    run = vb.results(tmp_path)
    assert list(run.table().columns) == list(run.table("parity").columns)
    assert run._repr_html_().count("<table") == 1


@pytest.mark.parametrize(
    ("file", "lang", "text"), [("r.md", "en", "# "), ("r.html", "zh", "<!doctype html>"), ("r.tex", "en", "%")]
)
def test_a_report_is_of_the_format_that_its_suffix_says(file: str, lang: str, text: str, tmp_path: Path) -> None:
    written = vb.results(EXAMPLE).report(tmp_path / file, lang=lang)
    assert written.read_text(encoding="utf-8").lower().startswith(text)


def test_what_is_wrong_is_said(toy_artifact: Artifact, tmp_path: Path) -> None:
    run = vb.results(EXAMPLE)
    with pytest.raises(InputError, match=r"r\.pdf: the suffix says the format, and there are \.html, "):
        run.report(tmp_path / "r.pdf")
    with pytest.raises(InputError, match="lang 'de': there are en, zh"):
        run.report(tmp_path / "r.md", lang="de")
    with pytest.raises(InputError, match="no results folder"):
        vb.results(tmp_path / "nowhere")
    with pytest.raises(InputError, match="max_second: no setting of the bench; there are processes, "):
        vb.bench(toy_artifact, max_second=3)
    with pytest.raises(InputError, match=r"runtimes: a list is needed, as \['ort-cpu'\]"):
        vb.bench(toy_artifact, runtimes="ort-cpu")
    with pytest.raises(InputError, match="no artifact given"):
        vb.bench([])
    with pytest.raises(InputError, match="unknown model ViT_nobody"):
        vb.convert("ViT_nobody")


def test_a_runtime_that_fails_parity_is_in_the_result(
    toy_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(asked: ParityRequest, folder: Path) -> Iterator[Parity]:
        for record in run(asked, folder):
            yield dataclasses.replace(record, passed=False, reason="another model")

    monkeypatch.setattr(api, "run", failing)
    found = vb.parity(toy_artifact, runtimes=["ort-cpu"], batches=[1], limit=1, out=tmp_path / "run")
    assert found.passed is False
    assert found.problems == ("parity: toy fp32 on ort-cpu: another model",)
    assert repr(found).startswith("<RunFolder: FAILED\nparity: toy fp32 on ort-cpu: another model\n")
    assert "<p>RunFolder: FAILED</p>" in found._repr_html_()
    with pytest.raises(CheckFailed, match="toy fp32 on ort-cpu: another model"):
        found.require()
    assert len(found.table("parity")) == 1


def test_an_artifact_is_asked_for_by_what_it_was_made_of(
    toy_artifact: Artifact, toy_toml: Path, tmp_path: Path
) -> None:
    assert asked(toy_artifact) == Asked(str(toy_toml), ModelOptions(), toy_artifact)
    mine = shutil.copytree(toy_artifact.path, tmp_path / "mine" / "fp32")
    named = artifacts.save(mine, dataclasses.replace(toy_artifact.manifest, model="mine"))
    assert asked(named) == Asked(str(toy_toml), ModelOptions(name="mine"), named)
    without = artifacts.save(mine, dataclasses.replace(named.manifest, defined_in="/nowhere/toy.toml"))
    assert asked(without) == Asked("mine", ModelOptions(), without)
    (mine / "model.onnx").write_bytes(b"")
    with pytest.raises(InputError, match="it is not there any more as it was: convert it again"):
        vb.bench(without)
