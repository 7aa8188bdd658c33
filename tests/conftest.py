"""A toy ViT, as a spec, as a file and as an artifact."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common import boundary, language

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
