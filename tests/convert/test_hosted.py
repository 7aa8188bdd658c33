"""A model by name that comes as the official inference model: downloaded from a server of this process, converted."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert import making
from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.cli import estimated_bytes
from convert.common.errors import InputError
from tests.convert.weights.site import HOSTED, Site, archive, hosting


def test_a_model_by_name_is_downloaded_once_and_converted(
    monkeypatch: pytest.MonkeyPatch, toy_artifact: Artifact, tmp_path: Path
) -> None:
    with hosting(monkeypatch, tmp_path / "cache") as site:
        _converted(site, toy_artifact, tmp_path)


def _converted(site: Site, toy_artifact: Artifact, tmp_path: Path) -> None:
    site.status = 404
    with pytest.raises(InputError, match="its inference model cannot be had"):
        obtain(Request(HOSTED.name, root=tmp_path / "artifacts"), print)
    site.status, site.asked = None, []
    paddle = toy_artifact.paddle_program.parent
    site.content = archive({f"Toy_tiny_32_infer/{file.name}": file.read_bytes() for file in paddle.iterdir()})
    request = Request(HOSTED.name, root=tmp_path / "artifacts")
    with making.nothing(), pytest.raises(making.NotConvertedError):
        obtain(request, print)
    assert not site.asked
    assert estimated_bytes(request) == 0
    made, reused = obtain(request, print)
    assert (reused, made.model, made.manifest.preprocessing_source) == (False, HOSTED.name, "PaddleClas' zoo")
    assert made.preprocessing == HOSTED.preprocessing
    assert made.classes == toy_artifact.classes
    place = site.url.rsplit("/", 1)[0]
    assert f"the official inference model, of {place}/Toy_tiny_32_infer.tar" in made.manifest.notes
    assert obtain(request, print)[1]
    assert len(site.asked) == 1
    assert made.manifest.command.startswith("python -m convert Toy_tiny_32 ")
    lowered, _ = obtain(Request(HOSTED.name, precision="bf16", root=tmp_path / "artifacts"), print)
    assert lowered.manifest.base
    with making.nothing():
        assert obtain(request, print)[1]
