"""Weights files, hostile and damaged: each ends in one line or in tensors, and runs nothing."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as safetensors_bytes

from convert.common.errors import InputError
from convert.weights import checkpoints
from convert.weights.files import scan
from scripts.fuzz.target import HOSTILE_MARK, Target

_ARRAY = pickle.dumps(np.ones(4, np.float32), 2)[2:-1]  # the instructions that make it, but for PROTO and STOP
FILE = "a.pdparams"
_ISOLATED = 50  # one in so many
_MANY = 200_000
_READ = 100  # tensors of a file, which is about what a model has


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _file(*entries: tuple[bytes, bytes]) -> bytes:
    """A pickle of a dictionary with a tensor in it, and of entries (instructions for key and value)."""
    inside = b"".join(key + value for key, value in [(_text("weight"), _ARRAY), *entries])
    return b"\x80\x04}(" + inside + b"u."


def _shared(make: bytes) -> bytes:
    """A structure in which each level holds the one below twice, 40 levels high."""
    return b"N" + b"".join(b"q" + bytes([level + 99]) + b"h" + bytes([level + 99]) + make for level in range(40))


def _copies(function: bytes, items: bytes) -> bytes:
    return _file((b"K\x01", items + b"q\xff" + (b"c" + function + b"\nh\xff\x85R0") * 20_000))


def _with_shape(shape: bytes) -> bytes:
    state = b"(K\x01" + shape + b"cnumpy\ndtype\n" + _text("f4") + b"K\x00K\x01\x87R" + b"\x89C\x00tb"
    return _file((_text("a"), b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R" + state))


def _zip(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def _safetensors(header: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header


def _per_array() -> bytes:
    """One text of 0.7 MB that is the content of each of 13,000 arrays."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
        b"(K\x01J\x60\xae\x0a\x00\x85cnumpy\ndtype\n" + _text("u1") + b"K\x00K\x01\x87R\x89c_codecs\nencode\nh\x00"
        + _text("latin1") + b"\x86Rtb"
    )  # fmt: skip
    entries = b"".join(_text(f"a{number}") + array for number in range(13_000))
    return b"\x80\x04" + _text("é" * 700_000) + b"\x940}(" + entries + b"u."


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a deep tuple as a key": lambda: _file((b"N" + b"\x85" * _MANY, b"N")),
    "a deep frozenset as a key": lambda: _file((b"(" * _MANY + b"N" + b"\x91" * _MANY, b"N")),
    "a deep tuple in a set": lambda: _file((b"K\x01", b"\x8f(" + b"N" + b"\x85" * _MANY + b"\x90")),
    "deep lists": lambda: _file((_text("a"), b"]" * _MANY + b"a" * (_MANY - 1))),
    "a deep tuple as a name": lambda: _file((b"K\x01", b"N" + b"\x85" * _MANY + _text("x") + b"\x93")),
    "a deep tuple as a shape": lambda: _with_shape(b"N" + b"\x85" * _MANY),
    "a shared tuple as a key": lambda: _file((_shared(b"\x86"), b"N")),
    "a shared tuple as a codec": lambda: _file(
        (b"K\x01", b"c_codecs\nencode\n" + _text("a") + _shared(b"\x86") + b"\x86R")
    ),
    "a shared tuple as a shape": lambda: _with_shape(_shared(b"\x86")),
    "a list copied 20,000 times": lambda: _copies(b"builtins\ntuple", b"](" + b"N" * 20_000 + b"e"),
    "a dictionary made 20,000 times": lambda: _copies(
        b"collections\nOrderedDict", b"](" + b"K\x01K\x02\x86" * 20_000 + b"e"
    ),
    "a text that is every array's": _per_array,
    "numbers that collide as keys": lambda: _file(
        *((b"\x8a\x0a" + (n * (2**61 - 1)).to_bytes(10, "little", signed=True), b"N") for n in range(60_000))
    ),
    "a number of a million digits": lambda: _file((_text("a"), b"I" + b"9" * 1_000_000 + b"\n")),
    "a long of a million digits": lambda: _file((_text("a"), b"L" + b"9" * 1_000_000 + b"L\n")),
    "a shape of a million digits": lambda: _with_shape(
        b"\x8b" + struct.pack("<i", 1_000_000) + b"\x7f" * 1_000_000 + b"\x85"
    ),
    "millions of instructions": lambda: b"\x80\x04" + b"N0" * 4_000_000 + b"}.",
    "millions of texts": lambda: b"\x80\x04](" + (b"\x8c\x20" + b"x" * 32) * 1_500_000 + b"e.",
    "a memo that is far away": lambda: _file((_text("a"), b"Nr\xff\xff\xff\xff")),
    "a length that is a lie": lambda: _file((_text("a"), b"\x8e" + struct.pack("<Q", 1 << 62))),
    "itself": lambda: b"\x80\x04}\x94" + _text("a") + b"h\x00s" + _text("b") + _ARRAY + b"s.",
    "too many tensors": lambda: (
        b"\x80\x04" + _ARRAY + b"q\xff0}(" + b"".join(_text(f"a{n}") + b"h\xff" for n in range(60_000)) + b"u."
    ),
    "an npz header of 4 GiB": lambda: _zip(a=b"\x93NUMPY\x02\x00" + struct.pack("<I", 0xFFFFFFFF) + b" " * (64 << 20)),
    "an npz header of parentheses": lambda: _zip(a=b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000),
    "an npz shape of many digits": lambda: _zip(
        a=b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + (b"{'shape':(" + b"9" * 8000).ljust(9000)
    ),
    "a safetensors header of brackets": lambda: _safetensors(b'{"a":' + b"[" * 1_000_000),
    "a safetensors header of 2^60 bytes": lambda: _safetensors(b"{}", 1 << 60),
    "a safetensors number of many digits": lambda: _safetensors(
        b'{"a":{"dtype":"F32","shape":[' + b"9" * 100_000 + b'],"data_offsets":[0,4]}}'
    ),
}


def good() -> dict[str, bytes]:
    """Files of each kind, small."""
    arrays = {f"blocks.{n}.weight": np.arange(6, dtype=np.float32).reshape(2, 3) + n for n in range(4)}
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    pickles = {f"protocol{p}.pdparams": pickle.dumps({"model": arrays, "epoch": 3}, p) for p in (0, 2, 4, 5)}
    torch = {}
    folder = Path(__file__).parents[3] / "tests" / "convert" / "weights" / "files" / "data"
    if folder.is_dir():
        torch = {file.name: file.read_bytes() for file in sorted(folder.glob("torch_*.pth"))}
    return {**pickles, **torch, "a.npz": stream.getvalue(), "a.safetensors": safetensors_bytes(arrays)}


def _near(path: Path) -> Any:
    return asdict(scan.index(path))


def _make(folder: Path) -> None:
    for name, data in good().items():
        (folder / name).mkdir()
        (folder / name / FILE).write_bytes(data)


def _look(folder: Path) -> None:
    """What vitbench makes of a file, which it looks into in a process with limits of its own: so here with the hostile
    ones, and with few others, since a process takes its time to start."""
    path = folder / FILE
    far = (folder / HOSTILE_MARK).exists() or zlib.crc32(path.read_bytes()) % _ISOLATED == 0
    load(checkpoints.read(path) if far else checkpoints.read(path, _near))


def load(found: checkpoints.Checkpoint) -> None:
    """Load the tensors of a file. InputError, in the words of `resolve`, where one cannot be."""
    for table in found.tables:
        for tensor in list(table.tensors.values())[:_READ]:
            try:
                tensor.load()
            except MemoryError:
                raise
            except Exception as error:
                raise InputError(checkpoints.explain(error)) from None


TARGETS = [Target("weights", _make, _look, hostile=HOSTILE, single=FILE)]
