from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from convert.common import worker
from convert.weights import transfer
from convert.weights.files import scan
from tests.convert.weights.site import Site, serving


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(transfer, "_CHUNK", 500)
    with serving(Site()) as running:
        yield running


@pytest.fixture
def isolated() -> None:
    """Files are looked into in a process of their own, as they are outside of these tests."""


@pytest.fixture(autouse=True)
def _looked_into_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a process for each file, which takes 0.2 s to start."""
    if "isolated" in request.fixturenames:
        return

    def call(target: str, payload: dict[str, Any], timeout_s: float) -> Any:
        assert target == f"{scan.__name__}:{scan.run_job.__name__}"
        return asdict(scan.index(Path(payload["path"])))

    monkeypatch.setattr(worker, "call", call)
