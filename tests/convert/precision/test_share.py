"""How much of a graph a lower precision takes, by multiply-accumulates."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from convert.artifact import Artifact
from convert.build import Request, obtain
from convert.common.errors import InputError
from convert.precision import share
from convert.precision.operators import Operator, operators, weights
from convert.precision.table import BF16, INT8, percent

COUNTED = {"stem": 60, "body": 30, "head": 10}
OPERATORS = [
    Operator("stem", "Conv", "a", "a.weight", 0, ("x",)),
    Operator("body", "MatMul", "b", None, 0, ("a", "a")),
    Operator("head", "MatMul", "c", "c.weight", 1, ("b",)),
]


def test_each_operator_is_counted_and_all_of_them_are_the_model(toy_artifact: Artifact) -> None:
    model = onnx.load(toy_artifact.onnx)
    found = operators(model, weights(model))
    counted = share.macs(model, found)
    assert sum(counted.values()) == toy_artifact.manifest.macs.computed
    assert counted["patch_embed.proj"] == 16 * 16 * (3 * 8 * 8)
    assert counted["blocks.0.mlp.fc1"] == 17 * 16 * 48
    assert counted["blocks.0.attn.qk"] == 2 * 17 * 17 * 8


@pytest.mark.parametrize(
    ("precision", "lowered", "kept", "said"),
    [
        (
            BF16,
            ["head"],
            {},
            "bf16 lowered 1 of 3 operators, 10 % of the arithmetic: FP32 stays stem (60 %, a Conv, which",
        ),
        (BF16, ["head", "body"], {"stem": "asked for"}, "40 % of the arithmetic: FP32 stays stem (60 %, asked for)"),
        (INT8, ["head"], {"stem": "2.1 dB"}, "stem (60 %, 2.1 dB), body (30 %, a product of two activations)"),
    ],
)
def test_less_than_half_is_refused_and_what_stayed_is_named(
    precision: str, lowered: list[str], kept: dict[str, str], said: str
) -> None:
    with pytest.raises(InputError) as refused:
        share.check(precision, lowered, OPERATORS, kept, COUNTED)
    assert said in str(refused.value)


def test_more_than_half_is_taken_and_so_is_what_nobody_counted() -> None:
    share.check(INT8, ["stem"], OPERATORS, {}, COUNTED)
    share.check(INT8, ["head"], OPERATORS, {}, {})


def test_what_is_kept_on_request_is_no_lower_precision(toy_toml: Path, toy_root: Path, toy_artifact: Artifact) -> None:
    kept = ("patch_embed.proj", "blocks.0.mlp.fc1", "blocks.0.mlp.fc2", "blocks.0.attn.qkv")
    with pytest.raises(InputError, match=r"fp16 lowered .* of the arithmetic: FP32 stays patch_embed.proj .*asked for"):
        obtain(Request(str(toy_toml), "seeded:1", "fp16", root=toy_root, keep_fp32=kept), print)


def test_a_search_keeps_no_more_than_that() -> None:
    assert share.keepable(["head", "body", "stem"], COUNTED) == ["head", "body"]
    assert share.keepable(["stem", "head", "body"], COUNTED) == ["head", "body"]
    assert share.keepable(["stem", "head"], {}) == ["stem", "head"]


def test_shares_for_people() -> None:
    assert [percent(one) for one in (0.0, 0.0004, 0.03, 0.811, 1.0)] == ["0 %", "0.04 %", "3 %", "81 %", "100 %"]
