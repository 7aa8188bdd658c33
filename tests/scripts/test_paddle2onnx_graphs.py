"""Paddle2ONNX's own output is the same model and nothing of ours, as it comes and in int8."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from convert.artifact import Artifact
from convert.build import Request, obtain
from scripts import compare_graphs, paddle2onnx_graphs


def logits(artifact: Artifact) -> np.ndarray:
    images = np.random.default_rng(0).standard_normal((2, 3, 32, 32), dtype=np.float32)
    session = onnxruntime.InferenceSession(str(artifact.onnx))
    return np.asarray(session.run(None, {session.get_inputs()[0].name: images})[0])


def test_the_other_graph_is_paddle2onnx_own(toy_artifact: Artifact, tmp_path: Path) -> None:
    theirs = paddle2onnx_graphs.plain(toy_artifact, tmp_path)
    model = onnx.load(theirs.onnx)
    assert model.graph.output[0].name != "logits"
    assert len(model.graph.node) > 2 * len(onnx.load(toy_artifact.onnx).graph.node)
    assert theirs.sha256 != toy_artifact.sha256
    other = logits(theirs)
    np.testing.assert_allclose(logits(toy_artifact), other, atol=2e-6 * np.abs(other).max())


@pytest.fixture
def int8_root(toy_toml: Path, toy_artifact: Artifact, tmp_path: Path) -> Path:
    """A folder with the toy in FP32 and in int8, where two layers stay FP32."""
    root = tmp_path / "artifacts"
    shutil.copytree(toy_artifact.path, root / "toy" / "fp32")
    obtain(Request(str(toy_toml), None, "int8", root=root, keep_fp32=("blocks.1.mlp.fc1", "head")), print)
    return root


def operators(artifact: Artifact) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(artifact.onnx).graph.node)


def test_in_int8_both_graphs_have_the_same_operators_in_it(toy_toml: Path, int8_root: Path, tmp_path: Path) -> None:
    graphs = compare_graphs.both(str(toy_toml), None, int8_root, "int8", tmp_path)
    ours, theirs = graphs.ours, graphs.theirs
    assert (ours.precision, theirs.precision) == ("int8", "int8")
    for name in ("multiplying", "kept_fp32", "smoothed", "calibration"):
        assert ours.manifest[name] == theirs.manifest[name]
    counts, others = operators(ours), operators(theirs)
    assert counts["DequantizeLinear"] == others["DequantizeLinear"] == 2 * 8, "of ten layers two stay"
    assert others["Identity"] > 20, "it is Paddle2ONNX's own graph still"
    other = logits(theirs)
    assert 0 < np.abs(logits(ours) - other).max() < 0.02 * np.abs(other).max()
