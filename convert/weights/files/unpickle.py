"""Pickles read as data: of what a pickle asks for, only what arrays need is given, as stand-ins of our own.

A pickle is a program: it imports any name and calls it. Here it builds `stand_ins` only. A name that hostile pickles
ask for ends the reading; any other name that is not known becomes an inert object, and what is made of it stays one. So
nothing of theirs runs, and nothing of numpy or torch either.

Contents of arrays are passed over, not read: of each the place in the file is kept. What remains is held to a budget of
instructions, of bytes of text, of digits, and of items that a pickle has copied; nothing here recurses into what a
pickle built, hashes it or writes it out.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, ClassVar

from convert.weights.files.index import NotReadError, little
from convert.weights.files.reader import Reader
from convert.weights.files.stand_ins import (
    COPYING,
    NAMES,
    TAKING_ANYTHING,
    Blob,
    DataKind,
    Dict,
    DType,
    Inert,
    NDArray,
    RefusedError,
    reaches_out,
)

_LONGEST_INTEGER = 64  # bytes of it


def load(reader: Reader) -> object:
    """The object of the next pickle, behind which the reader is afterwards.

    Raises RefusedError when the pickle asks for what no checkpoint needs, and some other exception, whichever comes of
    it, when it is damaged or none.
    """
    reader.stream.seek(reader.at)
    return _Machine(reader).run()


# Instructions that checkpoints do without: names by numbers, and buffers handed over beside the pickle.
_UNNEEDED = b"\x82\x83\x84\x97\x98"  # EXT1 EXT2 EXT4 NEXT_BUFFER READONLY_BUFFER


class _Machine(pickle._Unpickler):
    """The unpickler that the standard library has in Python; all that reads, calls, hashes or copies is replaced.

    What is inherited moves values on the stack.
    """

    dispatch: ClassVar[dict[int, Any]] = {
        code: method for code, method in pickle._Unpickler.dispatch.items() if code not in _UNNEEDED
    }
    stack: list[Any]
    append: Callable[[object], None]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader.stream, encoding="latin1")
        self.reader = reader

    def run(self) -> object:
        reader, dispatch = self.reader, self.dispatch
        self.read, self.readline = reader.read, lambda: reader.line() + b"\n"
        self.metastack: list[list[Any]] = []
        self.stack = []
        self.append = self.stack.append
        self.proto = 0
        while True:
            reader.budget.step()
            (code,) = reader.read(1)
            if code == pickle.STOP[0]:
                return self.stack.pop()
            method = dispatch.get(code)
            if method is None:
                raise NotReadError("it is no pickle, or a damaged one")
            method(self)

    # Names and calls.

    def find_class(self, module: str, name: str) -> object:
        full = f"{module}.{name}"
        if full in NAMES:
            return NAMES[full]
        if reaches_out(module, name):
            raise RefusedError(f"it asks for {full[:200]}")
        self.reader.unread[full[:200]] = None
        return Inert(full[:200])

    def _called(self, function: object, arguments: object) -> object:
        if isinstance(function, Inert):
            return Inert(function.name)
        if not callable(function) or isinstance(function, DataKind) or not isinstance(arguments, tuple):
            raise RefusedError("it calls what is no function")
        if arguments and isinstance(arguments[0], Inert) and function not in TAKING_ANYTHING:
            return arguments[0]  # what is made of something inert is so too
        if function in COPYING and arguments and isinstance(arguments[0], (list, tuple)):
            self.reader.budget.copy(len(arguments[0]))
        return function(*arguments)

    def _load_global(self) -> None:
        module, name = (self.reader.line().decode("utf-8", "replace") for _ in range(2))
        self.append(self.find_class(module, name))

    def _load_stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise NotReadError("a name that is no text")
        self.append(self.find_class(module, name))

    def _load_reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self._called(self.stack[-1], arguments)

    def _load_newobj(self) -> None:
        self._load_reduce()

    def _load_newobj_ex(self) -> None:
        self.stack.pop()  # arguments by name, which none of the stand-ins has
        self._load_reduce()

    def _load_inst(self) -> None:
        self._load_global()
        function = self.stack.pop()
        self.append(self._called(function, tuple(self.pop_mark())))

    def _load_obj(self) -> None:
        function, *arguments = self.pop_mark()
        self.append(self._called(function, tuple(arguments)))

    def _load_build(self) -> None:
        """BUILD, for stand-ins only: on anything else it would set attributes."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, (DType, NDArray)):
            target.restore(state)
        elif not isinstance(target, (Inert, Dict)):  # torch's `_metadata` arrives at a Dict, and is dropped
            raise RefusedError(f"it sets the state of a {type(target).__name__}")

    def persistent_load(self, pid: object) -> object:
        if self.reader.persistent is None:
            raise NotReadError("it points to data outside itself")
        return self.reader.persistent(pid)

    def _load_persid(self) -> None:
        self.append(self.persistent_load(self.reader.line().decode("utf-8", "replace")))

    # Containers.

    def _load_empty_dict(self) -> None:
        self.append(Dict())

    def _load_dict(self) -> None:
        found = Dict()
        self._put(found, self.pop_mark())
        self.append(found)

    def _load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._put(self.stack[-1], [key, value])

    def _load_setitems(self) -> None:
        items = self.pop_mark()
        self._put(self.stack[-1], items)

    def _put(self, target: object, items: list[Any]) -> None:
        if isinstance(target, Dict):
            for key, value in zip(items[::2], items[1::2], strict=True):
                target.put(key, value)
        elif not isinstance(target, Inert):
            raise RefusedError(f"it sets items of a {type(target).__name__}")

    def _load_append(self) -> None:
        value = self.stack.pop()
        self._extend(self.stack[-1], [value])

    def _load_appends(self) -> None:
        items = self.pop_mark()
        self._extend(self.stack[-1], items)

    def _extend(self, target: object, items: list[Any]) -> None:
        if isinstance(target, list):
            target.extend(items)
        elif not isinstance(target, Inert):
            raise RefusedError(f"it adds items to a {type(target).__name__}")

    def _load_empty_set(self) -> None:
        """Sets hash what they hold: no checkpoint needs one."""
        self.append(Inert("set"))

    def _load_additems(self) -> None:
        self._extend(Inert("set"), self.pop_mark())

    def _load_frozenset(self) -> None:
        self.pop_mark()
        self.append(Inert("frozenset"))

    # Numbers.

    def _load_integer(self) -> None:
        line = self.reader.line()
        if len(line) > 2 * _LONGEST_INTEGER:
            raise NotReadError(f"an integer of {len(line)} digits")
        self.append({b"00": False, b"01": True}[line] if line in (b"00", b"01") else int(line.rstrip(b"L"), 0))

    def _load_long1(self) -> None:
        self._load_long(self.reader.read(1)[0])

    def _load_long4(self) -> None:
        self._load_long(little(self.reader.read(4), "i"))

    def _load_long(self, size: int) -> None:
        if not 0 <= size <= _LONGEST_INTEGER:
            raise NotReadError(f"an integer of {size} bytes")
        self.append(int.from_bytes(self.reader.read(size), "little", signed=True))

    # Texts and bytes, which stay where they are. A frame holds instructions like any others.

    def _load_frame(self) -> None:
        self.reader.read(8)


_SIZES = {"B": 1, "i": 4, "I": 4, "Q": 8}  # of struct's forms


def _size(machine: _Machine, form: str) -> int:
    size = little(machine.reader.read(_SIZES[form]), form)
    if size < 0:
        raise NotReadError("a length below zero")
    return size


def _text(form: str, codec: str) -> Callable[[_Machine], None]:
    """An instruction whose text is as long as a number before it says."""
    return lambda machine: machine.append(machine.reader.text(_size(machine, form), codec))


def _text_line(codec: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.append(machine.reader.text_line(codec))


def _bytes(form: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.append(Blob(machine.reader.skip(_size(machine, form), "raw")))


_REPLACED = {
    pickle.GLOBAL: _Machine._load_global,
    pickle.STACK_GLOBAL: _Machine._load_stack_global,
    pickle.REDUCE: _Machine._load_reduce,
    pickle.NEWOBJ: _Machine._load_newobj,
    pickle.NEWOBJ_EX: _Machine._load_newobj_ex,
    pickle.INST: _Machine._load_inst,
    pickle.OBJ: _Machine._load_obj,
    pickle.BUILD: _Machine._load_build,
    pickle.PERSID: _Machine._load_persid,
    pickle.EMPTY_DICT: _Machine._load_empty_dict,
    pickle.DICT: _Machine._load_dict,
    pickle.SETITEM: _Machine._load_setitem,
    pickle.SETITEMS: _Machine._load_setitems,
    pickle.APPEND: _Machine._load_append,
    pickle.APPENDS: _Machine._load_appends,
    pickle.EMPTY_SET: _Machine._load_empty_set,
    pickle.ADDITEMS: _Machine._load_additems,
    pickle.FROZENSET: _Machine._load_frozenset,
    pickle.INT: _Machine._load_integer,
    pickle.LONG: _Machine._load_integer,
    pickle.LONG1: _Machine._load_long1,
    pickle.LONG4: _Machine._load_long4,
    pickle.FRAME: _Machine._load_frame,
    pickle.STRING: _text_line("python2"),
    pickle.BINSTRING: _text("i", "raw"),
    pickle.SHORT_BINSTRING: _text("B", "raw"),
    pickle.UNICODE: _text_line("escaped"),
    pickle.BINUNICODE: _text("I", "utf-8"),
    pickle.SHORT_BINUNICODE: _text("B", "utf-8"),
    pickle.BINUNICODE8: _text("Q", "utf-8"),
    pickle.BINBYTES: _bytes("I"),
    pickle.SHORT_BINBYTES: _bytes("B"),
    pickle.BINBYTES8: _bytes("Q"),
    pickle.BYTEARRAY8: _bytes("Q"),
}
_Machine.dispatch.update({instruction[0]: method for instruction, method in _REPLACED.items()})
