"""All seven models for real: converted, counted as published to the last digit, and built by TensorRT's builder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.zoo import PUBLISHED, SEVEN
from runtimes.tensorrt.cache import Cache, build_apart
from runtimes.tensorrt.engine import EngineConfig

# GMACs with attention, and millions of parameters with pos_embed and cls_token.
TOTALS = {
    "ViT_small_patch16_224": (9.89, 48.75),
    "ViT_base_patch16_224": (17.56, 86.57),
    "ViT_base_patch16_384": (55.48, 86.86),
    "ViT_base_patch32_384": (13.04, 88.30),
    "ViT_large_patch16_224": (61.55, 304.33),
    "ViT_large_patch16_384": (191.07, 304.72),
    "ViT_large_patch32_384": (45.28, 306.63),
}
_QUICK = ("ViT_small_patch16_224", "ViT_base_patch32_384")  # the others have the same operators
_BUILDER_NEEDS = 5 << 30  # the large models take 4.0 GB


@pytest.fixture(scope="module", params=SEVEN)
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Artifact]:
    """One of the seven, converted with seeded weights; gone before the next one is made."""
    root = tmp_path_factory.mktemp("seven")
    yield obtain(Request(request.param, "seeded", root=root), print)[0]
    shutil.rmtree(root)  # up to 2.5 GB


def test_a_model_converts_and_counts_as_published(artifact: Artifact) -> None:
    macs, parameters = artifact.manifest.macs, artifact.manifest.parameters
    published = PUBLISHED[artifact.model]
    assert macs.published
    assert macs.total
    assert parameters.published
    assert parameters.total
    assert f"{macs.published / 1e9:.2f}" == f"{published.gmacs:.2f}"
    assert f"{parameters.published / 1e6:.2f}" == f"{published.mparams:.2f}"
    assert (f"{macs.total / 1e9:.2f}", f"{parameters.total / 1e6:.2f}") == tuple(
        f"{value:.2f}" for value in TOTALS[artifact.model]
    )


def _skip_if_large(artifact: Artifact, quick: tuple[str, ...]) -> None:
    if artifact.model not in quick and not os.environ.get("VITBENCH_LARGE"):
        pytest.skip("a minute or more for each of the larger models: set VITBENCH_LARGE=1")


def test_a_model_is_built_by_tensorrt(artifact: Artifact, tmp_path: Path) -> None:
    _skip_if_large(artifact, _QUICK)
    pytest.importorskip("tensorrt_rtx", reason="no tensorrt-rtx here, which builds without a GPU")
    if psutil.virtual_memory().available < _BUILDER_NEEDS:
        pytest.skip(f"less than {_BUILDER_NEEDS >> 30} GiB of memory is free for TensorRT's builder")
    cache = Cache(tmp_path / "engine", tmp_path / "timing")
    build_apart("tensorrt_rtx", artifact.onnx, EngineConfig(tf32=False, batches=(1, 4, 8), dynamic=True), None, cache)
    facts = json.loads((cache.engine / "engine.json").read_text())
    assert set(facts["network_outputs_by_type"]) == {"FLOAT", "INT64"}
    assert facts["tf32_flag"] is False
    weights = 4 * (artifact.manifest.parameters.total or 0)
    assert (cache.engine / "engine.plan").stat().st_size > 0.9 * weights
    shutil.rmtree(tmp_path)  # up to 2 GB


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_a_lower_precision_is_built_by_tensorrt(precision: str, artifact: Artifact, tmp_path: Path) -> None:
    """The types that the file declares are those of the strongly typed network."""
    pytest.importorskip("tensorrt_rtx", reason="no tensorrt-rtx here, which builds without a GPU")
    _skip_if_large(artifact, ())
    if psutil.virtual_memory().available < _BUILDER_NEEDS:
        pytest.skip(f"less than {_BUILDER_NEEDS >> 30} GiB of memory is free for TensorRT's builder")
    variant = obtain(Request(artifact.model, precision=precision, root=artifact.path.parents[1]), print)[0]
    cache = Cache(tmp_path / "engine", tmp_path / "timing")
    build_apart("tensorrt_rtx", variant.onnx, EngineConfig(tf32=False, batches=(1, 4, 8), dynamic=True), None, cache)
    types = json.loads((cache.engine / "engine.json").read_text())["network_outputs_by_type"]
    lowered = types[{"fp16": "HALF", "bf16": "BF16", "int8": "INT8"}[precision]]
    assert variant.manifest.multiplying
    assert lowered >= variant.manifest.multiplying.lowered
    shutil.rmtree(tmp_path)
    shutil.rmtree(variant.path)
