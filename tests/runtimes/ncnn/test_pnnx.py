"""A converter that is not ours ends with status 0 when it has failed: what it wrote is looked into."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.artifact import Artifact
from runtimes.base import UnavailableError
from runtimes.ncnn import pnnx
from runtimes.ncnn.net import UnknownError


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo todo Softplus", "ended with status 0: todo Softplus"),
        ("exit 3", "ended with status 3"),
        ("printf '1\\n1 1\\npnnx.Expression a 0 1 b\\n' > model.ncnn.param; : > model.ncnn.bin", r"know pnnx\.Expr"),
        ("printf '1\\n1 1\\nInput a 0 1 in0\\n' > model.ncnn.param; : > model.ncnn.bin", "0 bytes for .* not float32"),
        ("printf 'Input\\n' > model.ncnn.param; : > model.ncnn.bin", "wrote no .param"),
    ],
)
def test_what_it_wrote_is_looked_into(toy_artifact: Artifact, tmp_path: Path, script: str, reason: str) -> None:
    program = tmp_path / "pnnx"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(UnknownError, match=reason):
        pnnx.convert(program, toy_artifact.onnx, tmp_path / "model")
    assert [file.name for file in tmp_path.iterdir()] == ["pnnx"]


def test_a_program_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(pnnx.VARIABLE, "/nowhere/pnnx")
    with pytest.raises(UnavailableError, match="VITBENCH_PNNX=/nowhere/pnnx: there is no such program"):
        pnnx.find()
