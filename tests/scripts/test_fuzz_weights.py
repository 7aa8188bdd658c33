from __future__ import annotations

import pytest
from click.testing import CliRunner

from scripts import fuzz_weights


def test_a_short_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_weights, "HOSTILE", {"itself": fuzz_weights.HOSTILE["itself"]})
    result = CliRunner().invoke(fuzz_weights.main, ["--seconds", "1"])
    assert result.exit_code == 0, result.output
    assert "hostile                  tensors    1" in result.output
    assert "largest memory" in result.output


def test_a_fault_is_shown_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_weights, "outcome", lambda path, near=False: "FAULT: 6.0 s")
    result = CliRunner().invoke(fuzz_weights.main, ["--seconds", "0"])
    assert result.exit_code == 1
    assert "itself: FAULT: 6.0 s" in result.output
