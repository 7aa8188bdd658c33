from __future__ import annotations

import collections
import contextlib
import io
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from convert.weights import unpickle
from convert.weights.tensors import Array


def load(data: bytes) -> Any:
    return unpickle.load(io.BytesIO(data), unpickle.NUMPY)


class Call:
    """Pickles as a call of anything."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.reduced


numbers = st.one_of(
    arrays.floating_dtypes(sizes=(16, 32, 64), endianness="?"), arrays.integer_dtypes(endianness="?"), st.just("bool")
)


@given(
    array=arrays.arrays(numbers, arrays.array_shapes(max_dims=4, max_side=4)),
    protocol=st.integers(0, pickle.HIGHEST_PROTOCOL),
    fortran=st.booleans(),
)
def test_arrays_come_back_from_every_protocol(array: Array, protocol: int, fortran: bool) -> None:
    array = np.asfortranarray(array) if fortran else array
    found = load(pickle.dumps({"a": array, "twice": (array, array)}, protocol))
    assert found["twice"][0] is found["twice"][1]
    assert found["a"].shape == array.shape
    assert found["a"].dtype == array.dtype.name
    assert found["a"].load().tobytes() == array.astype(array.dtype.newbyteorder("=")).tobytes() or np.array_equal(
        found["a"].load(), array, equal_nan=array.dtype.kind == "f"
    )


def test_arrays_by_the_names_of_numpy_1() -> None:
    data = pickle.dumps(np.arange(3.0), 2)
    assert b"numpy._core.multiarray" in data
    assert load(data.replace(b"numpy._core.", b"numpy.core.")).load().tolist() == [0, 1, 2]


def test_bytes_of_a_pickle_by_python_2() -> None:
    """There an array's content is a str: BINSTRING rather than an encoded text."""
    content = np.array([1.5, -2], "<f4").tobytes()
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"T" + struct.pack("<i", len(content)) + content + b"tb."
    )
    assert load(data).load().tolist() == [1.5, -2]


def test_a_pair_of_name_and_array_and_an_ordered_dict() -> None:
    """How `paddle.save` writes a tensor, and a state dict's type; the attribute is what torch leaves on one."""
    ordered: Any = collections.OrderedDict(weight=Call(tuple, ("linear_0.w_0", np.ones(2))))
    ordered._metadata = {"version": 1}
    for protocol in range(6):
        found = load(pickle.dumps(ordered, protocol))
        assert found["weight"][0] == "linear_0.w_0"
        assert found["weight"][1].load().tolist() == [1, 1]
        assert not vars(found)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, f"{os.name}.system"), (exec, "exec"), (eval, "eval"), (getattr, "getattr"), (np.load, "load")],
)
def test_any_other_name_is_refused(function: Callable[..., object], name: str, protocol: int, tmp_path: Path) -> None:
    target = tmp_path / "made"
    data = pickle.dumps({"a": Call(function, f"echo > {target}")}, protocol)
    with pytest.raises(unpickle.RefusedError, match=rf"it asks for \S*{name}"):
        load(data)
    assert not target.exists()


def test_a_codec_other_than_latin1_is_refused() -> None:
    import _codecs

    with pytest.raises(unpickle.RefusedError, match="latin1"):
        load(pickle.dumps(Call(_codecs.encode, "eval", "idna"), 2))


def test_persistent_ids_are_refused_unless_asked_for() -> None:
    data = b"\x80\x02X\x01\x00\x00\x00kQ."
    with pytest.raises(pickle.UnpicklingError, match="outside itself"):
        load(data)
    assert unpickle.load(io.BytesIO(data), {}, lambda pid: ("got", pid)) == ("got", "k")


@pytest.mark.parametrize("name", ["numpy.core.multiarray\n_reconstruct", "collections\nOrderedDict", "numpy\ndtype"])
def test_no_attribute_of_a_stand_in_can_be_set(name: str) -> None:
    """BUILD with (None, {attribute: value}) sets attributes on whatever has no state of its own."""
    data = b"\x80\x02c" + name.encode() + b"\nN}X\x08\x00\x00\x00__init__K\x01s\x86b."
    with pytest.raises(unpickle.RefusedError, match="sets the state"):
        load(data)


def test_the_class_of_arrays_is_named_but_not_called() -> None:
    with pytest.raises(unpickle.RefusedError, match=r"calls numpy\.ndarray"):
        load(pickle.dumps(Call(np.ndarray, (1 << 40,)), 2))


def test_an_array_of_objects_is_not_loaded() -> None:
    array = load(pickle.dumps(np.array([None, "a"], object)))
    assert array.dtype == "object"
    with pytest.raises(pickle.UnpicklingError, match="objects"):
        array.load()


def test_too_few_bytes_for_the_shape() -> None:
    data = pickle.dumps(np.arange(4, dtype="f4"), 2).replace(b"K\x04\x85", b"K\x05\x85")
    with pytest.raises(pickle.UnpicklingError, match="do not fill"):
        load(data).load()


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04Nr\xff\xff\xff\xff.",  # LONG_BINPUT: the C unpickler would allocate 64 GiB for it
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",  # BYTEARRAY8 of 1 TiB
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b".",  # BINBYTES8
        b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b".",  # FRAME
    ],
)
def test_a_length_that_is_a_lie_takes_no_memory(data: bytes) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(Exception):  # whether there is one, and which, does not matter here
        load(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB


@given(st.binary(max_size=200))
def test_arbitrary_bytes_end_in_an_exception_or_in_data(data: bytes) -> None:
    """Not in a crash, and not in an object of a type that is not one of ours or Python's plain ones."""
    try:
        found = load(data)
    except Exception:
        return
    plain = (type(None), bool, int, float, str, bytes, list, tuple, dict, set, frozenset)
    assert isinstance(found, (*plain, unpickle.DType, unpickle.NDArray)) or found in unpickle.NUMPY.values()
