"""A product is what it says, in the precision that it says, or it is not counted."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from convert.common import isolate
from convert.precision.table import NAMES
from runtimes.base import UnavailableError
from runtimes.bench.ceiling import libraries, products

_SHAPE = (24, 64, 32)
_PACKAGES = {"numpy": "numpy", "openvino": "openvino", "onnxruntime": "onnxruntime"}


def _job(library: str, **more: Any) -> dict[str, Any]:
    base = {"precisions": ["fp32"], "threads": 1, "seconds": 0.0, "device": "CPU", "shapes": [_SHAPE]}
    return {"library": library, **base, **more}


@pytest.mark.parametrize("library", sorted(libraries.LIBRARIES))
def test_every_library_multiplies(library: str) -> None:
    pytest.importorskip(_PACKAGES[library], reason=f"no {library} here")
    precisions = ["fp32"] if library == "numpy" else ["fp32", "bf16", "int8"]
    told = isolate.call("runtimes.bench.ceiling.products:run_job", _job(library, precisions=precisions))
    found = {one["precision"]: one for one in told["found"]}
    assert set(found) | set(told["unmeasured"]) == set(precisions)
    assert "fp32" in found
    for one in found.values():
        assert one["gflops"] > 0
        assert one["count"] == 3
        assert one["shape"] == list(_SHAPE)
        assert library in one["how"].lower().replace(" ", "")
    if library == "onnxruntime":
        assert "processor" in told["unmeasured"]["bf16"]


def test_a_variable_that_slows_a_library_down_does_not_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    told = isolate.call("runtimes.bench.ceiling.products:run_job", _job("numpy"))
    how = told["found"][0]["how"]
    if "openblas" not in how:
        pytest.skip("NumPy does not use OpenBLAS here")
    assert "Nehalem" not in how
    assert how.endswith("1 threads")


def _rounded(to: Any) -> libraries.Multiplication:
    left, right = libraries.factors(_SHAPE)
    row = left[0].astype(to).astype(np.float32) @ right.astype(to).astype(np.float32)
    return libraries.Multiplication(lambda: None, lambda: row, libraries.exact(left, right), "a kernel")


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
    product = libraries.Multiplication(lambda: None, lambda: np.full(4, value), np.ones(4), "a kernel")
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


@pytest.mark.parametrize("device", ["CPU", "GPU.1"])
@pytest.mark.parametrize("precision", NAMES)
def test_the_graph_is_sound_and_computes_the_row(precision: str, device: str) -> None:
    """GPUs' graphs included, by ONNX's own evaluator: no GPU is needed to see that types and shapes fit."""
    left, right = libraries.typed_factors(_SHAPE, precision, device)
    model = onnx.load_model_from_string(libraries.model(left, right))
    onnx.checker.check_model(model, full_check=True)
    assert left.dtype.name == {"int8": "uint8" if device == "CPU" else "int8"}.get(precision, right.dtype.name)
    if precision == "bf16":
        return  # the evaluator has no bfloat16
    row = ReferenceEvaluator(model).run(None, {})[0][0]
    expected = left[0].astype(np.float64) @ right.astype(np.float64)
    product = libraries.Multiplication(lambda: None, lambda: row, expected, "the evaluator")
    products.check(product, precision)
