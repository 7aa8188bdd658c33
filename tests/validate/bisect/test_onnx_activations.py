"""Models that are cut so that a runtime hands out what it computed inside."""

from __future__ import annotations

from pathlib import Path

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.images.inputs import seeded
from runtimes import registry
from runtimes.base import Options
from validate.bisect import onnx_graph
from validate.bisect.onnx_activations import OnnxActivations


def test_a_variant_of_a_lower_precision_stands_on_its_own(
    toy_artifact: Artifact, toy_toml: Path, tmp_path: Path
) -> None:
    """Adapters that run FP32 files by a switch of their own look for what it was made from."""
    lowered, _ = obtain(Request(str(toy_toml), precision="bf16", root=tmp_path), print)
    folder = tmp_path / "cut"
    folder.mkdir()
    graph = onnx_graph.read(lowered.onnx, folder)
    images = seeded(toy_artifact.preprocessing, 1).images
    activations = OnnxActivations(graph, lowered, registry.get("openvino"), Options("bf16"), images)
    variant = activations.variant([graph.output])
    assert variant.base.onnx == folder / "model.onnx"
    assert variant.precision == "bf16"
