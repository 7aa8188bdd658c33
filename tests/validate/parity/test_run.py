"""Parity as a function: Paddle without an operator in oneDNN is tried with its plain kernels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from convert.artifact import Artifact
from convert.model_options import ModelOptions
from runtimes import registry
from runtimes.options import Selection
from validate.parity import run
from validate.parity.check import Case, Checked, Run, check
from validate.parity.inputs import InputOptions
from validate.parity.run import ParityRequest


@pytest.mark.parametrize(
    ("fails", "ran"), [("did not run", ["default", "plain"]), ("differs", ["default"]), ("", ["default"])]
)
def test_paddle_without_onednn(
    toy_artifact: Artifact,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fails: str,
    ran: list[str],
) -> None:
    asked: list[str] = []

    def checked(case: Case, infer: Run | None = None) -> Checked:
        asked.append(case.options.extra.get("kernels", "default"))
        found = check(case, infer)
        if not fails or asked[-1] == "plain":
            return found
        counted = None if fails == "did not run" else 0
        return replace(found, record=replace(found.record, passed=False, status="failed", nonfinite=counted))

    monkeypatch.setattr(run, "check", checked)
    selection = Selection([registry.get("paddle")], True)
    request = ParityRequest("toy.toml", ModelOptions(), toy_artifact, "fp32", selection, (1,), InputOptions(limit=1))
    (tmp_path / "run").mkdir()
    records = list(run.run(request, tmp_path / "run"))
    assert asked == ran
    assert [record.settings for record in records] == [{}, {"kernels": "plain"}][: len(ran)]
    assert [record.passed for record in records] == [not fails, True][: len(ran)]
    assert ("--option paddle.kernels=plain" in records[-1].command) == (len(ran) == 2)
    assert ("does not run it with oneDNN" in capsys.readouterr().err) == (len(ran) == 2)
