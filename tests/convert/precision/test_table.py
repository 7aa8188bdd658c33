"""The table of precisions holds together."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto

from convert.precision.table import CONVERTED, FP32, INT8, NAMES, PRECISIONS, Precision, lowest

ENTRIES = PRECISIONS.values()


def test_they_go_from_high_to_low() -> None:
    assert NAMES == ("fp32", "tf32", "fp16", "bf16", "int8")
    roundoffs = [entry.unit_roundoff for entry in ENTRIES]
    assert roundoffs == sorted(roundoffs)
    assert CONVERTED == ("fp16", "bf16", "int8")
    assert [entry.name for entry in ENTRIES if entry.calibrated] == [INT8]


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_an_entry_is_of_one_type(entry: Precision) -> None:
    assert np.dtype(entry.dtype).itemsize == entry.bytes
    assert {TensorProto.DataType.Name(TensorProto.DataType.Value(name)) for name in entry.onnx_types} == set(
        entry.onnx_types
    )
    assert entry.artifact in NAMES
    if entry.dtype.endswith("16") or entry.name == FP32:
        assert entry.unit_roundoff == float(ml_dtypes.finfo(entry.dtype).eps) / 2  # type: ignore[no-untyped-call]


def test_marks_and_names_tell_them_apart() -> None:
    aliases = [alias for entry in ENTRIES for alias in entry.aliases]
    assert len(aliases) == len(set(aliases))
    assert len({entry.shape for entry in ENTRIES}) == len({entry.dashes for entry in ENTRIES}) == len(NAMES)


def test_the_lowest_of_the_types_that_layers_compute_in() -> None:
    assert lowest(["f32", "int64", "bf16"]) == "bf16"
    assert lowest(["float", "u8"]) == INT8
    assert lowest(["int64"]) is None
