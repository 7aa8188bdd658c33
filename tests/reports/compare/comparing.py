"""Results folders to compare, and the command that does it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result

from reports.compare.__main__ import main
from tests.reports import runs

Records = list[dict[str, Any]]


def stored(place: Path, records: Records, environment: dict[str, Any] | None = runs.ENVIRONMENT) -> Path:
    place.mkdir(exist_ok=True)
    (place / "results.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    (place / "environment.json").unlink(missing_ok=True)
    if environment is not None:
        (place / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    return place


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def one(centre: float, seed: int = 1, **fields: Any) -> Records:
    """A parity that passed and one latency of five processes."""
    chance = np.random.default_rng(seed)
    spread = {"between": 0.004, "inside": 0.01, **fields}
    return [runs.common("parity", passed=True, batches=[1, 4, 8]), runs.drawn(chance, centre=centre, **spread)]
