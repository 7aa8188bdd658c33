"""A Paddle program in other number types: half-precision parameters are widened, descriptions are read back."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.export import retype
from convert.export.protobuf import VARINT, key, varint
from convert.export.retype import BF16, FP16, FP32, UINT8, NumberType


def parameter_file(path: Path, kind: NumberType, array: np.ndarray) -> Path:
    description = key(1, VARINT) + varint(kind.code) + b"".join(key(2, VARINT) + varint(n) for n in array.shape)
    path.write_bytes(struct.pack("<IQIi", 0, 0, 0, len(description)) + description + array.tobytes())
    return path


@pytest.mark.parametrize("kind", [BF16, FP16, UINT8])
def test_parameters_are_widened_to_the_same_numbers(tmp_path: Path, kind: NumberType) -> None:
    values = np.array([[0.5, 3, 2], [7, 0, 1.5]]).astype(getattr(ml_dtypes, kind.name, None) or kind.name)
    target = io.BytesIO()
    assert retype.copy_parameters(parameter_file(tmp_path / "p", kind, values), target, {kind: FP32}) == 1
    expected = parameter_file(tmp_path / "q", FP32, values.astype(np.float32)).read_bytes()
    assert target.getvalue() == expected


def test_a_program_is_rewritten_in_its_tensors_and_attributes() -> None:
    program = [{"#": "1.cast", "A": [{"AT": {"#": "1.a_dtype", "D": "bfloat16"}}], "O": [{"TT": {"#": "0.t_bf16"}}]}]
    expected = [{"#": "1.cast", "A": [{"AT": {"#": "1.a_dtype", "D": "float32"}}], "O": [{"TT": {"#": "0.t_f32"}}]}]
    assert retype.rewrite(program, {BF16: FP32}) == expected


@given(st.sampled_from(sorted(retype._ITEM_BYTES)), st.lists(st.integers(0, 2**40), max_size=6))
def test_a_description_is_read_back(data_type: int, sizes: list[int]) -> None:
    data = key(1, VARINT) + varint(data_type) + b"".join(key(2, VARINT) + varint(size) for size in sizes)
    assert retype._describe(data) == (data_type, tuple(sizes))


@given(st.binary(max_size=30))
def test_any_bytes_are_a_description_or_an_error(data: bytes) -> None:
    try:
        data_type, _ = retype._describe(data)
    except ValueError:
        return
    assert data_type in retype._ITEM_BYTES
