"""Each tool gives a time of a toy, and ratios within 2 % hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.artifact import Artifact
from runtimes.system.speed_probe import Probe
from scripts import interleaved, own_tools
from scripts.common import ClaimOptions


@pytest.mark.parametrize("name", list(own_tools.TOOLS))
def test_the_tool_itself(toy_artifact: Artifact, name: str) -> None:
    assert 0 < own_tools.TOOLS[name](toy_artifact, 0.1) < 1000


@pytest.mark.parametrize(("ours", "verdict"), [(10.19, "holds"), (10.21, "DOES NOT HOLD"), (9.79, "DOES NOT HOLD")])
def test_the_verdict(
    monkeypatch: pytest.MonkeyPatch, toy_toml: Path, toy_root: Path, toy_artifact: Artifact, ours: float, verdict: str
) -> None:
    monkeypatch.setattr(interleaved, "Probe", lambda: Probe(read=lambda: 1.0))
    monkeypatch.setattr(own_tools, "visit_ms", lambda *_: ours)
    monkeypatch.setattr(own_tools, "TOOLS", dict.fromkeys(own_tools.TOOLS, lambda *_: 10.0))
    found = list(own_tools.find(ClaimOptions(models=str(toy_toml), root=toy_root, rounds=2)))
    assert [(one.subject, one.verdict) for one in found] == [("toy on openvino", verdict), ("toy on ort-cpu", verdict)]
