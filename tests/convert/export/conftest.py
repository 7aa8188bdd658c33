from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convert.common import worker


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an inference model of each kind of `toys.KINDS`."""
    root = tmp_path_factory.mktemp("toys")
    worker.call("tests.convert.export.toys:write", str(root))
    return root


@pytest.fixture(scope="session")
def answers(toys: Path) -> dict[str, dict[str, Any]]:
    """What exporting each of them answers."""
    found: dict[str, dict[str, Any]] = worker.call("tests.convert.export.toys:exported", str(toys))
    return found
