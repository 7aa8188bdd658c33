"""Faults planted on purpose into the toy are found, and named by block and operator."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from convert.common.errors import CheckFailed
from convert.common.worker import JobError
from runtimes import registry
from runtimes.base import Options
from runtimes.infer import infer_all
from tests.validate.bisect import planted
from validate.bisect import onnx_activations
from validate.bisect.bisection import BisectionResult

Search = Callable[..., BisectionResult]


def both_scales(model: onnx.ModelProto) -> None:
    for block in range(2):
        planted.scale(model, block, 16**-0.5)


# What is planted -> block, operator, and what the explanation must say.
FAULTS: dict[str, tuple[Any, str, str, str]] = {
    "a weight": (
        lambda m: planted.weight(m, "blocks.1.attn.proj.weight"),
        "blocks.1.attn.proj",
        "MatMul",
        "blocks.1.attn.proj.weight differs from Paddle's in 256 of 256 values, by up to 1.00%",
    ),
    "one element of a weight": (
        lambda m: planted.weight(m, "blocks.0.mlp.fc1.weight", single=True),
        "blocks.0.mlp.fc1",
        "MatMul",
        "differs from Paddle's in 1 of 768 values",
    ),
    "one element of a bias": (
        lambda m: planted.weight(m, "blocks.1.mlp.fc2.bias", single=True),
        "blocks.1.mlp.fc2",
        "Add",
        "blocks.1.mlp.fc2.bias differs",
    ),
    "the patch embedding": (
        lambda m: planted.weight(m, "patch_embed.proj.weight", single=True),
        "patch_embed.proj",
        "Conv",
        "in 1 of 3072 values",
    ),
    "a bias that is reshaped": (
        lambda m: planted.weight(m, "patch_embed.proj.bias"),
        "patch_embed.proj",
        "Add",
        "patch_embed.proj.bias differs from Paddle's in 16 of 16 values",
    ),
    "a token that is expanded": (
        lambda m: planted.weight(m, "cls_token"),
        "cls_token",
        "Concat",
        "cls_token differs from Paddle's in 16 of 16 values",
    ),
    "an epsilon": (
        lambda m: planted.epsilon(m, 2, 1e-5),
        "blocks.1.norm1",
        "LayerNormalization",
        "its epsilon is 1e-05 instead of 1e-06",
    ),
    "the last epsilon": (lambda m: planted.epsilon(m, 4, 1e-5), "norm", "LayerNormalization", "its epsilon is 1e-05"),
    "tanh GELU": (lambda m: planted.tanh_gelu(m, 1), "blocks.1.mlp", "GELU", "tanh approximation instead of the exact"),
    "a scale": (
        lambda m: planted.scale(m, 1, 16**-0.5),
        "blocks.1.attn",
        "Mul",
        "it scales by 0.25 instead of 0.353553",
    ),
    "the scale of all blocks": (both_scales, "blocks.0.attn", "Mul", "it scales by 0.25"),
    "rows swapped for one layer": (
        lambda m: planted.swap(m, 2, [1, 0, 2, 3]),
        "blocks.1",
        "Gather",
        "the rows of the batch are in another order: they hold the images 1, 0, 2, 3",
    ),
    "rows swapped for good": (
        lambda m: planted.swap(m, 1, [0, 1, 3, 2], stream=True),
        "blocks.0",
        "Gather",
        "they hold the images 0, 1, 3, 2",
    ),
    "rows swapped inside attention": (
        lambda m: planted.swap_before(m, "MatMul", 8, 1, [1, 0, 2, 3]),
        "blocks.1.attn",
        "Gather",
        "they hold the images 1, 0, 2, 3",
    ),
    "rows of the input": (
        lambda m: planted.swap_before(m, "Conv", 0, 0, [3, 2, 1, 0]),
        "embedding",
        "Gather",
        "they hold the images 3, 2, 1, 0",
    ),
    "rows of the logits": (
        lambda m: planted.swap_output(m, [0, 2, 1, 3]),
        "head",
        "Gather",
        "they hold the images 0, 2, 1, 3",
    ),
    "FP16": (lambda m: planted.half_norm(m, 3, 1), "blocks.1.norm2", "LayerNormalization", "it is computed in FP16"),
    "FP16 overflow": (
        lambda m: planted.half_norm(m, 3, 1e5),
        "blocks.1.norm2",
        "LayerNormalization",
        "FP16 overflows: it ends at 65504, and the input reaches",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_is_found_and_named(search: Search, fault: str) -> None:
    plant, layer, operator, cause = FAULTS[fault]
    found = search(plant).fault
    assert found
    assert (found.layer, found.operator) == (layer, operator)
    assert cause in str(found.cause)
    assert found.statistic
    assert f"{layer} {operator}, error " in found.sentence()


def test_only_the_culprit_is_out_of_bounds(search: Search) -> None:
    """What comes after it inherits its error, and is none the worse for that."""
    found = search(FAULTS["a scale"][0])
    assert [row.name for row in found.operators if row.judgement.bad] == ["blocks.1.attn Mul"]
    assert [row.name for row in found.blocks if row.judgement.bad] == ["blocks.1"]
    assert found.opened == "blocks.1"


def test_the_model_itself_is_within_bounds(search: Search) -> None:
    found = search()
    assert found.fault is None
    assert [row.name for row in found.blocks] == ["embedding", "blocks.0", "blocks.1", "head"]
    assert all(0 < row.judgement.excess < 0.7 for row in found.blocks if row.judgement.excess is not None)
    assert found.operators == []


@pytest.mark.parametrize(
    ("plant", "layer", "operator"),
    [
        (lambda m: None, None, None),
        (lambda m: planted.epsilon(m, 2, 1e-5), "blocks.1.norm1", "LayerNormalization"),
        (lambda m: planted.scale(m, 1, 0.25), "blocks.1.attn", "Mul"),
        (lambda m: planted.swap(m, 2, [1, 0, 2, 3]), "blocks.1", "Gather"),
    ],
)
def test_names_are_not_needed(search: Search, plant: Any, layer: str | None, operator: str | None) -> None:
    def both(model: Any) -> None:
        planted.rename(model)
        plant(model)

    fault = search(both).fault
    assert (fault.layer, fault.operator) == (layer, operator) if fault else layer is None


def test_the_images_of_a_batch_differ(search: Search) -> None:
    """Else swapped rows would not show."""
    swapped = FAULTS["rows swapped for good"][0]
    assert search(swapped, count=4, identical=True).fault is None
    assert search(swapped, count=4).fault


def test_fp16_is_mended_by_fp32_and_a_wrong_weight_by_no_precision(search: Search) -> None:
    overflow = search(FAULTS["FP16 overflow"][0]).fault
    assert overflow
    assert (overflow.statistic, overflow.error, overflow.mending_precision) == ("nonfinite", None, "fp32")
    assert overflow.nonfinite > 0
    assert "keep this LayerNormalization in FP32" in overflow.advice
    assert overflow.input_range
    assert max(map(abs, overflow.input_range)) > 65504
    weight = search(FAULTS["a weight"][0]).fault
    assert weight
    assert weight.mending_precision is None
    assert "no precision mends it" in weight.advice


def test_a_weight_whose_effect_drowns_is_told_from_paper(search: Search) -> None:
    fault = search(lambda m: planted.weight(m, "blocks.1.norm1.bias", factor=1 + 1e-6, single=True)).fault
    assert fault
    assert (fault.layer, fault.operator, fault.statistic) == ("blocks.1.norm1", "LayerNormalization", None)
    assert "out of no bound, but other than Paddle's" in fault.sentence()


def altered(monkeypatch: pytest.MonkeyPatch, change: Callable[[str, np.ndarray], np.ndarray], **effective: Any) -> None:
    """A runtime that gives other values than ONNX Runtime's."""

    def run(artifact: Any, runtime: str, options: Options, images: np.ndarray, folder: Path) -> Any:
        files, ran = infer_all(artifact, runtime, options, images, folder)
        for name, file in files.items():
            np.save(file, change(name, np.load(file)))
        return files, dataclasses.replace(ran, **effective)

    monkeypatch.setattr(onnx_activations, "infer_all", run)


def test_a_runtime_that_computes_wrongly_is_blamed_and_not_the_graph(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered(monkeypatch, lambda name, array: array * 1.001 if "layer_norm.2." in name or name == "Add.35" else array)
    monkeypatch.setattr("validate.bisect.bisection.Bisection.all_blocks", lambda self: broken(self, "blocks.1"))
    fault = search().fault
    assert fault
    assert (fault.layer, fault.operator) == ("blocks.1.norm1", "LayerNormalization")
    assert "the graph says otherwise, so ort-cpu computes it wrongly" in fault.advice


def broken(self: Any, block: str) -> list[Any]:
    """Rows of the blocks in which one is out of bounds."""
    from validate.bisect.bisection import JudgedTensor
    from validate.bisect.judgement import Judgement

    far = Judgement({"max": 2.0, "rms": 2.0, "channel": 2.0}, {"max": 1.0, "rms": 1.0, "channel": 1.0}, 0, 2.0, 1.0)
    return [JudgedTensor(block, self.ends[block][0], far)]


def test_a_block_that_is_out_of_bounds_only_as_a_whole(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators that a runtime joins come apart when their outputs are asked for."""
    monkeypatch.setattr("validate.bisect.bisection.Bisection.all_blocks", lambda self: broken(self, "blocks.0"))
    fault = search().fault
    assert fault
    assert (fault.layer, fault.operator) == ("blocks.0", None)
    assert "switch its fusions off" in fault.advice


def test_a_lower_precision_than_asked_for(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    def to_bf16(name: str, array: np.ndarray) -> np.ndarray:
        return (np.ascontiguousarray(array).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)

    altered(monkeypatch, to_bf16, precision="bf16")
    fault = search().fault
    assert fault
    assert (fault.block, fault.mending_precision) == ("embedding", "fp32")
    assert fault.cause == "ort-cpu computed in bf16 although fp32 was asked for"


def test_a_runtime_that_swaps_rows_is_blamed(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    altered(monkeypatch, lambda name, array: array[[1, 0, 2, 3]] if array.shape[0] == 4 else array)
    fault = search().fault
    assert fault
    assert (fault.layer, fault.operator) == ("patch_embed.proj", "Conv")
    assert "they hold the images 1, 0, 2, 3" in str(fault.cause)
    assert "ort-cpu computes it wrongly" in fault.advice


@pytest.mark.parametrize("fault", ["a scale", "FP16 overflow", "the patch embedding"])
def test_the_graph_is_cut_where_a_runtime_gives_one_output(search: Search, fault: str) -> None:
    plant, layer, operator, _ = FAULTS[fault]
    one_output = dataclasses.replace(registry.get("ort-cpu"), intermediate=False)
    found = search(plant, one_output)
    assert found.fault
    assert (found.fault.layer, found.fault.operator) == (layer, operator)
    assert found.sessions > len(found.operators)


# The others are of operators that ncnn has not: a Gather across images, and casts to FP16.
@pytest.mark.parametrize("fault", [name for name in FAULTS if not name.startswith(("rows", "FP16"))])
def test_ncnn_is_searched_by_its_own_blobs(search: Search, fault: str) -> None:
    pytest.importorskip("ncnn")
    plant, layer, operator, cause = FAULTS[fault]
    found = search(plant, registry.get("ncnn"))
    assert found.fault
    assert (found.fault.layer, found.fault.operator) == (layer, operator)
    assert cause in str(found.fault.cause)
    assert found.sessions == 2, "one for all blocks, one for all operators"


def test_a_cut_model_within_bounds(search: Search) -> None:
    found = search(None, dataclasses.replace(registry.get("ort-cpu"), intermediate=False))
    assert found.fault is None
    assert found.sessions == len(found.blocks)


def test_a_runtime_that_crashes_is_a_failure_in_one_line(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise JobError("the process was ended by SIGSEGV")

    monkeypatch.setattr(onnx_activations, "infer_all", crash)
    with pytest.raises(CheckFailed, match=r"ort-cpu does not run it with .* as output: the process was ended by"):
        search()


@pytest.mark.parametrize("level", ["BASIC", "EXTENDED"])
@pytest.mark.parametrize("sound", [True, False])
def test_a_model_that_an_optimiser_has_rewritten(search: Search, tmp_path: Path, level: str, sound: bool) -> None:
    """EXTENDED joins operators into some of ONNX Runtime's own, behind which the graph tells no shapes."""

    def optimise(model: onnx.ModelProto) -> None:
        if not sound:
            planted.weight(model, "blocks.1.mlp.fc2.weight", factor=1.05)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
        options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        model.CopyFrom(onnx.load(tmp_path / "optimised.onnx"))

    fault = search(optimise).fault
    assert (fault.layer if fault else None) == (None if sound else "blocks.1.mlp.fc2")
