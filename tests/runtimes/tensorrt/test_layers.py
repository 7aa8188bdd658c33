"""What TensorRT writes of its layers, over the versions, is read as the same few types."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.base import UnavailableError
from runtimes.tensorrt.layers import names, precision, read


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Float", ["f32"]),
        ("Row major linear FP32", ["f32"]),
        ("Half", ["f16"]),
        ("Channel major FP16 format where channel % 8 == 0", ["f16"]),
        ("Float16", ["f16"]),
        ("BFloat16", ["bf16"]),
        ("Row major linear BF16 format", ["bf16"]),
        ("Thirty-two wide channel vectorized row major Int8 format.", ["int8"]),
        ("HALF", ["f16"]),
        ("BF16", ["bf16"]),
        ("Int64", []),
        ("UINT8", []),
        ("N/A due to dynamic shapes", []),
    ],
)
def test_types_are_known_by_all_their_names(text: str, found: list[str]) -> None:
    assert names([text]) == found


def test_layers_are_counted_by_what_they_take_and_put_out() -> None:
    half, single = {"Format/Datatype": "Half"}, {"Format/Datatype": "Float"}
    layers = [
        {"Name": "a", "Inputs": [single], "Outputs": [half, half]},
        {"Name": "b", "Inputs": [], "Outputs": [half], "Weights": {"Type": "Int8", "Count": 3}},
        {"Name": "c", "Outputs": None, "TacticName": "sm80_xmma_gemm_f32f32_tf32f32_f32_tn_n_tilesize64"},
        "a name alone",
    ]
    found = read(json.dumps({"Layers": layers, "Bindings": ["x"]}))
    assert (found.count, found.types, found.tf32) == (4, {"f32": 1, "f16": 2, "int8": 1}, ("c",))


def test_tf32_in_the_name_of_a_layer_is_no_kernel() -> None:
    assert read(json.dumps({"Layers": [{"Name": "tf32_block"}]})).tf32 == ()


def test_a_control_character_in_a_name_is_no_error() -> None:
    assert read('{"Layers": ["a\tb"]}').count == 1


@pytest.mark.parametrize(
    ("types", "tf32", "expected"),
    [
        (["f32"], False, "fp32"),
        (["f32"], True, "tf32"),
        (["f32", "f16"], True, "fp16"),
        (["int8", "f32"], False, "int8"),
    ],
)
def test_the_lowest_type_is_the_precision(types: list[str], tf32: bool, expected: str) -> None:
    assert precision(types, tf32) == expected


def test_without_a_type_nothing_is_said() -> None:
    with pytest.raises(UnavailableError, match="reports no precision"):
        precision([], tf32=True)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
_LAYER = st.dictionaries(st.sampled_from(["Name", "Weights", "TacticName", "TacticValue", "Metadata"]), _VALUES)


@given(st.lists(st.text() | _LAYER))
def test_whatever_a_layer_holds_is_read(layers: list[object]) -> None:
    assert read(json.dumps({"Layers": layers})).count == len(layers)
