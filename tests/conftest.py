"""A toy ViT, as a spec, as a file and as an artifact."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common import boundary, language
from runtimes.cluster.node import MACHINE_LABEL

# A busy machine is no reason to fail: hypothesis' limit for one example is 0.2 s.
settings.register_profile("vitbench", deadline=None)
settings.load_profile("vitbench")

TOY_TOML = """
name = "toy"
img_size = 32
patch_size = 8
class_num = 7
embed_dim = 16
depth = 2
num_heads = 2
mlp_ratio = 3
qkv_bias = true
epsilon = 1e-6

[preprocessing]
resize_short = 36
crop = 32
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]
"""


@pytest.fixture(autouse=True)
def our_faults_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that a test calls ends with exit status 2 for what its input is, and never for a fault of ours."""

    def raised(error: BaseException) -> str:
        raise error

    monkeypatch.setattr(boundary, "fault", raised)


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Messages are English, whatever the locale of who runs the tests, and what a test chose holds for it alone."""
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    yield
    language.choose(None)


@pytest.fixture(scope="session")
def toy_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("toy") / "toy.toml"
    path.write_text(TOY_TOML)
    return path


@pytest.fixture(scope="session")
def toy_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the toy's artifact is."""
    return tmp_path_factory.mktemp("artifacts")


@pytest.fixture(scope="session")
def toy_artifact(toy_toml: Path, toy_root: Path) -> Artifact:
    """The toy, really converted, with seeded weights. Read it; do not change it."""
    return obtain(Request(str(toy_toml), "seeded:1", root=toy_root), print)[0]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real weights and photos, which are no part of the repository: skips where they are not."""
    path = Path(os.environ.get("VITBENCH_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not path.is_dir():
        pytest.skip("no real weights and photos: set VITBENCH_DATA to a folder that has them")
    return path


def _as_started(patch: pytest.MonkeyPatch) -> None:
    """The variables that this process was started with: Paddle and OpenCV set some when they are imported."""
    started = dict(one.split("=", 1) for one in Path("/proc/self/environ").read_text().split("\0") if "=" in one)
    for name in sorted({*os.environ, *started}):
        if name in started:
            patch.setenv(name, started[name])
        else:
            patch.delenv(name)


@pytest.fixture
def variables_as_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that the nodes of `ray_nodes` have."""
    _as_started(monkeypatch)


@pytest.fixture(scope="session")
def ray_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two nodes on this machine that count as two machines, with a cache of their own: a cluster of
    `ray.cluster_utils`."""
    pytest.importorskip("ray", reason="no Ray here: the extra cluster is not installed")
    with pytest.MonkeyPatch.context() as patch:
        _as_started(patch)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        from ray.cluster_utils import Cluster

        here = {"num_cpus": 2, "include_dashboard": False, "labels": {MACHINE_LABEL: "a"}}
        cluster = Cluster(initialize_head=True, head_node_args=here)
        try:
            cluster.add_node(num_cpus=2, labels={MACHINE_LABEL: "b"})
            patch.undo()
            yield cluster
        finally:
            cluster.shutdown()
