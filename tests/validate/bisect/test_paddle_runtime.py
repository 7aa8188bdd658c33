"""Paddle Inference held against its own program: what oneDNN gets wrong is named, and what it gets right is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import paddle
import pytest
from paddle import nn

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.images.inputs import seeded
from runtimes import registry
from runtimes.base import Options
from validate.bisect import paddle_runtime
from validate.bisect.bisection import BisectionResult
from validate.bisect.judgement import Judgement


class _Net(nn.Layer):  # type: ignore[misc]
    """A LayerNorm over channels in five operators, which Paddle 3.3.1 with oneDNN computes wrongly."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3 * 16 * 16, 5)

    def forward(self, x: Any) -> Any:
        around = x - x.mean(1, keepdim=True)
        square = (x - x.mean(1, keepdim=True)).pow(2)  # written twice, as ConvNeXt has it
        x = around / paddle.sqrt(square.mean(1, keepdim=True) + 1e-6)
        return self.head(paddle.flatten(x, 1))


def _bisect(artifact: Artifact, **extra: str) -> BisectionResult:
    inputs = seeded(artifact.preprocessing, 2)
    return paddle_runtime.bisect(artifact, registry.get("paddle"), Options(extra=extra), inputs, print)


@pytest.mark.usefixtures("at_once")
def test_the_operator_that_onednn_gets_wrong_is_named(tmp_path: Path) -> None:
    if paddle.__version__ != "3.3.1":
        pytest.skip("the bug was seen in Paddle 3.3.1; scripts/upstream tells whether this one has it")
    net = _Net()
    net.eval()
    spec = paddle.static.InputSpec([None, 3, 16, 16], "float32")
    paddle.jit.save(paddle.jit.to_static(net, [spec], full_graph=True), str(tmp_path / "net" / "inference"))
    artifact = obtain(Request(str(tmp_path / "net"), root=tmp_path), print)[0]
    found = _bisect(artifact)
    assert found.fault
    assert (found.fault.block, found.fault.operator) == ("model", "divide")
    assert "paddle.kernels=plain" in found.fault.sentence()
    assert [row.judgement.bad for row in found.operators if row.name.endswith("sqrt")] in ([], [False])
    assert _bisect(artifact, kernels="plain").fault is None


@pytest.mark.usefixtures("at_once")
def test_nothing_is_wrong_with_the_toy(toy_artifact: Artifact) -> None:
    found = _bisect(toy_artifact)
    assert found.fault is None
    assert not found.blocks[0].judgement.bad
    assert found.effective
    assert found.effective.precision == "fp32"


@pytest.mark.parametrize("first", range(7))
def test_the_first_bad_value_is_found(first: int) -> None:
    def judged(value: int) -> Judgement:
        return Judgement({}, {}, 0, 2.0 if value >= first else 0.5, 1.0)

    rows = paddle_runtime._search(list(range(7)), judged)
    assert min(value for value, one in rows.items() if one.bad) == first
    assert first == 0 or first - 1 in rows
