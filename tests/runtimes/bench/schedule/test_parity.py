"""Which parity records prove a cell, and which that were kept count again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from convert.artifact import Artifact
from convert.common.disk import json_lines as lines
from runtimes.base import Elsewhere
from runtimes.bench.plan.matrix import Cell
from runtimes.bench.plan.plan import Plan
from runtimes.bench.schedule import aggregate, parity
from runtimes.records import store
from runtimes.records.parity_gate import gate
from runtimes.system import environment
from tests.runtimes.bench.made_up import FAKES, POLICY, Fake, good, proven
from tests.runtimes.bench.made_up import measure as run


@pytest.fixture
def selection() -> list[str]:
    """The runtimes of which parity was asked for by `measure`."""
    return []


@pytest.fixture
def measure(selection: list[str]) -> Callable[[Plan, Path, Fake], list[Any]]:
    """A run in which nothing is checked."""

    def prove(cells: Sequence[Cell], folder: Path) -> None:
        selection.extend(cell.runtime.name for cell in cells)

    return lambda plan, folder, fake: run(plan, folder, fake, prove=prove)


def test_a_failure_on_one_set_of_inputs_is_not_made_up_for_on_another(
    make_plan: Any, tmp_path: Path, toy_artifact: Artifact, selection: list[str], measure: Any
) -> None:
    proven(tmp_path, toy_artifact, {"fake-a": False}, inputs="photos", batches=(1,))
    proven(tmp_path, toy_artifact, {"fake-a": True})
    (record,) = measure(make_plan("fake-a"), tmp_path, Fake(good))
    assert (record.status, record.reason) == ("refused", "parity failed: logits differ by 3")
    proven(tmp_path, toy_artifact, {"fake-a": True}, inputs="photos", batches=(1,))
    (record,) = measure(make_plan("fake-a"), tmp_path, Fake(good))
    assert record.status == "ok"
    assert selection == [], "it is known"


@pytest.mark.parametrize(
    "other",
    [
        {"runtime_version": "0"},
        {"artifact": "0" * 64},
        {"precision": "bf16"},
        {"device": "GPU"},
        {"settings": {"kernels": "plain"}},
    ],
)
def test_a_check_of_something_else_proves_nothing(
    make_plan: Any, tmp_path: Path, toy_artifact: Artifact, selection: list[str], measure: Any, other: dict[str, Any]
) -> None:
    proven(tmp_path, toy_artifact, {"fake-a": True}, **other)
    fake = Fake(good)
    (record,) = measure(make_plan("fake-a"), tmp_path, fake)
    assert (selection, record.status, fake.jobs) == (["fake-a"], "refused", [])


def test_parity_at_one_batch_says_nothing_of_another(
    make_plan: Any, tmp_path: Path, toy_artifact: Artifact, selection: list[str], measure: Any
) -> None:
    proven(tmp_path, toy_artifact, {"fake-a": True}, batches=(1,))
    made = measure(make_plan("fake-a", batches=(1, 2)), tmp_path, Fake(good))
    assert selection == ["fake-a"]
    assert {(r.batch, r.status, r.reason) for r in made} == {
        (1, "ok", None),
        (2, "refused", "parity was not checked at batch 2"),
    }


@pytest.fixture
def elsewhere(toy_artifact: Artifact, tmp_path: Path) -> Artifact:
    """The toy in a folder of its own, where something may be kept."""
    path = tmp_path / "artifact"
    path.mkdir()
    return replace(toy_artifact, path=path)


def test_what_passed_is_recalled_for_the_same_only(
    make_plan: Any, tmp_path: Path, elsewhere: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cell,) = make_plan("fake-a").cells
    cell = replace(cell, artifact=elsewhere)
    blank = aggregate.blank(cell, "key", POLICY)
    proven(tmp_path, elsewhere, {"fake-a": True, "fake-b": False})
    made = parity.of(store.read(tmp_path))
    assert parity.recall(cell, blank, "m") == []
    parity.keep([cell], made, "m")
    assert parity.recall(cell, blank, "m") == made[:1]
    assert gate(blank, parity.recall(cell, blank, "m")).passed
    assert len(lines.read(elsewhere.path / parity.KEPT)) == 1, "only what passed is kept"
    assert parity.recall(cell, blank, "another machine") == []
    assert parity.recall(replace(cell, runtime=FAKES["fake-b"]), blank, "m") == []
    assert parity.recall(replace(cell, options=replace(cell.options, batches=(1, 4))), blank, "m") == []
    assert parity.recall(cell, replace(blank, runtime_version="2"), "m") == []
    assert parity.recall(cell, replace(blank, settings={"kernels": "plain"}), "m") == []
    monkeypatch.setattr(environment, "describe", lambda: {"vitbench": {"version": "0.1.0", "commit": "another"}})
    assert parity.recall(cell, blank, "m") == [], "another vitbench may judge otherwise"


def test_a_run_takes_what_was_kept_into_its_records(
    make_plan: Any, tmp_path: Path, elsewhere: Artifact, selection: list[str], measure: Any
) -> None:
    plan = make_plan("fake-a")
    (cell,) = plan.cells
    plan = replace(plan, cells=(replace(cell, artifact=elsewhere),))
    proven(tmp_path / "first", elsewhere, {"fake-a": True})
    parity.keep(plan.cells, parity.of(store.read(tmp_path / "first")), "m")
    made = measure(plan, tmp_path / "second", Fake(good))
    assert [record.status for record in made] == ["ok"]
    assert [record.kind for record in store.read(tmp_path / "second")] == ["parity", "latency"]
    assert selection == []


def test_what_a_server_computes_is_checked_in_every_run(
    make_plan: Any, tmp_path: Path, elsewhere: Artifact, selection: list[str], measure: Any
) -> None:
    """It may have another model by now, whatever was shown before."""
    plan = make_plan("fake-a")
    (cell,) = plan.cells
    served = replace(cell.runtime, elsewhere=Elsewhere(lambda options: None, lambda options: ()))
    plan = replace(plan, cells=(replace(cell, artifact=elsewhere, runtime=served),))
    proven(tmp_path, elsewhere, {"fake-a": True})
    parity.keep(plan.cells, parity.of(store.read(tmp_path)), "m")
    measure(plan, tmp_path, Fake(good))
    assert selection == ["fake-a"]
