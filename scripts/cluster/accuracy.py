"""How accuracy over a cluster scales: tiny images and a runtime that answers at once, on nodes of this machine.

`python -m scripts.cluster.accuracy [--nodes 1,2,4,8] [--images 50000] [--travel]` prints for each number of nodes the
images per second, and what they cost the machine that hands them out: its processor time, which bounds how many nodes
it can keep busy. `--travel` sends the images along instead of having each node read them at the same place. Nodes that
share a machine share its cores, so that the images per second per node tell of other machines only where there are as
many cores.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.cli import Asked
from convert.common.disk import scratch
from convert.datasets.options import SetOptions
from convert.model_options import ModelOptions
from runtimes import registry
from runtimes.base import Effective, Runtime, Session, TensorInfo
from runtimes.cluster import places
from runtimes.options import Selection
from scripts.cluster import nodes
from scripts.common import vit_toml
from scripts.kills import ROOT
from validate.accuracy.cluster import node_side
from validate.accuracy.cluster.nodes import ClusterNodes
from validate.accuracy.cluster.spread import Spread
from validate.accuracy.evaluation import Settings, make
from validate.accuracy.feeding.passes import Listener, Measurement

SIDE, BATCH = 32, 64


class AtOnce(Session):
    """Answers with the same logits, whatever it is shown."""

    def __init__(self, artifact: Artifact) -> None:
        self.inputs = (TensorInfo("x", "float32", ("batch", 3, SIDE, SIDE)),)
        self.outputs = (TensorInfo("logits", "float32", ("batch", artifact.classes)),)
        self._logits = np.tile(-np.arange(artifact.classes, dtype=np.float32), (BATCH, 1))

    def _run(self, images: np.ndarray) -> np.ndarray:
        return self._logits[: len(images)].copy()

    def effective(self) -> Effective:
        return Effective("fp32", "CPU")


RUNTIME = Runtime(
    "at-once", "numpy", ("numpy",), ("fp32",), lambda: ["CPU"], lambda artifact, options: AtOnce(artifact)
)


@contextmanager
def installed(site: Path) -> Iterator[None]:
    """The runtime as one that a package brings, here and on nodes that are started meanwhile."""
    about = site / "at_once-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: at-once\nVersion: 1.0\n", encoding="utf-8")
    entry = f"[{registry.ENTRY_POINTS}]\nat-once = scripts.cluster.accuracy:RUNTIME\n"
    (about / "entry_points.txt").write_text(entry, encoding="utf-8")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(site), str(ROOT)])
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()
    registry._found.cache_clear()
    yield


def written(folder: Path, count: int) -> Path:
    """So many tiny images, and their list."""
    folder.mkdir()
    random = np.random.default_rng(0)
    pngs = [cv2.imencode(".png", random.integers(0, 255, (SIDE, SIDE, 3), np.uint8))[1].tobytes() for _ in range(100)]
    for number in range(count):
        (folder / f"{number}.png").write_bytes(pngs[number % len(pngs)])
    (folder / "val_list.txt").write_text("".join(f"{number}.png {number % 10}\n" for number in range(count)))
    return folder


def once(address: str, artifact: Artifact, images: Path, file: Path, travel: bool) -> tuple[float, float, int]:
    """Seconds from the first image to the last, seconds of processor time of this process, and images."""
    runtime = registry.get("at-once")
    settings = Settings(Selection([runtime], True, threads=1), SetOptions(images), batch=BATCH)
    asked = Asked("toy", ModelOptions(), artifact)
    evaluation = make(asked, runtime, "fp32", settings.labelled.load(artifact.classes), settings)
    one = Measurement(evaluation, file, evaluation.key(settings))
    begun: list[tuple[float, float]] = []
    if travel:
        node_side.source = lambda options: {"images": "/nowhere"}
    with places.reserved(address) as found:
        for line in found.left_out:
            print(line)
        spread = Spread(ClusterNodes(found.places), settings, print)
        spread.go([one], Listener(opened=lambda _: begun.append((time.monotonic(), time.process_time()))))
        wall, work = time.monotonic() - begun[0][0], time.process_time() - begun[0][1]
    assert one.status == "ok", one.reason
    assert one.done == len(evaluation.dataset.labels)
    return wall, work, one.done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", default="1,2,4,8", help="numbers of nodes")
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--travel", action="store_true", help="send the images along")
    options = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with scratch.folder(name="vitbench-scale-") as here, installed(here / "site"):
        os.environ["XDG_CACHE_HOME"] = str(here / "cache")
        toml = here / "toy.toml"
        toml.write_text(vit_toml("toy", size=SIDE, width=16, blocks=1, heads=2), encoding="utf-8")
        artifact, _ = obtain(Request(str(toml), "seeded:1", root=here / "artifacts"), lambda text: None)
        images = written(here / "images", options.images)
        for count in map(int, options.nodes.split(",")):
            with nodes(count) as address:
                wall, work, done = once(address, artifact, images, here / f"{count}.top5", options.travel)
            rate = done / wall
            print(
                f"{count} nodes: {done} images in {wall:.1f} s, {rate:.0f} images/s, {rate / count:.0f} per node;"
                f" the driver: {1e6 * work / done:.0f} us of a core per image, enough for {done / work:.0f} images/s",
                flush=True,
            )


if __name__ == "__main__":
    main()
