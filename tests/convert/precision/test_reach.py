"""What a half precision cannot hold is found at conversion: overflow, and what vanishes, in weights and in between."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from safetensors.numpy import save_file

from convert import artifact as artifacts
from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common.errors import GraphError, InputError
from convert.families.base import load_spec
from convert.manifest import Lowering, OperatorCounts
from convert.precision import half, make, reach
from convert.precision.operators import operators, weights
from convert.weights.seeded import tensors

Scaled = Callable[..., Artifact]


@pytest.fixture
def scaled(toy_artifact: Artifact, tmp_path: Path) -> Scaled:
    """Makes the toy with some weights multiplied."""

    def made(**factors: float) -> Artifact:
        folder = tmp_path / "scaled"
        shutil.copytree(toy_artifact.path, folder)
        model = onnx.load(folder / "model.onnx")
        for tensor in model.graph.initializer:
            factor = factors.get(tensor.name.replace(".", "_"))
            if factor is not None:
                values = numpy_helper.to_array(tensor) * np.float32(factor)
                tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        onnx.save(model, folder / "model.onnx")
        return artifacts.load(folder)

    return made


def lowered(artifact: Artifact, folder: Path, precision: str = "fp16", keep: list[str] | None = None) -> dict[str, Any]:
    job = {"base": str(artifact.path), "folder": str(folder), "precision": precision, "calibration": None}
    table = make.run_job({**job, "keep_fp32": keep})
    assert not set(table) - {field.name for field in dataclasses.fields(Lowering)}
    return table


def reasons(table: dict[str, Any]) -> dict[str, str]:
    return {entry["operator"]: entry["reason"] for entry in table["kept_fp32"]}


def test_an_ordinary_model_keeps_nothing(toy_artifact: Artifact, tmp_path: Path) -> None:
    table = lowered(toy_artifact, tmp_path)
    assert table["kept_fp32"] == []
    assert table["multiplying"]["fp32"] == 0
    model = onnx.load(toy_artifact.onnx)
    assert set(table["largest"]) == {one.name for one in operators(model, weights(model))}
    assert list(table["largest"].values()) == sorted(table["largest"].values(), reverse=True)
    assert max(table["largest"].values()) < 100


def test_a_weight_that_fp16_cannot_hold_keeps_its_operator(scaled: Scaled, tmp_path: Path) -> None:
    table = lowered(scaled(blocks_1_attn_proj_weight=1e7), tmp_path)
    why = reasons(table)
    assert why["blocks.1.attn.proj"].startswith("its weight blocks.1.attn.proj.weight reaches ")
    assert why["blocks.1.attn.proj"].endswith("FP16 ends at 65504")
    stored = weights(onnx.load(tmp_path / "model.onnx"))
    assert stored["blocks.1.attn.proj.weight"].dtype == np.float32
    assert stored["blocks.0.attn.proj.weight_fp16"].dtype == np.float16


def test_an_overflow_between_weights_that_fit_is_seen_and_so_is_who_reads_it(scaled: Scaled, tmp_path: Path) -> None:
    """GELU's FP32 numbers are rounded where the second layer reads them: keeping the first alone mends nothing."""
    why = reasons(lowered(scaled(blocks_1_mlp_fc1_weight=8e4, blocks_1_mlp_fc2_weight=1e-3), tmp_path))
    assert why["blocks.1.mlp.fc1"].startswith("what it gives reaches ")
    assert why["blocks.1.mlp.fc2"].startswith("what it reads reaches ")
    assert set(why) == {"blocks.1.mlp.fc1", "blocks.1.mlp.fc2"}


def test_a_product_of_attention_overflows_too(scaled: Scaled, tmp_path: Path) -> None:
    why = reasons(lowered(scaled(blocks_0_attn_qkv_weight=2000), tmp_path))
    assert why["blocks.0.attn.qk"].startswith("what it gives reaches ")
    assert "blocks.0.attn.qkv" not in why


def test_what_vanishes_is_seen(scaled: Scaled, tmp_path: Path) -> None:
    why = reasons(lowered(scaled(head_weight=1e-7), tmp_path))
    assert "its weight head.weight loses 100%: FP16 has no number between 0 and 6e-08" in why["head"]


def test_bf16_holds_what_fp16_does_not(scaled: Scaled, tmp_path: Path) -> None:
    table = lowered(scaled(blocks_1_mlp_fc1_weight=1e6, head_weight=1e-7), tmp_path, "bf16")
    assert table["kept_fp32"] == []


@pytest.mark.parametrize("keep", [[], ["blocks.0.mlp.fc1"]])
def test_a_list_that_leaves_some_out_is_refused_with_what_it_lacks(
    scaled: Scaled, tmp_path: Path, keep: list[str]
) -> None:
    model = scaled(blocks_1_mlp_fc1_weight=8e4, blocks_1_mlp_fc2_weight=1e-3)
    with pytest.raises(InputError) as error:
        lowered(model, tmp_path, keep=keep)
    whole = [*keep, "blocks.1.mlp.fc1", "blocks.1.mlp.fc2"]
    assert error.value.message.startswith(f"--keep-fp32 {','.join(keep) or 'none'}: fp16 cannot hold blocks.1.mlp.fc1")
    assert error.value.message.endswith(f"leave --keep-fp32 out, or give --keep-fp32 {','.join(whole)}")
    assert reasons(lowered(model, tmp_path, keep=whole))["blocks.1.mlp.fc2"] == "asked for"


def test_true_fp16_finds_what_was_lowered_all_the_same(scaled: Scaled) -> None:
    artifact = scaled(blocks_1_mlp_fc1_weight=8e4, blocks_1_mlp_fc2_weight=1e-3)
    model, inputs = onnx.load(artifact.onnx), reach.images(artifact.preprocessing)
    found = operators(model, weights(model))
    half.lower(model, "fp16", ())
    with pytest.raises(GraphError, match=r"blocks\.1\.mlp\.fc1 gives \d+ numbers that are infinite .* 'seeded 0'"):
        reach.verify(model, inputs, found)


def test_numbers_that_are_none_in_fp32_already_are_no_matter_of_fp16(scaled: Scaled, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="is no finite number in FP32 already"):
        lowered(scaled(blocks_0_mlp_fc1_weight=float("nan")), tmp_path)


@pytest.mark.parametrize(
    ("precision", "largest", "said"), [("fp16", 3e4, True), ("fp16", 1e4, False), ("bf16", 3e4, False)]
)
def test_what_is_close_to_the_end_is_said(precision: str, largest: float, said: bool) -> None:
    lowering = Lowering(multiplying=OperatorCounts(1, 0), kept_fp32=(), largest={"blocks.2.attn.qk": largest})
    expected = ["close to where FP16 ends (65504): blocks.2.attn.qk reaches 3e+04; --keep-fp32 keeps them in FP32"]
    assert reach.notes(precision, lowering) == expected * said


def test_the_user_is_told_and_the_manifest_remembers(toy_toml: Path, tmp_path: Path) -> None:
    arrays = {name: np.array(tensor.read()) for name, tensor in tensors(1, load_spec(toy_toml)).items()}
    arrays["blocks.0.attn.proj.weight"][0, 0] = 7e4
    linear = {name for name, values in arrays.items() if values.ndim == 2 and name.endswith(".weight")}
    laid_out = {name: np.ascontiguousarray(values.T if name in linear else values) for name, values in arrays.items()}
    save_file(laid_out, tmp_path / "mine.safetensors")
    made, _ = obtain(Request(str(toy_toml), str(tmp_path / "mine.safetensors"), "fp16", root=tmp_path / "out"), print)
    (note,) = [text for text in made.manifest.notes if "FP32" in text]
    assert note.startswith("kept in FP32: blocks.0.attn.proj (its weight blocks.0.attn.proj.weight reaches 7e+04")
    assert obtain(Request(str(toy_toml), precision="fp16", root=tmp_path / "out"), print)[1]
