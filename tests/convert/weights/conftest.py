from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from convert.common import worker
from convert.weights.files import scan


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
