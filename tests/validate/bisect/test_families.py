"""A family with two tokens and two heads: the parts of its blocks are where the family says that they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.images import inputs
from runtimes import registry
from runtimes.base import Options
from tests.conftest import TOY_TOML
from tests.validate.bisect import planted as faults
from validate.bisect.bisection import BisectionResult, bisect


@pytest.fixture(scope="module")
def deit(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    path = tmp_path_factory.mktemp("deit") / "toy.toml"
    path.write_text(TOY_TOML.replace('name = "toy"', 'name = "toy_deit"\nfamily = "deit"'))
    return obtain(Request(str(path), "seeded:3", root=path.parent), print)[0]


def found(deit: Artifact, model: Path | None = None) -> BisectionResult:
    images = inputs.seeded(deit.preprocessing, 4)
    return bisect(deit, registry.get("ort-cpu"), Options(threads=1), images, model, lambda text: None)


@pytest.mark.usefixtures("at_once")
def test_the_model_itself_is_within_bounds(deit: Artifact) -> None:
    result = found(deit)
    assert result.fault is None
    assert [row.name for row in result.blocks] == ["embedding", "blocks.0", "blocks.1", "head"]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("plant", "layer", "operator", "cause"),
    [
        (lambda m: faults.weight(m, "dist_token"), "cls_token", "Concat", "dist_token differs"),
        (lambda m: faults.weight(m, "blocks.1.attn.proj.weight"), "blocks.1.attn.proj", "MatMul", "256 of 256 values"),
        (lambda m: faults.epsilon(m, 3, 1e-5), "blocks.1.norm2", "LayerNormalization", "its epsilon is 1e-05"),
        (lambda m: faults.weight(m, "head_dist.weight"), "head_dist", "MatMul", "head_dist.weight differs"),
    ],
)
def test_a_fault_is_found_and_named(
    deit: Artifact, tmp_path: Path, plant: Callable[[onnx.ModelProto], None], layer: str, operator: str, cause: str
) -> None:
    model = onnx.load(deit.onnx)
    plant(model)
    onnx.save(model, tmp_path / "planted.onnx")
    fault = found(deit, tmp_path / "planted.onnx").fault
    assert fault
    assert (fault.layer, fault.operator) == (layer, operator)
    assert cause in str(fault.cause)
