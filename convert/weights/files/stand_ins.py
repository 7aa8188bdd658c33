"""What stands in for the objects of a pickle: data of our own, none of which runs or copies anything.

A name outside of `NAMES` becomes an `Inert`, which holds nothing: calling it, giving it a state or items makes nothing
and leaves it as it is. So an `argparse.Namespace` or the state of a learning-rate schedule is read past, and a tensor
that depends on such an object is none.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from convert.weights.files.index import NotReadError, Span, TensorIndex, checked_shape, itemsize

_STORAGES = {
    "Float": "<f4",
    "Half": "<f2",
    "Double": "<f8",
    "BFloat16": "bfloat16",
    "Long": "<i8",
    "Int": "<i4",
    "Short": "<i2",
    "Char": "|i1",
    "Byte": "|u1",
    "Bool": "|b1",
}


class RefusedError(pickle.UnpicklingError):
    """The pickle asks for something that no checkpoint needs."""


class Inert:
    """An object that was not built. name: of what it would have been."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Blob:
    """Bytes, or a long text, that stay in the file."""

    __slots__ = ("span",)

    def __init__(self, span: Span) -> None:
        self.span = span


class Text(str):
    """A short text, and where it is: before protocol 3 the values of small arrays are texts."""

    __slots__ = ("place",)
    place: tuple[int, int, str]

    @property
    def span(self) -> Span:
        return Span(*self.place)


class Dict(dict[object, object]):
    """Stands in for dict and its kin. Keys are texts, numbers or identities: nothing that hashes what it holds."""

    def put(self, key: object, value: object) -> None:
        """Set an entry; one whose key is of another kind is kept under a key that no name equals."""
        plain = key is None or type(key) in (str, Text, bool) or (type(key) is int and key.bit_length() < 64)
        self[key if plain else Inert(f"a key that is a {type(key).__name__}")] = value


@dataclass
class DType:
    """Stands in for numpy.dtype: called with `f4`, then given a state whose second item is the byte order."""

    code: str
    order: str = "|"

    def restore(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or not isinstance(state[1], str):
            raise NotReadError("a dtype without a byte order")
        self.order = state[1][:1]

    @property
    def text(self) -> str:
        return self.order + self.code


@dataclass
class NDArray:
    """Stands in for numpy.ndarray: what the pickle says of an array, `text` being its dtype such as `<f4`."""

    shape: tuple[int, ...] = ()
    text: str = ""
    fortran: bool = False
    span: Span | None = None

    def restore(self, state: object) -> None:
        """numpy's `ndarray.__reduce__`: (version, shape, dtype, is Fortran order, bytes, or a list of objects)."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise NotReadError("an array whose state is none")
        self.fill(*state[1:])

    def fill(self, shape: object, dtype: object, fortran: object, raw: object) -> None:
        if not isinstance(dtype, (DType, Inert)):
            raise NotReadError("an array's dtype is none")
        self.shape, self.fortran = checked_shape(shape), bool(fortran)
        self.text = dtype.text if isinstance(dtype, DType) else "object"
        self.span = raw.span if isinstance(raw, (Blob, Text)) else None

    def index(self) -> TensorIndex:
        if self.span is None or itemsize(self.text) is None:
            return TensorIndex("object", self.shape, ())
        return TensorIndex(self.text, self.shape, (self.span,), fortran=self.fortran)


@dataclass(frozen=True)
class DataKind:
    """Stands in for a class of torch's storages."""

    dtype: str


@dataclass(frozen=True)
class TorchStorage:
    """A storage of torch, by its key in the file. count: of values."""

    dtype: str
    key: str
    count: int

    @property
    def bytes(self) -> int:
        return self.count * (itemsize(self.dtype) or 0)


@dataclass(frozen=True)
class View:
    """Stands in for a tensor of torch: which values of a storage, in which order."""

    storage: TorchStorage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def storage(pid: object) -> TorchStorage:
    """Of ("storage", class, key, device, count) and, in the older format, None for "no view of another storage"."""
    match pid:
        case ("storage", DataKind(dtype), str(key), str(), int(count), *view) if 0 <= count < 1 << 48 and not any(view):
            return TorchStorage(dtype, str(key), count)
        case ("storage", Inert() as kind, str(key), str(), int(count), *_):
            return TorchStorage(kind.name, str(key), count)
    raise NotReadError("a tensor without a plain storage")


def _reconstruct(*_: object) -> NDArray:
    """numpy's: an empty array, which a state fills afterwards."""
    return NDArray()


def _frombuffer(raw: object, dtype: object, shape: object, order: object) -> NDArray:
    """numpy's for pickle protocol 5: the whole array at once."""
    array = NDArray()
    array.fill(shape, dtype, order == "F", raw)
    return array


def _dtype(code: object, *_: object) -> DType:
    return DType(str(code) if isinstance(code, Text) and len(code) < 8 else "?")


def _class(*_: object) -> object:
    """The class as an argument of `_reconstruct`: it is named, never called."""
    raise RefusedError("it calls numpy.ndarray")


def _encode(text: object, encoding: object) -> Blob:
    """`_codecs.encode`, by which protocols 0 to 2 write bytes: only as latin1, so that no codec is looked up."""
    if not isinstance(text, (Text, Blob)) or encoding not in ("latin1", "latin-1"):
        raise RefusedError("it asks for a codec other than latin1")
    return Blob(text.span)


def _rebuild_tensor(storage: object, offset: object, shape: object, stride: object, *_: object) -> object:
    """torch's `_rebuild_tensor_v2`; what follows (gradient, hooks, metadata) concerns training."""
    if not isinstance(storage, TorchStorage):
        raise NotReadError("a tensor without a storage")
    sides, steps = checked_shape(shape), stride
    whole = (offset, *steps) if isinstance(steps, tuple) and len(steps) == len(sides) else (None,)
    if any(type(number) is not int or not 0 <= number < 1 << 48 for number in whole):
        raise NotReadError("a tensor whose offset, size or stride are no whole numbers")
    offset, steps = cast(int, offset), cast(tuple[int, ...], steps)
    last = offset + sum((side - 1) * step for side, step in zip(sides, steps, strict=True))
    if math.prod(sides) and last >= storage.count:
        raise NotReadError("a tensor that reaches beyond its storage")
    return View(storage, offset, sides, steps)


def _rebuild_parameter(view: object, *_: object) -> object:
    """torch's: a parameter is its tensor."""
    return view


def _ordered(*items: object) -> Dict:
    """An OrderedDict is pickled empty and then filled, or, before protocol 2, from a list of pairs."""
    found = Dict()
    for pair in items[0] if items and isinstance(items[0], list) else ():
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise NotReadError("a dictionary of something else than pairs")
        found.put(*pair)
    return found


def _defaultdict(*_: object) -> Dict:
    """It is filled afterwards. What would make its missing values is left out."""
    return Dict()


def _number(*_: object) -> Inert:
    """A numpy scalar: no tensor, and nothing that a model needs."""
    return Inert("a number")


def _tuple(items: object = ()) -> tuple[object, ...]:
    """`paddle.save` writes a tensor as `tuple((name, array))`."""
    if not isinstance(items, (tuple, list)):
        raise NotReadError("a tuple of something else than items")
    return tuple(items)


Function = Callable[..., object]

# "module.name" to what stands in for it.
NAMES: Mapping[str, Function | DataKind] = {
    "collections.OrderedDict": _ordered,
    "collections.defaultdict": _defaultdict,
    "builtins.tuple": _tuple,
    "__builtin__.tuple": _tuple,  # Python 2's name, which protocols 0 to 2 use
    "_codecs.encode": _encode,
    "numpy.ndarray": _class,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy.core.numeric._frombuffer": _frombuffer,
    "numpy._core.numeric._frombuffer": _frombuffer,
    "numpy.core.multiarray.scalar": _number,
    "numpy._core.multiarray.scalar": _number,
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    **{f"torch.{name}Storage": DataKind(dtype) for name, dtype in _STORAGES.items()},
}
TAKING_ANYTHING = (_defaultdict, _number)  # for these it does not matter whether an argument was built
COPYING = (_tuple, _ordered)  # these copy what they are given, and a pickle can ask for that again and again

# Who asks for these means to run something, and is told so at once. None of it would run: this is no list that safety
# rests on, which is why it need not be complete.
_PLAIN_BUILTINS = (
    *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "range", "set"),
    *("slice", "str", "tuple"),
)
_REACHING = re.compile(
    r"(_?posix|_?nt|os|sys|subprocess|_posixsubprocess|shutil|socket|pty|_?ctypes|code|codeop|runpy|importlib|imp|_?pickle|"
    r"marshal|webbrowser|commands|asyncio|multiprocessing|signal|pip|urllib|requests|http|tempfile|_?operator|pdb|bdb|"
    r"timeit|cProfile|profile|torch\.hub)(\.|$)"
)
_RUNNING = (
    *("eval", "exec", "execfile", "compile", "system", "popen", "spawn", "run", "load", "loads", "getattr", "setattr"),
    "__import__",
)


def reaches_out(module: str, name: str) -> bool:
    """Whether a name is what hostile pickles ask for: of a module that reaches the system, or one that runs text."""
    if module in ("builtins", "__builtin__"):
        return name not in _PLAIN_BUILTINS
    return bool(_REACHING.match(module)) or name.rsplit(".", 1)[-1] in _RUNNING
