"""A model that was exported with a fixed batch is evaluated at that batch, whatever the set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.manifest import Port

BATCH = 4


@pytest.fixture
def make_artifact(make_artifact: Callable[..., Artifact]) -> Callable[..., Artifact]:
    """Of a fixed batch, instead of a free one."""

    def make(*arguments: Any, **options: Any) -> Artifact:
        free = make_artifact(*arguments, **options)
        (port,) = free.manifest.inputs
        fixed = Port(port.name, port.dtype, (BATCH, *port.shape[1:]))
        return artifacts.save(free.path, dataclasses.replace(free.manifest, inputs=(fixed,)))

    return make


@pytest.mark.parametrize(("images", "runs"), [(3, 1), (6, 2)])
def test_the_last_batch_is_filled_up_and_what_fills_it_is_not_counted(
    make_set: Any, make_run: Any, watched: Any, go: Any, identity: Any, images: int, runs: int
) -> None:
    runtime, seen = watched("ort-cpu", identity)
    evaluation = make_run(make_set(range(images), range(images)), runtime, 8)
    assert evaluation.evaluation.batch == BATCH
    assert go(evaluation) == ["1" * images]
    assert [len(batch) for batch in seen] == [BATCH] * (1 + runs)  # one on zeros before


def test_another_batch_is_refused_where_it_is_named(run: Any, make_set: Any, make_runtime: Any, identity: Any) -> None:
    make_set(range(6), range(6))
    runtimes = [make_runtime("paddle", identity)]
    result = run("--images", "set", "--out", "run", "--batch", "2", runtimes=runtimes)
    assert result.exit_code == 2
    assert "exported with a fixed batch of 4: batch 2 is not possible" in result.stderr
    assert run("--images", "set", "--out", "run", runtimes=runtimes).exit_code == 0
