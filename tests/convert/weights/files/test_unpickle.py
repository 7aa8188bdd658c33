from __future__ import annotations

import argparse
import collections
import contextlib
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from convert.weights.files.index import NotReadError
from convert.weights.files.load import stored
from convert.weights.files.reader import Budget, Reader
from convert.weights.files.stand_ins import Blob, Dict, DType, Inert, NDArray, RefusedError, Text
from convert.weights.files.unpickle import load
from convert.weights.tensors import Array

PLAIN = (type(None), bool, int, float, Text, Blob, list, tuple, Dict, DType, NDArray, Inert)


class Unpickled:
    """A pickle as a file: its object, what was read past, and its arrays."""

    def __init__(self, folder: Path, data: bytes, persistent: Callable[[object], object] | None = None) -> None:
        self.path = folder / "a.pkl"
        self.path.write_bytes(data)
        with self.path.open("rb") as stream:
            self.reader = Reader(stream, 0, len(data), Budget(), persistent)
            self.content: Any = load(self.reader)

    def array(self, found: Any) -> Array:
        assert isinstance(found, NDArray)
        return stored(self.path, found.index()).load()


class Call:
    """Pickles as a call of anything."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.reduced


numbers = st.one_of(
    arrays.floating_dtypes(sizes=(16, 32, 64), endianness="?"), arrays.integer_dtypes(endianness="?"), st.just("bool")
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    array=arrays.arrays(numbers, arrays.array_shapes(max_dims=4, max_side=4)),
    protocol=st.integers(0, pickle.HIGHEST_PROTOCOL),
    fortran=st.booleans(),
)
def test_arrays_come_back_from_every_protocol(tmp_path: Path, array: Array, protocol: int, fortran: bool) -> None:
    array = np.asfortranarray(array) if fortran else array
    found = Unpickled(tmp_path, pickle.dumps({"a": array, "twice": (array, array)}, protocol))
    assert found.content["twice"][0] is found.content["twice"][1]
    loaded = found.array(found.content["a"])
    assert loaded.shape == array.shape
    assert loaded.dtype.name == array.dtype.name
    assert np.array_equal(loaded, array, equal_nan=array.dtype.kind == "f")


@pytest.mark.parametrize("protocol", range(6))
def test_long_contents_stay_in_the_file(tmp_path: Path, protocol: int) -> None:
    array = np.random.default_rng(0).standard_normal((300, 100))
    found = Unpickled(tmp_path, pickle.dumps([array, "x" * 5000], protocol))
    assert np.array_equal(found.array(found.content[0]), array)
    assert isinstance(found.content[1], Blob)


def test_arrays_by_the_names_of_numpy_1(tmp_path: Path) -> None:
    data = pickle.dumps(np.arange(3.0), 2)
    assert b"numpy._core.multiarray" in data
    found = Unpickled(tmp_path, data.replace(b"numpy._core.", b"numpy.core."))
    assert found.array(found.content).tolist() == [0, 1, 2]


@pytest.mark.parametrize("long", [True, False])
def test_bytes_of_a_pickle_by_python_2(tmp_path: Path, long: bool) -> None:
    """There an array's content is a str: BINSTRING rather than an encoded text, or STRING in protocol 0."""
    content = np.array([1.5, -2], "<f4").tobytes()
    text = b"T" + struct.pack("<i", len(content)) + content
    if not long:
        text = b"S" + repr(content)[1:].encode() + b"\n"
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + text
        + b"tb."
    )
    found = Unpickled(tmp_path, data)
    assert found.array(found.content).tolist() == [1.5, -2]


def test_a_pair_of_name_and_array_and_an_ordered_dict(tmp_path: Path) -> None:
    """How `paddle.save` writes a tensor, and a state dict's type; the attribute is what torch leaves on one."""
    ordered: Any = collections.OrderedDict(weight=Call(tuple, ("linear_0.w_0", np.ones(2))))
    ordered._metadata = {"version": 1}
    for protocol in range(6):
        found = Unpickled(tmp_path, pickle.dumps(ordered, protocol))
        assert found.content["weight"][0] == "linear_0.w_0"
        assert found.array(found.content["weight"][1]).tolist() == [1, 1]
        assert not vars(found.content)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, f"{os.name}.system"), (exec, "exec"), (eval, "eval"), (getattr, "getattr"), (np.load, "load")],
)
def test_what_reaches_out_is_refused(function: Callable[..., object], name: str, protocol: int, tmp_path: Path) -> None:
    target = tmp_path / "made"
    data = pickle.dumps({"a": Call(function, f"echo > {target}")}, protocol)
    with pytest.raises(RefusedError, match=rf"it asks for \S*{name}"):
        Unpickled(tmp_path, data)
    assert not target.exists()


class Noisy:
    """An object whose making, state, items and reading would all show."""

    made = 0

    def __init__(self) -> None:
        self.value = 1

    def __setstate__(self, state: object) -> None:
        Noisy.made += 1

    def __reduce__(self) -> Any:
        return _make, (), {"value": 1}, iter([1, 2]), iter([("a", 1)])

    def append(self, item: object) -> None:
        Noisy.made += 1

    __setitem__ = extend = append


def _make() -> Noisy:
    Noisy.made += 1
    return Noisy()


@pytest.mark.parametrize("protocol", range(6))
def test_other_objects_are_read_past_and_not_built(tmp_path: Path, protocol: int) -> None:
    state: Any = collections.defaultdict(list)
    state[0] = np.ones(3)
    content = {
        "args": argparse.Namespace(lr=0.1),
        "noisy": Noisy(),
        "scalar": np.float64(0.5),
        "best": collections.Counter("aab"),
        "sets": [{1, 2}, frozenset((3,))],
        "state": state,
        "last": 7,
    }
    found = Unpickled(tmp_path, pickle.dumps(content, protocol))
    assert Noisy.made == 0
    assert isinstance(found.content["args"], Inert)
    assert found.content["last"] == 7
    assert found.array(found.content["state"][0]).tolist() == [1, 1, 1]
    assert f"{__name__}._make" in found.reader.unread
    assert not any("numpy" in name for name in found.reader.unread)


def test_a_tensor_that_depends_on_an_inert_object_is_none(tmp_path: Path) -> None:
    class Special(np.ndarray):
        pass

    Special.__qualname__, Special.__module__ = "Special", __name__
    globals()["Special"] = Special
    found = Unpickled(tmp_path, pickle.dumps({"a": np.ones(2).view(Special), "b": np.ones(2)}, 2))
    assert isinstance(found.content["a"], Inert)
    assert isinstance(found.content["b"], NDArray)


def test_a_codec_other_than_latin1_is_refused(tmp_path: Path) -> None:
    import _codecs

    with pytest.raises(RefusedError, match="latin1"):
        Unpickled(tmp_path, pickle.dumps(Call(_codecs.encode, "eval", "idna"), 2))


def test_persistent_ids_are_refused_unless_asked_for(tmp_path: Path) -> None:
    data = b"\x80\x02X\x01\x00\x00\x00kQ."
    with pytest.raises(NotReadError, match="outside itself"):
        Unpickled(tmp_path, data)
    assert Unpickled(tmp_path, data, lambda pid: ("got", pid)).content == ("got", "k")


@pytest.mark.parametrize("value", [b"(l", b"K\x05", b"N", b")", b"X\x01\x00\x00\x00k"])
def test_no_attribute_of_anything_can_be_set(tmp_path: Path, value: bytes) -> None:
    """BUILD with (None, {attribute: value}) sets attributes on whatever has no state of its own."""
    with pytest.raises(RefusedError, match="sets the state"):
        Unpickled(tmp_path, b"\x80\x02" + value + b"N}X\x08\x00\x00\x00__init__K\x01s\x86b.")


def test_the_class_of_arrays_is_named_but_not_called(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"calls numpy\.ndarray"):
        Unpickled(tmp_path, pickle.dumps(Call(np.ndarray, (1 << 40,)), 2))


def test_an_array_of_objects_is_not_loaded(tmp_path: Path) -> None:
    found = Unpickled(tmp_path, pickle.dumps(np.array([None, "a"], object)))
    with pytest.raises(NotReadError, match="object"):
        found.array(found.content)


@pytest.mark.parametrize("count", [b"\x05", b"\x03"])
def test_bytes_that_are_not_those_of_the_shape(tmp_path: Path, count: bytes) -> None:
    found = Unpickled(tmp_path, pickle.dumps(np.arange(4, dtype="f4"), 2).replace(b"K\x04\x85", b"K" + count + b"\x85"))
    with pytest.raises(NotReadError, match="do not fill"):
        found.array(found.content)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04Nr\xff\xff\xff\xff.",  # LONG_BINPUT: the C unpickler would allocate 64 GiB for it
        b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",  # BYTEARRAY8 of 1 TiB
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b".",  # BINBYTES8
        b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b".",  # FRAME
    ],
)
def test_a_length_that_is_a_lie_takes_no_memory(tmp_path: Path, data: bytes) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with contextlib.suppress(NotReadError, IndexError):  # whether there is one, and which, does not matter here
        Unpickled(tmp_path, data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_end_in_an_exception_or_in_data(tmp_path: Path, data: bytes) -> None:
    """Not in a crash, and not in an object of a type that is not one of ours or Python's plain ones."""
    try:
        found = Unpickled(tmp_path, data)
    except Exception:
        return
    assert isinstance(found.content, PLAIN) or callable(found.content)
