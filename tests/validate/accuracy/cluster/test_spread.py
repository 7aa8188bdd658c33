"""Real nodes: the answers are those of this machine, image by image, also when a node is killed in the middle."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from convert.artifact import Artifact
from convert.cli import Asked
from convert.datasets import load
from convert.datasets.options import SetOptions
from convert.model_options import ModelOptions
from runtimes import registry
from runtimes.cluster import places
from runtimes.cluster.node import MACHINE_LABEL
from runtimes.options import Selection
from validate.accuracy.cluster import node_side, spread
from validate.accuracy.cluster.nodes import ClusterNodes
from validate.accuracy.cluster.spread import Spread
from validate.accuracy.evaluation import Settings, make
from validate.accuracy.feeding import passes
from validate.accuracy.feeding.passes import Listener, Measurement

COUNT = 150


@pytest.fixture
def measurements(tmp_path: Path, toy_artifact: Artifact) -> tuple[Settings, Callable[[str], list[Measurement]]]:
    """An evaluation of the toy on ONNX Runtime over photos that are noise, and where its answers go."""
    folder = tmp_path / "set"
    folder.mkdir()
    random = np.random.default_rng(0)
    for n in range(COUNT):
        assert cv2.imwrite(str(folder / f"{n}.png"), random.integers(0, 255, (40, 40, 3), np.uint8))
    (folder / "val_list.txt").write_text("".join(f"{n}.png {n % 7}\n" for n in range(COUNT)))
    runtime = registry.get("ort-cpu")
    settings = Settings(Selection([runtime], True, threads=1), SetOptions(folder), batch=2)

    asked = Asked("toy", ModelOptions(), toy_artifact)

    def made(name: str) -> list[Measurement]:
        evaluation = make(asked, runtime, "fp32", load(folder), settings)
        return [Measurement(evaluation, tmp_path / f"{name}.top5", evaluation.key(settings))]

    return settings, made


@pytest.fixture
def alone(measurements: Any) -> list[list[int]]:
    """The first five classes of each image on this machine."""
    (one,) = measurements[1]("alone")
    passes.go([one], 0, {}, Listener())
    found: list[list[int]] = one.ranked.top.tolist()
    assert len({tuple(top) for top in found}) > 3, "the answers are not all the same"
    return found


@pytest.fixture
def third(ray_nodes: Any) -> Iterator[Any]:
    """One more node, for this test."""
    node = ray_nodes.add_node(num_cpus=1, labels={MACHINE_LABEL: "c"})
    ray_nodes.wait_for_nodes()
    yield node
    ray_nodes.remove_node(node, allow_graceful=False)


@pytest.mark.parametrize("sees", [True, False])
def test_two_nodes_answer_as_one_machine(
    ray_nodes: Any, measurements: Any, alone: Any, monkeypatch: pytest.MonkeyPatch, sees: bool
) -> None:
    if not sees:
        nowhere = {"images": "/nowhere"}
        monkeypatch.setattr(node_side, "source", lambda options: nowhere)
    settings, made = measurements
    monkeypatch.setattr(spread, "CHUNK_IMAGES", 8)
    (one,) = made("spread")
    with places.reserved(ray_nodes.address) as found:
        assert len(found.places) == 2
        Spread(ClusterNodes(found.places), settings, print).go([one], Listener())
    assert one.ranked.top.tolist() == alone
    assert (one.status, one.done, len(one.ranked.machines)) == ("ok", COUNT, 1)


def test_a_node_that_is_killed_costs_nothing(
    ray_nodes: Any,
    third: Any,
    measurements: Any,
    alone: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings, made = measurements
    monkeypatch.setattr(spread, "CHUNK_IMAGES", 4)
    (one,) = made("spread")
    killed: list[int] = []

    def kill(measurement: Measurement) -> None:
        if measurement.done >= 20 and not killed:
            killed.append(measurement.done)
            for process in third.all_processes["raylet"]:
                os.kill(process.process.pid, signal.SIGKILL)

    said: list[str] = []
    with places.reserved(ray_nodes.address) as found:
        assert len(found.places) == 3
        Spread(ClusterNodes(found.places), settings, said.append).go([one], Listener(progress=kill))
    assert killed[0] < COUNT
    assert one.ranked.top.tolist() == alone
    assert capsys.readouterr().out == "", "only results are on standard output"
