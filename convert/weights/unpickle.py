"""Pickles read as data: of what a pickle asks for, only what arrays need is given, as stand-ins of our own.

A pickle is a program: it imports any name and calls it. Here a name outside a short list ends the reading, and the
names on the list do not lead to numpy or torch but to the harmless classes of this file and of the caller.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar

import numpy as np

from convert.weights.tensors import Array, Shape

Names = Mapping[str, object]  # "module.name" to what stands in for it

_NUMBERS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")


class RefusedError(pickle.UnpicklingError):
    """The pickle asks for something that no checkpoint needs."""


class Dict(dict[object, object]):
    """Stands in for collections.OrderedDict, whose state would put attributes of the pickle's choice on the object."""

    def __setstate__(self, state: object) -> None:
        """torch's `_metadata` arrives here and is dropped."""


class DType:
    """Stands in for numpy.dtype: `DType("f4", ...)`, then a state whose second item is the byte order."""

    def __init__(self, code: str, *_: object) -> None:
        self.code, self.order = str(code), "|"

    def __setstate__(self, state: tuple[object, ...]) -> None:
        self.order = str(state[1])

    @property
    def text(self) -> str:
        return self.order + self.code


@dataclass
class NDArray:
    """Stands in for numpy.ndarray: what the pickle says of an array, `text` being its dtype such as `<f4`."""

    shape: Shape = ()
    text: str = ""
    fortran: bool = False
    raw: object = b""  # bytes, or text that stands for them in latin1

    def __setstate__(self, state: tuple[object, ...]) -> None:
        """numpy's `ndarray.__reduce__`: (version, shape, dtype, is Fortran order, bytes, or a list of objects)."""
        _, shape, dtype, fortran, raw = state
        self._fill(shape, dtype, bool(fortran), raw)

    def _fill(self, shape: object, dtype: object, fortran: bool, raw: object) -> None:
        if not isinstance(shape, tuple) or any(type(side) is not int or side < 0 for side in shape):
            raise pickle.UnpicklingError("an array's shape is no tuple of whole numbers")
        if not isinstance(dtype, DType):
            raise pickle.UnpicklingError("an array's dtype is none")
        self.shape, self.text, self.fortran, self.raw = shape, dtype.text, fortran, raw

    @property
    def dtype(self) -> str:
        """numpy's name of the dtype, `object` for anything but plain numbers."""
        return np.dtype(self.text).name if self.text[:1] in "<>|=" and self.text[1:] in _NUMBERS else "object"

    def load(self) -> Array:
        """The array itself, a read-only view of the pickle's bytes where it has such."""
        if self.dtype == "object":
            raise pickle.UnpicklingError("an array of objects")
        raw = self.raw.encode("latin1") if isinstance(self.raw, str) else self.raw
        dtype = np.dtype(self.text)
        if not isinstance(raw, (bytes, bytearray)) or len(raw) != math.prod(self.shape) * dtype.itemsize:
            raise pickle.UnpicklingError(f"its bytes do not fill an array of shape {self.shape} and dtype {dtype}")
        return np.frombuffer(raw, dtype).reshape(self.shape, order="F" if self.fortran else "C")


def _reconstruct(*_: object) -> NDArray:
    """numpy's: an empty array, which a state fills afterwards."""
    return NDArray()


def _frombuffer(raw: object, dtype: object, shape: object, order: object) -> NDArray:
    """numpy's for pickle protocol 5: the whole array at once."""
    array = NDArray()
    array._fill(shape, dtype, order == "F", raw)
    return array


def _ndarray(*_: object) -> object:
    """The class as an argument of `_reconstruct`: it is named, never called."""
    raise RefusedError("it calls numpy.ndarray")


def _encode(text: object, encoding: object) -> object:
    """`_codecs.encode`, by which protocols 0 to 2 write bytes: only as latin1, so that no codec is looked up.

    The text stays text until an array is read: encoded here, all bytes of the file would be in memory twice.
    """
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise RefusedError("it asks for a codec other than latin1")
    return text


def _tuple(items: object = ()) -> tuple[object, ...]:
    """`paddle.save` writes a tensor as `tuple((name, array))`."""
    if not isinstance(items, (tuple, list)):
        raise pickle.UnpicklingError("a tuple of something else than items")
    return tuple(items)


COLLECTIONS: Names = {"collections.OrderedDict": Dict}

NUMPY: Names = {
    **COLLECTIONS,
    "builtins.tuple": _tuple,
    "__builtin__.tuple": _tuple,  # Python 2's name, which protocols 0 to 2 use
    "_codecs.encode": _encode,
    "numpy.ndarray": _ndarray,
    "numpy.dtype": DType,
    "numpy.core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy.core.numeric._frombuffer": _frombuffer,
    "numpy._core.numeric._frombuffer": _frombuffer,
}


def load(stream: BinaryIO, names: Names, persistent: Callable[[object], object] | None = None) -> object:
    """The object of the next pickle in `stream`, which is left behind its end.

    persistent: what a persistent id stands for; without it there must be none. Raises RefusedError when the pickle asks
    for a name that is not in `names`, and some other exception, whichever comes of it, when it is damaged or none.
    """
    return _Unpickler(stream, names, persistent).load()


# Instructions that arrays do without: other ways to call and to import, and buffers handed over beside the pickle.
_UNNEEDED = b"io\x81\x92\x82\x83\x84\x97\x98"  # INST OBJ NEWOBJ NEWOBJ_EX EXT1 EXT2 EXT4 NEXT_BUFFER READONLY_BUFFER


class _Unpickler(pickle._Unpickler):
    """The unpickler that the standard library has in Python, because the one in C can be made to exhaust the memory.

    There the five bytes of a LONG_BINPUT allocate 64 GiB; here the memo is a dict.
    """

    dispatch: ClassVar[dict[int, Any]] = {
        code: method for code, method in pickle._Unpickler.dispatch.items() if code not in _UNNEEDED
    }
    stack: list[Any]
    read: Callable[[int], bytes]
    append: Callable[[object], None]

    def __init__(self, stream: BinaryIO, names: Names, persistent: Callable[[object], object] | None) -> None:
        super().__init__(stream, encoding="latin1")
        self._names, self._persistent, self._stream = names, persistent, stream

    def find_class(self, module: str, name: str) -> object:
        try:
            return self._names[f"{module}.{name}"]
        except KeyError:
            raise RefusedError(f"it asks for {module}.{name}") from None

    def persistent_load(self, pid: object) -> object:
        if self._persistent is None:
            raise pickle.UnpicklingError("it points to data outside itself")
        return self._persistent(pid)

    def _load_build(self) -> None:
        """BUILD, for stand-ins only: on anything else it would set attributes."""
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, (Dict, DType, NDArray)):
            raise RefusedError(f"it sets the state of a {type(target).__name__}")
        target.__setstate__(state)

    def _load_bytearray8(self) -> None:
        """BYTEARRAY8, read before it is allocated: the length may be a lie."""
        size = int.from_bytes(self.read(8), "little")
        data = self.read(size)
        if len(data) != size:
            raise pickle.UnpicklingError("it ends within an array")
        self.append(data)

    dispatch[pickle.BUILD[0]] = _load_build
    dispatch[pickle.BYTEARRAY8[0]] = _load_bytearray8
