"""The search on the toy, without processes of their own: Paddle and ONNX Runtime are loaded once for all tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from convert.artifact import Artifact
from convert.images import inputs
from runtimes import registry
from runtimes.base import Options, Runtime
from validate.bisect import alignment, onnx_graph, paddle_program
from validate.bisect.bisection import BisectionResult, bisect

Plant = Callable[[onnx.ModelProto], None]


@pytest.fixture
def sides(toy_artifact: Artifact, tmp_path: Path) -> alignment.Alignment:
    return alignment.align(
        onnx_graph.read(toy_artifact.onnx, tmp_path), paddle_program.read(toy_artifact.paddle_program)
    )


@pytest.fixture
def planted(toy_artifact: Artifact, tmp_path: Path) -> Callable[[Plant], Path]:
    """The toy's ONNX file with something planted into it."""

    def write(plant: Plant) -> Path:
        model = onnx.load(toy_artifact.onnx)
        plant(model)
        onnx.checker.check_model(model)
        onnx.save(model, tmp_path / "planted.onnx")
        return tmp_path / "planted.onnx"

    return write


@pytest.fixture
def search(at_once: None, toy_artifact: Artifact, planted: Callable[[Plant], Path]) -> Callable[..., BisectionResult]:
    """Bisect the toy with something planted into it."""

    def run(
        plant: Plant | None = None, runtime: Runtime | None = None, count: int = 4, identical: bool = False
    ) -> BisectionResult:
        images = inputs.seeded(toy_artifact.preprocessing, count)
        if identical:
            images.images[:] = images.images[0]
        model = planted(plant) if plant else None
        chosen = runtime or registry.get("ort-cpu")
        return bisect(toy_artifact, chosen, Options(threads=1), images, model, lambda text: None)

    return run
