"""Behind its keys and values the last block has one token in the graph, and all of them in Paddle's program."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.validate.bisect import planted
from validate.bisect import alignment
from validate.bisect.bisection import BisectionResult

Search = Callable[..., BisectionResult]


def test_the_last_block_is_found_tensor_by_tensor(sides: alignment.Alignment) -> None:
    named = {f"{sides.name(tensor)} {axis}" for tensor, axis in sides.parts.items() if tensor in sides.own}
    assert named == {"MatMul 1", "MatMul 2", "Mul 2", "Softmax 2", "Transpose 1", "Reshape 1", "Add 1", "GELU 1",
                     "LayerNormalization 1"}  # fmt: skip
    kinds = [sides.graph.maker[tensor].kind for tensor in sides.parts if tensor not in sides.own]
    assert kinds == ["Slice", "Slice"]  # of the queries and of the residual
    own = [tensor for tensor in sides.parts if tensor in sides.own]
    # Products of attention, scale, Softmax, joining, proj, residual, norm2, fc1, GELU, fc2, residual, norm.
    assert len(own) == 2 + 1 + 1 + 2 + 2 + 1 + 1 + 2 + 1 + 2 + 1 + 1


def test_a_part_and_a_whole_with_that_part(sides: alignment.Alignment) -> None:
    tensor = "p2o.pd_op.softmax.1.0"
    value = np.arange(3 * 2 * 17 * 17, dtype=np.float32).reshape(3, 2, 17, 17)
    part = sides.part(tensor, value)
    np.testing.assert_array_equal(part, value[:, :, :1])
    whole = sides.whole(tensor, part)
    assert whole.shape == value.shape
    np.testing.assert_array_equal(sides.part(tensor, whole), part)
    assert sides.part("p2o.pd_op.softmax.0.0", value) is value
    assert sides.whole("p2o.pd_op.softmax.0.0", value) is value


def _token_1(model: onnx.ModelProto, number: int) -> None:
    cut = planted.nodes(model, "Slice")[number]
    for name, value in (("one", 1), ("two", 2)):
        model.graph.initializer.append(numpy_helper.from_array(np.array([value]), name))
    cut.input[1], cut.input[2] = "one", "two"


@pytest.mark.parametrize(("number", "layer", "operator"), [(1, "blocks.1.attn", "MatMul"), (2, "blocks.1", "Add")])
@pytest.mark.parametrize("renamed", [False, True])
def test_another_token_is_a_fault(search: Search, number: int, layer: str, operator: str, renamed: bool) -> None:
    def plant(model: onnx.ModelProto) -> None:
        if renamed:
            planted.rename(model)
        _token_1(model, number)

    fault = search(plant).fault
    assert fault
    assert (fault.layer, fault.operator) == (layer, operator)
    assert "the graph itself says so" in fault.advice


@pytest.mark.parametrize(
    ("plant", "name"),
    [
        (lambda m: planted.weight(m, "blocks.1.mlp.fc1.weight"), "blocks.1.mlp.fc1 MatMul"),
        (lambda m: planted.weight(m, "norm.bias"), "norm LayerNormalization"),
        (lambda m: planted.scale(m, 1, 0.25), "blocks.1.attn Mul"),
    ],
)
def test_only_the_culprit_is_out_of_bounds_there(search: Search, plant: Callable[..., None], name: str) -> None:
    found = search(plant)
    assert [row.name for row in found.operators if row.judgement.bad] == [name]
