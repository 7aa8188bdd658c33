"""A product is what it says, in the precision that it says, or it is not counted."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from convert.common import worker
from convert.precision.table import NAMES, PRECISIONS
from runtimes.adapters import onnxruntime
from runtimes.base import UnavailableError
from runtimes.bench.ceiling import products

_SHAPE = (24, 64, 32)


def test_a_processor_multiplies_in_the_precisions_that_it_has() -> None:
    precisions = ["fp32", "bf16", "fp16", "int8"]
    job = {"device": "CPU", "precisions": precisions, "threads": 1, "seconds": 0.0, "shapes": [_SHAPE]}
    told = worker.call("runtimes.bench.ceiling.products:run_job", job)
    assert [one["name"] for one in told] == precisions
    assert told[0]["value"] > 0
    for one in told:
        assert one["how"]
        if one["value"] is not None:
            assert one["how"].startswith("OpenVINO ")
            assert one["how"].endswith("), 24 x 64 x 32, fastest of 3")


def test_where_there_is_no_gpu_each_precision_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_devices() -> list[str]:
        raise UnavailableError("no CUDA driver: pretended")

    monkeypatch.setattr(onnxruntime, "ORT_CUDA", replace(onnxruntime.ORT_CUDA, devices=no_devices))
    told = products.run_job({"device": "GPU", "precisions": ["fp32", "tf32"], "threads": 1, "seconds": 0.0})
    assert told == [{"name": name, "value": None, "how": "no CUDA driver: pretended"} for name in ("fp32", "tf32")]


def test_variables_that_hold_a_library_back_are_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ONEDNN_MAX_CPU_ISA", "NVIDIA_TF32_OVERRIDE"):
        monkeypatch.setenv(name, "0")
    products.run_job({"device": "CPU", "precisions": [], "threads": 1, "seconds": 0.0})
    assert not {"ONEDNN_MAX_CPU_ISA", "NVIDIA_TF32_OVERRIDE"} & set(os.environ)


def _rounded(to: Any) -> products.Multiplication:
    left, right = products.factors(_SHAPE)
    row = left[0].astype(to).astype(np.float32) @ right.astype(to).astype(np.float32)
    return products.Multiplication(lambda: None, lambda: row, products.exact(left, right), "a kernel")


def test_another_precision_than_asked_for_is_not_counted() -> None:
    products.check(_rounded(np.float32), "fp32")
    products.check(_rounded(ml_dtypes.bfloat16), "bf16")
    products.check(_rounded(np.float16), "fp16")
    for kind in (ml_dtypes.bfloat16, np.float16):
        with pytest.raises(UnavailableError, match="did not compute in fp32"):
            products.check(_rounded(kind), "fp32")


@pytest.mark.parametrize("precision", NAMES)
@pytest.mark.parametrize("value", [0.0, np.nan])
def test_what_is_no_product_is_not_counted(precision: str, value: float) -> None:
    product = products.Multiplication(lambda: None, lambda: np.full(4, value), np.ones(4), "a kernel")
    with pytest.raises(UnavailableError):
        products.check(product, precision)


def test_the_fastest_repetition_counts_and_the_first_does_not() -> None:
    durations, now = iter([0.1, 5.0, 2.0, 3.0, 4.0]), [0.0]

    def run() -> None:
        now[0] += next(durations)

    assert products.fastest(run, 10.0, lambda: now[0]) == (2.0, 3)


def test_short_times_still_have_three_repetitions() -> None:
    now = [0.0]

    def run() -> None:
        now[0] += 1.0

    assert products.fastest(run, 0.0, lambda: now[0]) == (1.0, 3)


@pytest.mark.parametrize("precision", NAMES)
def test_the_graph_is_sound_and_computes_the_row(precision: str) -> None:
    """By ONNX's own evaluator: no GPU is needed to see that types and shapes fit."""
    text, expected = products.model(precision, _SHAPE)
    model = onnx.load_model_from_string(text)
    onnx.checker.check_model(model, full_check=True)
    types = {tensor.data_type for tensor in model.graph.initializer if tensor.name in ("left", "right")}
    assert types == {onnx.TensorProto.DataType.Value(PRECISIONS[precision].onnx_types[0])}
    if precision == "bf16":
        return  # the evaluator has no bfloat16
    evaluated: Any = ReferenceEvaluator(model).run(None, {})
    row = evaluated[0][0]
    products.check(products.Multiplication(lambda: None, lambda: row, expected, "the evaluator"), precision)
