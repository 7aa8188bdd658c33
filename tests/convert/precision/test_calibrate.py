"""What a graph's tensors reach, held against NumPy."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from convert.precision.calibrate import Range, observe


def _graph(batch: int | str) -> onnx.ModelProto:
    """doubled = x + x, logits = -doubled, for x (batch, 3, 2, 5)."""
    shape = [batch, 3, 2, 5]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["doubled"]), helper.make_node("Neg", ["doubled"], ["logits"])],
        "toy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("outlier", [0, 2, 4])  # in the first image, in the middle, and in a batch that is not full
@pytest.mark.parametrize("batch", ["batch", 1, 2, 3, 5])
def test_every_image_counts(batch: int | str, outlier: int) -> None:
    images = np.random.default_rng(3).uniform(-1, 1, (5, 3, 2, 5)).astype(np.float32)
    images[outlier, 1, 0, :2] = -7, 6
    model = _graph(batch)
    found = observe(model, ["doubled", "x", "doubled"], images)
    assert [value.name for value in model.graph.output] == ["logits"]  # the model is as it was
    assert sorted(found) == ["doubled", "x"]
    for name, factor in (("x", 1), ("doubled", 2)):
        rows = factor * images.reshape(-1, 5)
        assert found[name].low.tolist() == rows.min(axis=0).tolist()
        assert found[name].high.tolist() == rows.max(axis=0).tolist()
        assert found[name].largest == 7 * factor
        if 5 % (2 if batch == "batch" else int(batch)) == 0 or batch == "batch":
            assert found[name].count == len(rows)
            np.testing.assert_allclose(found[name].mean, rows.mean(axis=0, dtype=np.float64), rtol=1e-6)
        first = found[name].first
        assert first is not None
        assert first.tolist() == rows[: len(first)].tolist()
        assert len(first) == 6 * (2 if batch == "batch" else int(batch))
    assert observe(_graph(batch), ["logits"], images)["logits"].largest == 14


def test_the_last_batch_of_a_fixed_size_is_filled_with_the_first_images() -> None:
    images = np.arange(90, dtype=np.float32).reshape(3, 3, 2, 5)
    found = observe(_graph(2), ["doubled"], images)["x"]
    assert found.count == 24
    np.testing.assert_allclose(found.total, images[[0, 1, 2, 0]].reshape(-1, 5).sum(axis=0))


@pytest.mark.parametrize(("values", "largest"), [([-3, 1, 2], 3.0), ([-1, 1, 2], 2.0), ([-3, -2, -1], 3.0)])
def test_the_largest_is_of_either_sign(values: list[float], largest: float) -> None:
    found = Range()
    found.add(np.array([values], np.float32))
    assert found.largest == largest


def test_sums_of_many_rows_lose_nothing() -> None:
    found = Range()
    for _ in range(3):
        found.add(np.full((1, 1000, 1), 16_777_217 / 7, np.float32))
    assert found.mean.dtype == np.float64
    assert found.mean[0] == pytest.approx(float(np.float32(16_777_217 / 7)), rel=1e-12)
