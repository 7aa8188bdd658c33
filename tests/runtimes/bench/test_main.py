"""The command on its own has parity checked by the validator's command, and says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runtimes.base import Options
from runtimes.bench import __main__ as bench
from tests.runtimes.bench import on_paper


def test_parity_is_checked_by_a_command_that_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    started: list[tuple[list[str], Any]] = []
    monkeypatch.setattr(subprocess, "run", lambda words, stdout, **_: started.append((words, stdout)))
    options = Options(batches=(1, 8), extra={"gelu": "tanh"})
    model = on_paper.artifact(folder=tmp_path / "artifacts")
    cells = [on_paper.cell(model, on_paper.runtime(name), options=options) for name in ("mnn", "mnn", "ort-cpu")]
    bench.prove(cells, tmp_path / "run")
    ((words, stdout),) = started
    assert words[:3] == [sys.executable, "-m", "validate.parity"]
    assert stdout == subprocess.DEVNULL, "its results are none of this command"
    expected = (
        f"--model vit --artifacts {tmp_path / 'artifacts'} --precision fp32 --batch 1,8 --out {tmp_path / 'run'}"
        " --runtime mnn,ort-cpu --device CPU --option mnn.gelu=tanh --option ort-cpu.gelu=tanh"
    )
    assert " ".join(words[3:]) == expected
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", f"python -m validate.parity {expected}\n")
