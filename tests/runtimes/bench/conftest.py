"""Plans of the toy on runtimes that are never opened, and a results folder where parity passed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convert.artifact import Artifact
from convert.model_options import ModelOptions
from runtimes.base import Options
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.plan.plan import CellCost, Plan, PlanEstimate
from runtimes.bench.plan.settings import Policy
from tests.runtimes.bench.made_up import FAKES, NAMES, POLICY, proven


@pytest.fixture
def make_plan(toy_artifact: Artifact, toy_toml: Path) -> Callable[..., Plan]:
    def make(*names: str, batches: tuple[int, ...] = (1,), policy: Policy = POLICY, refused: Any = ()) -> Plan:
        cells = tuple(
            Cell(
                str(toy_toml),
                toy_artifact,
                FAKES[name],
                "fp32",
                Options(batches=(1, 2)),
                batch,
                chosen=ModelOptions("seeded:1"),
            )
            for name, batch in itertools.product(names, batches)
        )
        costs = tuple(CellCost(1.0, 1.0, 10, 0, "rate") for _ in cells)
        return Plan(cells, refused, policy, PlanEstimate(costs, 0, 1, 10, 0, 1 << 30, None), seed=3)

    return make


@pytest.fixture
def folder(tmp_path: Path, toy_artifact: Artifact) -> Path:
    proven(tmp_path, toy_artifact, dict.fromkeys(NAMES, True))
    return tmp_path
